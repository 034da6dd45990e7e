/** System extensions on their way into an image: planned, checked, packed once and carried by every output. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Bytes, ofMemory } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { readPe, sectionContent } from '../../src/formats/pe/image.ts';
import { decodeSquashfs } from '../../src/formats/squashfs/decode.ts';
import { layoutTar } from '../../src/formats/tar/layout-tar.ts';
import { build } from '../../src/pipeline/build.ts';
import { type Plan, planBuild } from '../../src/pipeline/plan.ts';
import { planDigest } from '../../src/pipeline/plan-digest.ts';
import type { ProgressEvent } from '../../src/pipeline/progress.ts';
import type { Platform } from '../../src/platform/types.ts';
import type { GivenProfile } from '../../src/profiles/profile.ts';
import { fileAt, type Tree, treeOfLiterals } from '../../src/tree/tree.ts';
import {
  baseInitramfs,
  extensionImage,
  extensionTree,
  KERNEL,
  MODULES,
  manifestText,
  withMicrocode,
} from '../support/extension-images.ts';
import { digestOf, writeLayout } from '../support/image.ts';
import { takeApart } from '../support/initramfs.ts';
import { kernelModule } from '../support/kernel-module.ts';
import { assetFiles, type TestWorkplace, testRequest, testWorkplace, writeFiles } from '../support/pipeline.ts';
import { startRegistry } from '../support/registry.ts';
import { rejected } from '../support/rejected.ts';
import { tar } from '../support/tar.ts';

const INITRAMFS: GivenProfile = { output: { kind: 'initramfs' } };
const PLAIN = extensionTree({ 'usr/local/bin/hello': 'hello' });
const CONFIG = 'apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: node-1\n';
const DRIVER = extensionTree(
  { [`${MODULES}/extras/driver.ko`]: kernelModule({ needs: ['base_symbol'], info: ['alias=pci:v1*'] }) },
  { name: 'driver' },
);

type Base = Uint8Array | undefined;

/** A workplace with assets, and a request for an image with these extensions, each in a layout of its own. */
async function prepared(
  workplace: TestWorkplace,
  extensions: readonly Tree[],
  given: GivenProfile = INITRAMFS,
  base?: Base,
): Promise<ReturnType<typeof testRequest>> {
  const { directory } = workplace;
  const files = assetFiles();
  for (const arch of ['amd64', 'arm64']) if (base !== undefined) files[`usr/install/${arch}/initramfs.xz`] = base;
  await writeFiles(join(directory, 'assets'), files);
  const systemExtensions = [];
  for (const [index, tree] of extensions.entries()) {
    const ociPath = join(directory, `extension-${index}`);
    await writeLayout(ociPath, { v1: await extensionImage(tree, given.arch) });
    systemExtensions.push({ ociPath });
  }
  return testRequest({ ...given, input: { systemExtensions } }, { assets: `dir:${join(directory, 'assets')}` });
}

async function planned(workplace: TestWorkplace, request: ReturnType<typeof testRequest>): Promise<Plan> {
  return planBuild(workplace, request, { resolve: true });
}

async function built(workplace: TestWorkplace, request: ReturnType<typeof testRequest>): Promise<Bytes> {
  const { bytes } = await build(workplace, request, await planned(workplace, request));
  return bytes;
}

const BASE = fileAt(treeOfLiterals(assetFiles()), 'usr/install/arm64/initramfs.xz')!;

describe('kernel modules', () => {
  test('get index files together with those of the base', async () => {
    await using workplace = await testWorkplace();
    const base = await withMicrocode(await baseInitramfs(workplace.platform));
    const request = await prepared(workplace, [DRIVER, PLAIN], INITRAMFS, base);
    const tree = await modulesOf(await built(workplace, request), base, workplace.platform);
    const text = async (name: string): Promise<string> =>
      new TextDecoder().decode(await read(fileAt(tree, `${MODULES}/${name}`)!));
    assert.equal(await text('modules.dep'), 'kernel/base.ko:\nextras/driver.ko: kernel/base.ko\n');
    assert.match(await text('modules.alias'), /^alias pci:v1\* driver$/m);
    assert.equal(await text('modules.order'), 'kernel/base.ko\n');
    assert.ok(fileAt(tree, `${MODULES}/modules.dep.bin`) !== undefined);
    assert.equal(fileAt(tree, `${MODULES}/extras/driver.ko`), undefined);
  });

  test('of the extension go before those of the same name of the base', async () => {
    await using workplace = await testWorkplace();
    const base = await baseInitramfs(workplace.platform);
    const other = extensionTree({ [`${MODULES}/extras/base.ko`]: kernelModule({ info: ['license=MIT'] }) });
    const bytes = await built(workplace, await prepared(workplace, [other], INITRAMFS, base));
    const tree = await modulesOf(bytes, base, workplace.platform);
    const dependencies = await read(fileAt(tree, `${MODULES}/modules.dep`)!);
    assert.equal(new TextDecoder().decode(dependencies), 'extras/base.ko:\n');
  });

  test('for another kernel are refused, both named', async () => {
    await using workplace = await testWorkplace();
    const base = await baseInitramfs(workplace.platform, '6.12.1-own');
    const request = await prepared(workplace, [DRIVER], INITRAMFS, base);
    const building = built(workplace, request);
    await assert.rejects(
      building,
      rejected(
        'dependency',
        /extension-0: \/usr\/lib\/modules: modules for kernel 6\.18\.45-talos, the initramfs has kernel 6\.12\.1-own \(rule modules\)/,
      ),
    );
  });

  test('for another kernel than the one given are refused, both named', async () => {
    await using workplace = await testWorkplace();
    const base = await baseInitramfs(workplace.platform);
    const request = await prepared(workplace, [DRIVER], { arch: 'amd64', output: { kind: 'uki' } }, base);
    await assert.rejects(
      built(workplace, request),
      rejected('dependency', /^kernel 6\.18\.44-synthetic: the modules .* are for 6\.18\.45-talos$/),
    );
  });

  test('need an initramfs that has some', async () => {
    await using workplace = await testWorkplace();
    const building = built(workplace, await prepared(workplace, [DRIVER]));
    await assert.rejects(building, rejected('dependency', /^kernel modules: /));
  });

  async function modulesOf(initramfs: Bytes, base: Uint8Array, { compression }: Platform): Promise<Tree> {
    const { late } = await takeApart(initramfs, ofMemory(base), compression);
    const list = new TextDecoder().decode(await read(fileAt(late, 'extensions.yaml')!));
    assert.match(list, new RegExp(`image: modules\\.dep\\.sqsh[^]*version: ${KERNEL}`));
    return (await decodeSquashfs(fileAt(late, 'modules.dep.sqsh')!, compression)).tree;
  }
});

describe('planning', () => {
  test('names every extension with its digest, in order, and all there is to warn of', async () => {
    await using workplace = await testWorkplace();
    const suspicious = extensionTree({ 'opt/x': 'x' });
    const request = await prepared(workplace, [PLAIN, suspicious]);
    const { inputs, warnings } = await planned(workplace, request);
    const images = await Promise.all([PLAIN, suspicious].map((tree) => extensionImage(tree)));
    const { directory } = workplace;
    assert.deepEqual(
      inputs.filter(({ role }) => role === 'system-extension'),
      images.map(({ manifest }, index) => ({
        role: 'system-extension',
        reference: `oci:${directory}/extension-${index}`,
        digest: digestOf(manifest),
      })),
    );
    assert.deepEqual(warnings, [
      `system extension oci:${directory}/extension-1: /opt/x: not a place for files of extensions (rule contents)`,
    ]);
  });

  test('refuses all broken ones at once', async () => {
    await using workplace = await testWorkplace();
    const broken = extensionTree({ 'usr/local/etc/containers/a.yaml': 'name: A B\n' }, { constraint: '>= 9.0.0' });
    const request = await prepared(workplace, [broken, treeOfLiterals({ 'manifest.yaml': 'version: v1' }), PLAIN]);
    await assert.rejects(planned(workplace, request), (error: Error) => {
      const lines = error.message.split('\n').map((line) => line.replace(/^oci:\S*extension-/, ''));
      assert.deepEqual(
        lines.map((line) => /\(rule (\w+)\)$/.exec(line)?.[1]),
        ['layout', 'version', 'service', 'service', 'service'],
      );
      assert.match(lines.join('\n'), /^0: \/usr\/local\/etc\/containers\/a\.yaml:1:7: name: "A B": want letters/m);
      return true;
    });
  });

  test('contacts nothing unless it resolves', async () => {
    await using workplace = await testWorkplace();
    const given = { ...INITRAMFS, input: { systemExtensions: [{ imageRef: 'example.org/extension:v1' }] } };
    const { inputs, hosts } = await planBuild(workplace, testRequest(given), { resolve: false });
    assert.deepEqual(inputs.at(-1), { role: 'system-extension', reference: 'example.org/extension:v1', digest: null });
    assert.ok(hosts.includes('example.org'));
  });

  test('a plan holds to its extensions, whatever a name or a file says by then', async () => {
    await using workplace = await testWorkplace();
    const tarball = join(workplace.directory, 'extension.tar');
    await writeFile(tarball, await read(layoutTar(PLAIN)));
    await writeFiles(join(workplace.directory, 'assets'), assetFiles());
    const input = { systemExtensions: [{ tarballPath: tarball }] };
    const request = testRequest({ ...INITRAMFS, input }, { assets: `dir:${workplace.directory}/assets` });
    const plan = await planned(workplace, request);
    await writeFile(tarball, await read(layoutTar(DRIVER)));
    await assert.rejects(build(workplace, request, plan), rejected('verification', /extension\.tar: .*the plan wants/));
  });

  test('command lines and kernels have no use for them', async () => {
    await using workplace = await testWorkplace();
    for (const kind of ['cmdline', 'kernel'] as const) {
      const { inputs, unsupported } = await planned(
        workplace,
        await prepared(workplace, [PLAIN], { output: { kind } }),
      );
      assert.deepEqual([inputs.filter(({ role }) => role === 'system-extension'), unsupported], [[], []]);
    }
  });
});

describe('hostile archives', () => {
  const manifest = { name: 'manifest.yaml', data: manifestText() };
  const cases: readonly (readonly [string, Parameters<typeof tar>[0], RegExp])[] = [
    ['a name that leaves', [manifest, { name: 'rootfs/../../etc/passwd', data: 'x' }], /etc\/passwd/],
    ['a hard link that leaves', [manifest, { name: 'rootfs/x', type: '1', link: '../../etc/shadow' }], /etc\/shadow/],
    ['a size past the end', [manifest, { name: 'rootfs/x', data: 'x', size: 2 ** 32 }], /extension\.tar/],
    ['no archive', [], /manifest\.yaml is missing.*\(rule layout\)/],
  ];
  for (const [what, entries, message] of cases) {
    test(what, async () => {
      await using workplace = await testWorkplace();
      const tarball = join(workplace.directory, 'extension.tar');
      await writeFile(tarball, tar(entries));
      await writeFiles(join(workplace.directory, 'assets'), assetFiles());
      const input = { systemExtensions: [{ tarballPath: tarball }] };
      const request = testRequest({ ...INITRAMFS, input }, { assets: `dir:${workplace.directory}/assets` });
      await assert.rejects(planned(workplace, request), rejected('dependency', message));
    });
  }
});

test('a UKI carries them', async () => {
  await using workplace = await testWorkplace();
  const { compression } = workplace.platform;
  const uki = await readPe(
    await built(workplace, await prepared(workplace, [PLAIN], { output: { kind: 'uki' } })),
    'UKI',
  );
  const initramfs = sectionContent(uki.sections.find(({ name }) => name === '.initrd')!);
  const { late } = await takeApart(initramfs, BASE, compression);
  const { tree } = await decodeSquashfs(fileAt(late, '0.sqsh')!, compression);
  assert.equal(new TextDecoder().decode(await read(fileAt(tree, 'usr/local/bin/hello')!)), 'hello');
});

describe('the same extensions', () => {
  test('are packed once, and give the same bytes in another place', async () => {
    await using first = await testWorkplace();
    await using second = await testWorkplace();
    const packed: string[] = [];
    const base = await baseInitramfs(first.platform);
    const onProgress = ({ task, done }: ProgressEvent): void => {
      if (task.startsWith('packing') && done > 0) packed.push(task);
    };
    const results: [string, string][] = [];
    for (const workplace of [first, first, second]) {
      const watched = { ...workplace, onProgress };
      const request = await prepared(workplace, [DRIVER, PLAIN], INITRAMFS, base);
      const plan = await planned(workplace, request);
      const { bytes } = await build(watched, request, plan);
      results.push([digestOf(await read(bytes)), planDigest(plan)]);
      if (results.length === 2) assert.equal(new Set(packed).size, 2);
      if (results.length < 3) assert.equal(packed.length, 2, 'packed again');
    }
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
  });

  test('come from registries by digest', async () => {
    await using workplace = await testWorkplace();
    const registry = await startRegistry();
    try {
      registry.serve('ext/plain', 'v1', await extensionImage(PLAIN));
      await writeFiles(join(workplace.directory, 'assets'), assetFiles());
      const systemExtensions = [{ imageRef: `${registry.host}/ext/plain:v1` }];
      const request = testRequest(
        { ...INITRAMFS, input: { systemExtensions } },
        { assets: `dir:${workplace.directory}/assets` },
      );
      const { late } = await takeApart(await built(workplace, request), BASE, workplace.platform.compression);
      assert.ok(fileAt(late, '0.sqsh') !== undefined);
    } finally {
      await registry.close();
    }
  });
});

test('an embedded configuration with mistakes is refused', async () => {
  await using workplace = await testWorkplace();
  const customization = { embeddedMachineConfiguration: 'machine:\n  type: boss\n' };
  const request = await prepared(workplace, [], { output: { kind: 'uki' }, customization });
  await assert.rejects(
    planned(workplace, request),
    rejected('invalid-input', /^embedded machine configuration:2:9: machine\.type: /m),
  );
  const { warnings } = await planned(workplace, { ...request, skipNetworkCheck: true });
  assert.deepEqual(warnings, []);
});

test('an embedded configuration is the last extension', async () => {
  await using workplace = await testWorkplace();
  const request = await prepared(workplace, [PLAIN], {
    output: { kind: 'uki' },
    customization: { embeddedMachineConfiguration: CONFIG },
  });
  const uki = await readPe(await built(workplace, request), 'UKI');
  const initramfs = sectionContent(uki.sections.find(({ name }) => name === '.initrd')!);
  const { late } = await takeApart(initramfs, BASE, workplace.platform.compression);
  const { tree } = await decodeSquashfs(fileAt(late, '1.sqsh')!, workplace.platform.compression);
  const config = tree.byPath.get('usr/local/etc/talos/config.yaml');
  assert.ok(config?.kind === 'file');
  assert.equal(new TextDecoder().decode(await read(config.content)), CONFIG);
  assert.equal(config.mode, 0o400);
  const label = config.xattrs?.get('security.selinux');
  assert.equal(new TextDecoder().decode(label), 'system_u:object_r:system_state_t:s0');
});

test('what is odd about an extension is said once: by the plan, or by a build whose plan did not look', async () => {
  await using workplace = await testWorkplace();
  const request = await prepared(workplace, [extensionTree({ 'usr/localx': 'x' })]);
  for (const resolve of [true, false]) {
    const said: string[] = [];
    const watched = { ...workplace, onWarning: (text: string) => said.push(text) };
    const plan = await planBuild(watched, request, { resolve });
    await build(watched, request, plan);
    const all = [...plan.warnings, ...said].filter((text) => text.includes('/usr/localx: not below /usr/local'));
    assert.equal(all.length, 1, all.join('\n'));
  }
});

test('a plan is named by who packs its extensions, too', async () => {
  await using workplace = await testWorkplace();
  const request = await prepared(workplace, [PLAIN]);
  const { platform } = workplace;
  const encoders = { ...platform.compression.encoders, zstd: 'another zstd' };
  const compression: Platform['compression'] = Object.create(platform.compression, { encoders: { value: encoders } });
  const elsewhere = { ...workplace, platform: { ...platform, compression } };
  const [here, there] = await Promise.all(
    [workplace, elsewhere].map((one) => planBuild(one, request, { resolve: true })),
  );
  assert.notEqual(planDigest(there!), planDigest(here!));
  const plain = testRequest(INITRAMFS, { assets: `dir:${join(workplace.directory, 'assets')}` });
  const digests = await Promise.all(
    [workplace, elsewhere].map(async (one) => planDigest(await planBuild(one, plain, { resolve: true }))),
  );
  assert.equal(digests[1], digests[0]);
});
