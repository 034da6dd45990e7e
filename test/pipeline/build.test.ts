import assert from 'node:assert/strict';
import { appendFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Bytes, concat, EMPTY, ofMemory, ofText } from '../../src/bytes/bytes.ts';
import { equals, read, readText } from '../../src/bytes/read.ts';
import { ImagerError } from '../../src/errors.ts';
import { decodeIso9660 } from '../../src/formats/iso9660/decode.ts';
import { type PeImage, readPe, sectionContent } from '../../src/formats/pe/image.ts';
import { layoutTar } from '../../src/formats/tar/layout-tar.ts';
import type { Artifact } from '../../src/pipeline/artifact.ts';
import { build } from '../../src/pipeline/build.ts';
import { type Plan, type PlanRequest, planBuild } from '../../src/pipeline/plan.ts';
import type { ProgressEvent } from '../../src/pipeline/progress.ts';
import type { Workplace } from '../../src/pipeline/workplace.ts';
import type { Platform } from '../../src/platform/types.ts';
import type { GivenProfile } from '../../src/profiles/profile.ts';
import { fileAt, type Literal, treeOfLiterals } from '../../src/tree/tree.ts';
import { skipWithoutGrub } from '../support/grub.ts';
import { digestOf, type TestImage, withChildren, writeLayout } from '../support/image.ts';
import {
  assetFiles,
  assetImage,
  type TestWorkplace,
  testRequest,
  testWorkplace,
  untouchablePlatform,
  writeFiles,
} from '../support/pipeline.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { vectorFile } from '../support/vectors.ts';

const INSTALL = 'usr/install/arm64';
const KERNEL: GivenProfile = { output: { kind: 'kernel' } };
const UKI: GivenProfile = { output: { kind: 'uki' } };
const GRUB_ISO: GivenProfile = { output: { kind: 'iso', isoOptions: { bootloader: 'grub' } } };
const AMD64: GivenProfile = { arch: 'amd64' };

type More = Parameters<typeof testRequest>[1];

async function planAndBuild(workplace: Workplace, request: PlanRequest, resolve = true): Promise<Artifact> {
  return build(workplace, request, await planBuild(workplace, request, { resolve }));
}

/** A layout of one image with these files, as `--imager-image` names it. */
async function layoutOf(
  { directory }: TestWorkplace,
  files: Record<string, Literal>,
  architecture?: 'amd64',
): Promise<string> {
  const layout = join(directory, 'layout');
  await writeLayout(layout, { v1: await assetImage(files, architecture) });
  return `oci:${layout}:v1`;
}

function contentOf(files: Record<string, Literal>, path: string): Bytes {
  return fileAt(treeOfLiterals(files), path)!;
}

async function assertSame(found: Bytes | undefined, wanted: Bytes, what: string): Promise<void> {
  assert.ok(found !== undefined && (await equals(found, wanted)), `${what} is another`);
}

function section(image: PeImage, name: string): Bytes {
  return sectionContent(image.sections.find((one) => one.name === name)!);
}

describe('every kind of output', () => {
  const files = assetFiles();

  async function built(given: GivenProfile): Promise<readonly [Artifact, Plan]> {
    await using workplace = await testWorkplace();
    const request = testRequest(given, { assets: await layoutOf(workplace, files) });
    const plan = await planBuild(workplace, request, { resolve: true });
    const artifact = await build(workplace, request, plan);
    // Before the workplace is gone.
    return [{ ...artifact, bytes: ofMemory(await read(artifact.bytes)) }, plan];
  }

  test('kernel and initramfs as they are', async () => {
    for (const [kind, file] of [
      ['kernel', 'vmlinuz'],
      ['initramfs', 'initramfs.xz'],
    ] as const) {
      const [artifact, plan] = await built({ output: { kind } });
      assert.equal(artifact.name, plan.outputs[0]?.path);
      assert.equal(artifact.mediaType, 'application/octet-stream');
      await assertSame(artifact.bytes, contentOf(files, `${INSTALL}/${file}`), kind);
    }
  });

  test('the command line, without a newline', async () => {
    const [artifact, plan] = await built({
      output: { kind: 'cmdline' },
      customization: { extraKernelArgs: ['quiet'] },
    });
    assert.equal(artifact.mediaType, 'text/plain; charset=utf-8');
    assert.equal(await readText(artifact.bytes, 'cmdline', 4096), plan.cmdline);
  });

  test('a UKI of kernel, initramfs and command line, dated with the epoch', async () => {
    const [artifact, plan] = await built(UKI);
    assert.equal(artifact.mediaType, 'application/efi');
    const image = await readPe(artifact.bytes, 'UKI');
    const head = Buffer.from(await read(artifact.bytes, 0, 4096));
    assert.equal(head.readUInt32LE(head.readUInt32LE(0x3c) + 8), plan.epoch);
    assert.equal(await readText(section(image, '.cmdline'), 'cmdline', 4096), plan.cmdline);
    await assertSame(section(image, '.linux'), contentOf(files, `${INSTALL}/vmlinuz`), 'kernel');
    await assertSame(section(image, '.initrd'), contentOf(files, `${INSTALL}/initramfs.xz`), 'initramfs');
  });

  test('an ISO', async () => {
    const [artifact] = await built({});
    assert.equal(artifact.mediaType, 'application/vnd.efi-iso');
    assert.equal(artifact.name, 'metal-arm64.iso');
    const { descriptor, boot } = await decodeIso9660(artifact.bytes);
    assert.match(descriptor.volumeId, /^TALOS_V1_13_0/);
    assert.deepEqual(
      boot?.images.map(({ platform }) => platform),
      [0xef],
    );
  });
});

test('building reads headers, not content, and the store keeps GRUB’s core', {
  skip: skipWithoutGrub('i386-pc'),
}, async () => {
  await using workplace = await testWorkplace();
  const files = assetFiles(['i386-pc']);
  const counted = countingPlatform(workplace.platform);
  const request = testRequest(AMD64, { assets: await layoutOf(workplace, files, 'amd64') });
  const first = await planAndBuild({ ...workplace, platform: counted.platform }, request);
  const { tree } = await decodeIso9660(first.bytes);
  await assertSame(fileAt(tree, 'boot/vmlinuz'), contentOf(files, 'usr/install/amd64/vmlinuz'), 'kernel');
  assert.ok(tree.byPath.has('boot/grub/i386-pc/eltorito.img'));
  const kept = await readdir(join(workplace.store, 'derived'));
  assert.notDeepEqual(kept, []);

  counted.reset();
  const second = await planAndBuild({ ...workplace, platform: counted.platform }, request);
  assert.ok(counted.bytes() < 700_000, `${counted.bytes()} bytes were read of ${second.bytes.size}`);
  await assertSame(second.bytes, first.bytes, 'ISO');
  assert.deepEqual(await readdir(join(workplace.store, 'derived')), kept);
});

/** Counts what is read of files that are read in parts. */
function countingPlatform(platform: Platform): { platform: Platform; bytes(): number; reset(): void } {
  let bytes = 0;
  const files: Platform['files'] = new Proxy(platform.files, {
    get(target, name) {
      if (name !== 'source') return Reflect.get(target, name).bind(target);
      return async (path: string) => {
        const source = await target.source(path);
        const readCounted: typeof source.read = (position, into) => {
          bytes += into.length;
          return source.read(position, into);
        };
        return { ...source, read: readCounted };
      };
    },
  });
  return {
    platform: { ...platform, files },
    bytes: () => bytes,
    reset() {
      bytes = 0;
    },
  };
}

describe('what was planned is what is built', () => {
  const name = 'team/imager';
  const kernelOf = (content: string): Record<string, Literal> => ({
    [`${INSTALL}/vmlinuz`]: concat([contentOf(assetFiles(), `${INSTALL}/vmlinuz`), ofText(content)]),
  });
  const ending = async ({ bytes }: Artifact): Promise<string> =>
    Buffer.from(await read(bytes))
      .toString('latin1')
      .slice(-3);

  async function withRegistry(
    work: (registry: TestRegistry, workplace: TestWorkplace) => Promise<void>,
  ): Promise<void> {
    const registry = await startRegistry();
    try {
      await using workplace = await testWorkplace();
      await work(registry, workplace);
    } finally {
      await registry.close();
    }
  }

  test('when a tag moves in between', () =>
    withRegistry(async (registry, workplace) => {
      registry.serve(name, 'v1', await assetImage(kernelOf('old')));
      const request = testRequest(KERNEL, { assets: `${registry.host}/${name}:v1` });
      const plan = await planBuild(workplace, request, { resolve: true });
      const unresolved = await planBuild(workplace, request, { resolve: false });
      registry.serve(name, 'v1', await assetImage(kernelOf('new')));
      assert.equal(await ending(await build(workplace, request, plan)), 'old');
      assert.equal(await ending(await build(workplace, request, unresolved)), 'new');
      assert.equal(await ending(await build(workplace, request, plan)), 'old');
    }));

  test('when a tag moves in a layout', async () => {
    await using workplace = await testWorkplace();
    const assets = await layoutOf(workplace, kernelOf('old'));
    const request = testRequest(KERNEL, { assets });
    const plan = await planBuild(workplace, request, { resolve: true });
    await layoutOf(workplace, kernelOf('new'));
    assert.equal(await ending(await build(workplace, request, plan)), 'old');
    assert.equal(await ending(await planAndBuild(workplace, request)), 'new');
  });

  test('an archive of docker save is found by name and compared', async () => {
    await using workplace = await testWorkplace();
    const file = join(workplace.directory, 'saved.tar');
    const tag = 'example.org/team/imager:v1';
    await writeFile(file, await read(dockerArchive(tag, await assetImage(kernelOf('old')))));
    const request = testRequest(KERNEL, { assets: `docker-archive:${file}:${tag}` });
    const plan = await planBuild(workplace, request, { resolve: true });
    assert.equal(await ending(await build(workplace, request, plan)), 'old');
    await writeFile(file, await read(dockerArchive(tag, await assetImage(kernelOf('new')))));
    await assert.rejects(build(workplace, request, plan), {
      code: 'verification',
      message: /^docker-archive:.*: manifest: sha256:[0-9a-f]{64}, the plan wants sha256:/,
      hint: /plan again/,
    });
  });

  test('a file of the user that changed is refused', async () => {
    await using workplace = await testWorkplace();
    await writeFiles(workplace.directory, kernelOf('old'));
    const path = join(workplace.directory, INSTALL, 'vmlinuz');
    const request = testRequest({ ...KERNEL, input: { kernel: { path } } });
    const plan = await planBuild(workplace, request, { resolve: true });
    assert.equal(await ending(await build(workplace, request, plan)), 'old');
    await appendFile(path, 'new');
    await assert.rejects(build(workplace, request, plan), {
      code: 'verification',
      message: new RegExp(`^kernel ${path}: sha256:[0-9a-f]{64}, the plan wants sha256:`),
    });
    const unresolved = await planBuild(workplace, request, { resolve: false });
    assert.equal(await ending(await build(workplace, request, unresolved)), 'new');
  });

  test('a GRUB directory that changed is refused', async () => {
    await using workplace = await testWorkplace();
    const grubDirectory = join(workplace.directory, 'grub');
    await writeFiles(grubDirectory, { 'i386-pc/normal.mod': 'old' });
    const assets = await layoutOf(workplace, assetFiles(), 'amd64');
    const request = testRequest(AMD64, { assets, grubDirectory });
    const plan = await planBuild(workplace, request, { resolve: true });
    await writeFile(join(grubDirectory, 'i386-pc/normal.mod'), 'new');
    await assert.rejects(build(workplace, request, plan), {
      code: 'verification',
      message: /^GRUB in .*grub: sha256:/,
    });
  });

  test('offline with what the store has, under the name it was pulled by and by digest', () =>
    withRegistry(async (registry, online) => {
      registry.serve(name, 'v1', await assetImage(kernelOf('old')));
      const request = testRequest(KERNEL, { assets: `${registry.host}/${name}:v1` });
      const plan = await planBuild(online, request, { resolve: true });
      const platform = { ...online.platform, http: untouchablePlatform().http };
      const offline: Workplace = { ...online, platform, transport: { offline: true } };
      await assert.rejects(build(offline, request, plan), {
        code: 'dependency',
        message: new RegExp(`^${plan.inputs[0]?.digest}: not in the store`),
      });
      await build(online, request, plan);
      assert.equal(await ending(await build(offline, request, plan)), 'old');
      assert.equal(await ending(await planAndBuild(offline, request)), 'old');
      assert.equal(await ending(await planAndBuild(offline, request, false)), 'old');
      const other = testRequest({ ...KERNEL, ...AMD64 }, { assets: `${registry.host}/${name}:v1` });
      await assert.rejects(planAndBuild(offline, other), { code: 'dependency', message: /v1: not in the store/ });
    }));
});

/** What `docker save` writes, of a one-layer image. */
function dockerArchive(tag: string, image: TestImage): Bytes {
  const [config, layer] = withChildren(image)[0]!.blobs;
  const name = `${digestOf(config!).slice('sha256:'.length)}.json`;
  const manifest = JSON.stringify([{ Config: name, RepoTags: [tag], Layers: ['layer.tar'] }]);
  return layoutTar(treeOfLiterals({ [name]: config!, 'layer.tar': layer!, 'manifest.json': manifest }));
}

describe('images that are not what is wanted', () => {
  /** The error of a build from an image with some files changed, or taken away where `null`. */
  async function errorOf(
    given: GivenProfile,
    changes: Readonly<Record<string, Literal | null>>,
    more: More = {},
  ): Promise<ImagerError> {
    await using workplace = await testWorkplace();
    const changed = Object.entries({ ...assetFiles(), ...changes }).filter(([, content]) => content !== null);
    const architecture = given.arch === 'amd64' ? 'amd64' : undefined;
    const assets = await layoutOf(workplace, Object.fromEntries(changed) as Record<string, Literal>, architecture);
    const error = await planAndBuild(workplace, testRequest(given, { assets, ...more })).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof ImagerError, String(error));
    return error;
  }

  const vector = (name: string): Uint8Array => new Uint8Array(vectorFile(`uki/synthetic/${name}`));
  const cases: readonly (readonly [string, Parameters<typeof errorOf>, string, RegExp])[] = [
    [
      'files that are missing, with all that was looked for',
      [{}, { [`${INSTALL}/vmlinuz`]: null, [`${INSTALL}/systemd-boot.efi`]: null }],
      'dependency',
      /: no \/usr\/install\/arm64\/vmlinuz, \/usr\/install\/arm64\/systemd-boot\.efi; looked for \S+vmlinuz, \S+initramfs\.xz, \S+systemd-stub\.efi, \S+systemd-boot\.efi$/,
    ],
    [
      'a directory in place of a file',
      [KERNEL, { [`${INSTALL}/vmlinuz`]: null, [`${INSTALL}/vmlinuz/file`]: '' }],
      'dependency',
      /: no \/usr\/install\/arm64\/vmlinuz; looked for/,
    ],
    ['no GRUB', [AMD64, {}], 'dependency', /: no \/usr\/lib\/grub; looked for .*systemd-boot\.efi, \/usr\/lib\/grub$/],
    [
      'GRUB for others only, with what there is',
      [AMD64, { 'usr/lib/grub/x86_64-efi/normal.mod': '', 'usr/lib/grub/readme': '' }],
      'dependency',
      /^GRUB platform i386-pc: not among readme, x86_64-efi$/,
    ],
    [
      'a GRUB ISO that nothing would start',
      [GRUB_ISO, { 'usr/lib/grub/x86_64-efi/normal.mod': '' }],
      'dependency',
      /^GRUB platform arm64-efi: not among x86_64-efi$/,
    ],
    [
      'a GRUB ISO without GRUB',
      [
        { ...GRUB_ISO, ...AMD64 },
        { 'usr/lib/grub': null, 'usr/lib/grub/i386-pc': 'a file' },
      ],
      'dependency',
      /^GRUB platform i386-pc or x86_64-efi: not among i386-pc$/,
    ],
    [
      'a kernel that is none',
      [KERNEL, { [`${INSTALL}/vmlinuz`]: 'text' }],
      'invalid-input',
      /^kernel: no kernel image/,
    ],
    ['an empty kernel', [UKI, { [`${INSTALL}/vmlinuz`]: EMPTY }], 'invalid-input', /^kernel: an empty file/],
    [
      'a kernel for another architecture',
      [{}, { [`${INSTALL}/vmlinuz`]: contentOf(assetFiles(), 'usr/install/amd64/vmlinuz') }],
      'invalid-input',
      /^kernel: a bzImage for amd64, want one for arm64$/,
    ],
    ['a stub that is no PE', [UKI, { [`${INSTALL}/systemd-stub.efi`]: 'text' }], 'invalid-input', /^UEFI stub: /],
    [
      'a stub for another machine',
      [UKI, { [`${INSTALL}/systemd-stub.efi`]: vector('stub-a.efi') }],
      'invalid-input',
      /^UEFI stub: for \S+, want arm64$/,
    ],
    [
      'a boot loader for another machine',
      [{}, { [`${INSTALL}/systemd-boot.efi`]: vector('boot-a.efi') }],
      'invalid-input',
      /^systemd-boot: for \S+, want arm64$/,
    ],
    [
      'a boot loader that is no PE',
      [{}, { [`${INSTALL}/systemd-boot.efi`]: 'MZ' }],
      'invalid-input',
      /^systemd-boot: /,
    ],
  ];
  for (const [name, request, code, message] of cases) {
    test(name, async () => {
      const error = await errorOf(...request);
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
    });
  }

  test('what this release cannot build is refused before anything is fetched', async () => {
    const pcrSigner = { signerAddress: 'unix:///run/signer.sock' };
    const request = testRequest({ baseProfileName: 'secureboot-iso', input: { secureboot: { pcrSigner } } });
    const nowhere: Workplace = { platform: untouchablePlatform(), store: '/nonexistent', transport: {} };
    const plan = await planBuild(nowhere, request, { resolve: false });
    await assert.rejects(build(nowhere, request, plan), {
      code: 'unsupported',
      message: 'signer input.secureboot.pcrSigner.signerAddress, want keys in files: not supported by this release',
    });
  });

  test('own files that are not there are all named, before anything is fetched', async () => {
    await using workplace = await testWorkplace();
    const request = testRequest({ input: { kernel: { path: '/nonexistent/k' }, sdStub: { path: '/nonexistent/s' } } });
    const platform = { ...workplace.platform, http: untouchablePlatform().http };
    await assert.rejects(planAndBuild({ ...workplace, platform }, request, false), {
      code: 'io',
      message: 'no file /nonexistent/k, file /nonexistent/s on this machine',
    });
  });
});

describe('while it runs', () => {
  test('layers that come in are reported, the second time nothing is', async () => {
    const events: ProgressEvent[] = [];
    await using workplace = await testWorkplace({ onProgress: (event) => events.push(event) });
    const request = testRequest(KERNEL, { assets: await layoutOf(workplace, assetFiles()) });
    await planAndBuild(workplace, request);
    const last = events.at(-1);
    assert.ok(last !== undefined && last.total > 0);
    assert.equal(last.done, last.total);
    assert.match(last.task, /layer sha256:/);
    events.length = 0;
    await planAndBuild(workplace, request);
    assert.deepEqual(events, []);
  });

  test('it stops when it is told to', async () => {
    const stop = new AbortController();
    await using workplace = await testWorkplace({ signal: stop.signal, onProgress: () => stop.abort() });
    const request = testRequest(KERNEL, { assets: await layoutOf(workplace, assetFiles()) });
    const plan = await planBuild(workplace, request, { resolve: true });
    await assert.rejects(build(workplace, request, plan), { code: 'canceled' });
  });
});
