import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { ofMemory } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { ImagerError } from '../../src/errors.ts';
import { indexTarBytes } from '../../src/formats/tar/tar-index.ts';
import { openArchive } from '../../src/oci/local/archive.ts';
import { openLayout } from '../../src/oci/local/layout.ts';
import { openStore } from '../../src/oci/store/store.ts';
import { build } from '../../src/pipeline/build.ts';
import { buildInstaller, type InstallerArtifact, writeInstallerLayout } from '../../src/pipeline/installer-artifact.ts';
import { pushInstaller } from '../../src/pipeline/installer-push.ts';
import { type Plan, type PlanRequest, planBuild } from '../../src/pipeline/plan.ts';
import { planDigest } from '../../src/pipeline/plan-digest.ts';
import type { Workplace } from '../../src/pipeline/workplace.ts';
import { writeArtifact } from '../../src/pipeline/write-artifact.ts';
import { parseProfile } from '../../src/profiles/parse.ts';
import type { GivenProfile } from '../../src/profiles/profile.ts';
import { finaliseProfile, resolveProfile } from '../../src/profiles/resolve.ts';
import { digestOf, OCI_LAYER, testImage, testIndex, writeLayout } from '../support/image.ts';
import { INSTALLER_CASES, type InstallerCase, writeVectorLayout } from '../support/installer-vectors.ts';
import {
  assetFiles,
  assetImage,
  EPOCH,
  type TestWorkplace,
  testRequest,
  testWorkplace,
  untouchablePlatform,
} from '../support/pipeline.ts';
import { startPushRegistry } from '../support/push-registry.ts';
import { startRegistry } from '../support/registry.ts';
import { tar } from '../support/tar.ts';
import { syntheticInput } from '../support/uki-inputs.ts';

/** A workplace with an imager image and the base installers of the vectors in it. */
async function installerWorkplace(): Promise<TestWorkplace> {
  const workplace = await testWorkplace();
  const { directory } = workplace;
  const images = testIndex([await assetImage(assetFiles(), 'amd64'), await assetImage(assetFiles(), 'arm64')]);
  await writeLayout(join(directory, 'assets'), { v1: images });
  for (const name of ['base1', 'base2', 'base3']) await writeVectorLayout(directory, name);
  return workplace;
}

function requestIn({ directory }: TestWorkplace, given: GivenProfile = {}, base = 'base1'): PlanRequest {
  const baseInstaller = { ociPath: join(directory, base) };
  return testRequest(
    { baseProfileName: 'installer', ...given, input: { baseInstaller, ...given.input } },
    { assets: `oci:${join(directory, 'assets')}:v1` },
  );
}

async function built(workplace: Workplace, request: PlanRequest, resolve = false): Promise<InstallerArtifact> {
  return buildInstaller(workplace, request, await planBuild(workplace, request, { resolve }));
}

interface Config {
  readonly architecture: string;
  readonly created: string;
  readonly rootfs: { readonly diff_ids: readonly string[] };
  readonly config: Readonly<Record<string, unknown>>;
}

async function configOf({ image }: InstallerArtifact): Promise<Config> {
  return JSON.parse(new TextDecoder().decode(await read(image.config.bytes))) as Config;
}

async function errorOf(promise: Promise<unknown>): Promise<ImagerError> {
  const error = await promise.then(
    () => assert.fail('nothing was refused'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ImagerError, String(error));
  return error;
}

describe('what upstream puts into installers', () => {
  for (const one of INSTALLER_CASES.filter(isBuildable)) {
    test(one.id, async () => {
      await using workplace = await testWorkplace();
      await writeVectorLayout(workplace.directory, 'base1');
      const request = await requestOf(workplace.directory, one);
      const plan = await planBuild(workplace, request, { resolve: false });
      assert.equal(plan.cmdline, one.cmdline);
      // Upstream's vectors have a kernel for amd64 in every installer, and upstream does not look.
      if (request.profile.arch === 'arm64') {
        const { message } = await errorOf(buildInstaller(workplace, request, plan));
        assert.match(message, /^kernel: a bzImage for amd64, want one for arm64$/);
        return;
      }
      const artifact = await buildInstaller(workplace, request, plan);
      assert.equal(artifact.name, one.outputs[0]!.name);
      await checkLayers(artifact, one);
    });
  }
});

/** SecureBoot, extensions and overlays are others' business; `vectors.test.ts` in test/installer compares all that does not depend on them. */
function isBuildable({ rc, profile }: InstallerCase): boolean {
  return rc === 0 && !/secureboot: true|systemExtensions|overlay:/.test(profile);
}

async function requestOf(directory: string, one: InstallerCase): Promise<PlanRequest> {
  const paths = [...one.profile.matchAll(/\/syn\/(\S+)/g)].map(([, name]) => name!);
  await mkdir(join(directory, 'syn'));
  for (const name of paths) await writeFile(join(directory, 'syn', name), syntheticInput(name));
  const text = one.profile.replaceAll('/syn/', `${directory}/syn/`).replaceAll('/oci/', `${directory}/`);
  const { profile } = parseProfile(text, { file: one.id });
  const final = finaliseProfile(resolveProfile(profile), { defaultVersion: `v${one.imager}` });
  return { profile: final, epoch: Number(one.sourceDateEpoch) };
}

/** The UKI's picture is ours, and the kernel's version is read from the kernel, for upstream's own release too. */
const OUR_SECTIONS = ['.splash', '.uname'];

async function checkLayers({ image }: InstallerArtifact, { id, installer }: InstallerCase): Promise<void> {
  const layers = await Promise.all(image.layers.map(async ({ bytes }) => gunzipSync(await read(bytes))));
  assert.equal(layers.length, installer!.layers.length);
  for (const [index, expected] of installer!.layers.entries()) {
    const archive = layers[index]!;
    const entries = await indexTarBytes(ofMemory(archive));
    assert.deepEqual(
      entries.map(({ name, mode }) => [name, mode]),
      expected.members.map(({ name, mode }) => [name, Number.parseInt(mode, 8)]),
    );
    for (const [number, { name, sha256 }] of expected.members.entries()) {
      const entry = entries[number]!;
      if (entry.kind !== 'file' || sha256 === undefined) continue;
      const content = archive.subarray(entry.offset, entry.offset + entry.size);
      if (name.endsWith('vmlinuz.efi')) checkUki(content, installer!.ukiSections!, id);
      else assert.equal(createHash('sha256').update(content).digest('hex'), sha256, name);
    }
  }
}

function checkUki(uki: Buffer, expected: NonNullable<InstallerCase['installer']>['ukiSections'], id: string): void {
  const header = uki.readUInt32LE(0x3c);
  const table = header + 24 + uki.readUInt16LE(header + 20);
  const sections = Array.from({ length: uki.readUInt16LE(header + 6) }, (_, index) => {
    const at = table + 40 * index;
    const [size, rawSize, offset] = [uki.readUInt32LE(at + 8), uki.readUInt32LE(at + 16), uki.readUInt32LE(at + 20)];
    const content = uki.subarray(offset, offset + Math.min(size, rawSize));
    const name = uki.toString('latin1', at, at + 8).replace(/\0.*/s, '');
    return { name, sha256: createHash('sha256').update(content).digest('hex') };
  });
  const compared = (list: readonly { readonly name: string; readonly sha256: string }[]): object[] =>
    list.filter(({ name }) => !OUR_SECTIONS.includes(name));
  assert.deepEqual(compared(sections), compared(expected!), id);
}

describe('the base installer', () => {
  test('of two layers loses the second, of others none; its configuration stays', async () => {
    await using workplace = await installerWorkplace();
    const two = await built(workplace, requestIn(workplace, {}, 'base2'));
    assert.equal(two.image.layers.length, 2);
    assert.deepEqual((await configOf(two)).config, {
      Entrypoint: ['/usr/bin/installer'],
      User: '1',
      Volumes: { '/v': {} },
      ExposedPorts: { '80/tcp': {} },
      StopSignal: 'SIGTERM',
    });
    const three = await built(workplace, requestIn(workplace, {}, 'base3'));
    assert.equal(three.image.layers.length, 4);
    assert.deepEqual((await configOf(three)).config, {});
  });

  test('is the one for the architecture', async () => {
    await using workplace = await installerWorkplace();
    for (const arch of ['amd64', 'arm64']) {
      const artifact = await built(workplace, requestIn(workplace, { arch }));
      assert.deepEqual(artifact.image.platform, { os: 'linux', architecture: arch });
      assert.equal((await configOf(artifact)).architecture, arch);
    }
  });

  test('in Docker’s words is carried over in OCI’s, its bytes as they are', async () => {
    await using workplace = await installerWorkplace();
    const data = tar([{ name: 'usr/bin/installer', data: 'x' }]);
    const image = testImage([{ data, mediaType: 'application/vnd.docker.image.rootfs.diff.tar' }]);
    await writeLayout(join(workplace.directory, 'docker'), { v1: image });
    const { image: ours } = await built(workplace, requestIn(workplace, { arch: 'amd64' }, 'docker'));
    assert.deepEqual(ours.layers[0]!.descriptor, { mediaType: OCI_LAYER, digest: digestOf(data), size: data.length });
  });

  test('is one of several in a layout', async () => {
    await using workplace = await installerWorkplace();
    const layers = ['a', 'b'].map((data) => tar([{ name: 'usr/bin/installer', data }]));
    const [a, b] = layers.map((data) => testImage([{ data }], { os: 'linux', architecture: 'amd64' }));
    await writeLayout(join(workplace.directory, 'several'), { a: a!, b: b! });
    const { image } = await built(workplace, requestIn(workplace, { arch: 'amd64' }, 'several:b'));
    assert.equal(image.layers[0]!.descriptor.digest, digestOf(layers[1]!));
  });

  test('is planned with its digest and its hosts', async () => {
    await using workplace = await installerWorkplace();
    const plan = await planBuild(workplace, requestIn(workplace, { arch: 'amd64' }), { resolve: true });
    assert.deepEqual(plan.inputs.at(-1), {
      role: 'base-installer',
      reference: `oci:${join(workplace.directory, 'base1')}`,
      digest: 'sha256:5675957a23b7f9b024e0b90d41986a13b20ef560014d20cdfd33a7263e4b63e2',
    });
    const unresolved = await planBuild(
      { platform: untouchablePlatform(), store: '/nonexistent', transport: {} },
      testRequest({
        baseProfileName: 'installer',
        input: { baseInstaller: { imageRef: 'base.example/installer:v1' } },
      }),
      { resolve: false },
    );
    assert.deepEqual(unresolved.inputs.at(-1), {
      role: 'base-installer',
      reference: 'base.example/installer:v1',
      digest: null,
    });
    assert.deepEqual(unresolved.hosts, ['ghcr.io', 'base.example']);
  });

  test('that changed since it was planned is refused', async () => {
    await using workplace = await installerWorkplace();
    const request = requestIn(workplace, { arch: 'amd64' });
    const plan = await planBuild(workplace, request, { resolve: true });
    const inputs = plan.inputs.map((input) =>
      input.role === 'base-installer' ? { ...input, digest: digestOf('other') } : input,
    );
    const error = await errorOf(build(workplace, request, { ...plan, inputs }));
    assert.match(error.message, /blob sha256:\S+ is not there/);
  });

  const refused: readonly (readonly [
    what: string,
    make: (directory: string) => Promise<GivenProfile>,
    code: string,
    message: RegExp,
  ])[] = [
    [
      'of another architecture',
      async (directory) => {
        await writeLayout(join(directory, 'other'), {
          v1: testImage([{ data: tar([]) }], { os: 'linux', architecture: 'arm64' }),
        });
        return { arch: 'amd64', input: { baseInstaller: { ociPath: join(directory, 'other') } } };
      },
      'dependency',
      /no image for linux\/amd64, it has linux\/arm64/,
    ],
    [
      'that is no image',
      async (directory) => {
        const config = new TextEncoder().encode('{}');
        const manifest = new TextEncoder().encode(
          JSON.stringify({
            schemaVersion: 2,
            mediaType: 'application/vnd.oci.image.manifest.v1+json',
            config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(config), size: 2 },
            layers: [],
          }),
        );
        const artifact = {
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          manifest,
          children: [],
          blobs: [config],
        };
        await writeLayout(join(directory, 'artifact'), { v1: artifact });
        return { input: { baseInstaller: { ociPath: join(directory, 'artifact') } } };
      },
      'unsupported',
      /an artifact of type application\/vnd\.oci\.empty/,
    ],
    [
      'as a tarball',
      async () => ({ input: { baseInstaller: { tarballPath: '/x/base.tar' } } }),
      'invalid-input',
      /^input\.baseInstaller\.tarballPath \/x\/base\.tar: a root file system has no layers/,
    ],
    [
      'in a directory that is no layout',
      async (directory) => ({ input: { baseInstaller: { ociPath: directory } } }),
      'invalid-input',
      /no OCI image layout/,
    ],
    [
      'by a reference that is none',
      async () => ({ input: { baseInstaller: { imageRef: 'Bad Ref' } } }),
      'invalid-input',
      /image reference "Bad Ref"/,
    ],
    [
      'in a layout without a path',
      async () => ({ input: { baseInstaller: { ociPath: ':x' } } }),
      'invalid-input',
      /^input\.baseInstaller\.ociPath ":x": want DIR or DIR:NAME$/,
    ],
    [
      'by a name that cannot be loaded, though it is here',
      async (directory) => ({
        input: { baseInstaller: { ociPath: join(directory, 'base1'), imageRef: 'example.org/x' } },
      }),
      'invalid-input',
      /example\.org\/x/,
    ],
  ];
  for (const [what, make, code, message] of refused) {
    test(`${what} is refused`, async () => {
      await using workplace = await installerWorkplace();
      const error = await errorOf(built(workplace, requestIn(workplace, await make(workplace.directory))));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
    });
  }

  test('is pulled by its reference, and known to be there when it is pushed', async () => {
    await using workplace = await installerWorkplace();
    const registry = await startRegistry();
    try {
      const data = tar([{ name: 'usr/bin/installer', data: 'x' }]);
      registry.serve('siderolabs/installer-base', 'v1', testImage([{ data }], { os: 'linux', architecture: 'arm64' }));
      const baseInstaller = { imageRef: `${registry.host}/siderolabs/installer-base:v1` };
      const { image } = await built(workplace, requestIn(workplace, { input: { baseInstaller } }));
      const [{ registry: host, repository }] = image.layers[0]!.origins as [{ registry: string; repository: string }];
      assert.deepEqual([host, repository], [registry.host, 'siderolabs/installer-base']);
      assert.deepEqual(image.layers[1]!.origins, []);
    } finally {
      await registry.close();
    }
  });
});

describe('the same installer', () => {
  test('has the same digests from another directory and another store', async () => {
    const digests: string[] = [];
    for (let turn = 0; turn < 2; turn++) {
      await using workplace = await installerWorkplace();
      const artifact = await built(workplace, requestIn(workplace));
      digests.push(`${artifact.image.manifest.digest} ${digestOf(await read(artifact.bytes))}`);
    }
    assert.equal(digests[0], digests[1]);
  });

  test('comes by `build` as by `buildInstaller`', async () => {
    await using workplace = await installerWorkplace();
    const request = requestIn(workplace);
    const plan: Plan = await planBuild(workplace, request, { resolve: true });
    const artifact = await build(workplace, request, plan);
    assert.deepEqual([artifact.name, artifact.mediaType], ['installer-arm64.tar', 'application/x-tar']);
    const other = await buildInstaller(workplace, request, plan);
    assert.equal(digestOf(await read(artifact.bytes)), digestOf(await read(other.bytes)));
  });

  test('has another plan digest under another name: the archive has the name in it', async () => {
    await using workplace = await installerWorkplace();
    const digests = new Set<string>();
    for (const imageRef of ['', 'a.example/base:v1', 'a.example/base:v2']) {
      const baseInstaller = { ociPath: join(workplace.directory, 'base1'), imageRef };
      const request = requestIn(workplace, { input: { baseInstaller } });
      digests.add(planDigest(await planBuild(workplace, request, { resolve: true })));
    }
    assert.equal(digests.size, 3);
  });

  test('is compressed when it is asked for', async () => {
    await using workplace = await installerWorkplace();
    const plain = await built(workplace, requestIn(workplace));
    const packed = await built(workplace, requestIn(workplace, { output: { kind: 'installer', outFormat: '.gz' } }));
    assert.equal(packed.name, 'installer-arm64.tar.gz');
    assert.equal(digestOf(gunzipSync(await read(packed.bytes))), digestOf(await read(plain.bytes)));
  });

  test('is the time of its epoch', async () => {
    await using workplace = await installerWorkplace();
    assert.equal(
      (await configOf(await built(workplace, requestIn(workplace)))).created,
      new Date(EPOCH * 1000).toISOString().replace('.000', ''),
    );
  });
});

test('what is well compressible is compressed, what is not is stored', async () => {
  await using workplace = await installerWorkplace();
  const directory = join(workplace.directory, 'own');
  await mkdir(directory);
  const kernel = Buffer.alloc(4 << 20, 'a kernel that nobody compressed ');
  kernel.write('ARM\x64', 0x38, 'latin1');
  await writeFile(join(directory, 'kernel'), kernel);
  const artifact = await built(
    workplace,
    requestIn(workplace, { version: 'v1.9.0', input: { kernel: { path: join(directory, 'kernel') } } }),
  );
  const { bytes, descriptor } = artifact.image.layers.at(-1)!;
  assert.ok(bytes.size < 1 << 20, `${bytes.size}`);
  const data = await read(bytes);
  assert.equal(digestOf(data), descriptor.digest);
  assert.equal(digestOf(gunzipSync(data)), (await configOf(artifact)).rootfs.diff_ids.at(-1));
});

describe('an archive', () => {
  test('is read back as the same image', async () => {
    await using workplace = await installerWorkplace();
    const { platform, directory } = workplace;
    const artifact = await built(
      workplace,
      requestIn(workplace, {
        input: { baseInstaller: { ociPath: join(directory, 'base1'), imageRef: 'a.example/base:v1' } },
      }),
    );
    const path = await writeArtifact(platform, artifact, join(directory, 'out'));
    const store = await openStore(platform, join(directory, 'other-store'));
    const source = await openArchive(platform, 'docker-archive', path);
    const image = await store.pull(source, 'a.example/base:v1', { platform: { os: 'linux', architecture: 'arm64' } });
    assert.deepEqual(
      image.layers.map(({ descriptor }) => descriptor.digest),
      artifact.image.layers.map(({ descriptor }) => descriptor.digest),
    );
    assert.equal(image.manifest.config.digest, artifact.image.config.descriptor.digest);
    const install = [...image.tree.byPath.keys()].filter((one) => /^usr\/install\/arm64\/./.test(one));
    assert.deepEqual(install, ['usr/install/arm64/systemd-boot.efi', 'usr/install/arm64/vmlinuz.efi']);
  });
});

describe('an OCI layout', () => {
  test('has one architecture as a manifest, several as an index, others beside them', async () => {
    await using workplace = await installerWorkplace();
    const { platform, directory } = workplace;
    const layout = join(directory, 'result');
    const arm64 = await built(workplace, requestIn(workplace));
    const amd64 = await built(workplace, requestIn(workplace, { arch: 'amd64' }));
    assert.equal(await writeInstallerLayout(workplace, [arm64], layout, 'one'), arm64.image.manifest.digest);
    await writeInstallerLayout(workplace, [amd64], layout, 'both');
    const index = await writeInstallerLayout(workplace, [amd64, arm64], layout, 'both');
    const source = await openLayout(platform, layout);
    assert.equal((await source.manifest('one')).digest, arm64.image.manifest.digest);
    assert.equal((await source.manifest('both')).digest, index);
    const store = await openStore(platform, join(directory, 'other-store'));
    for (const { image } of [amd64, arm64]) {
      const pulled = await store.pull(source, 'both', { platform: image.platform });
      assert.equal(pulled.manifestDigest, image.manifest.digest);
    }
    const { manifests } = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as { manifests: unknown[] };
    assert.equal(manifests.length, 2);
  });

  test('is not made of a directory with something else in it', async () => {
    await using workplace = await installerWorkplace();
    const artifact = await built(workplace, requestIn(workplace));
    const error = await errorOf(writeInstallerLayout(workplace, [artifact], workplace.directory, 'v1'));
    assert.match(error.message, /a directory with something else in it/);
  });
});

test('a push uploads both architectures under one tag', async () => {
  await using workplace = await installerWorkplace();
  await using registry = await startPushRegistry();
  const artifacts = [
    await built(workplace, requestIn(workplace, { arch: 'amd64' })),
    await built(workplace, requestIn(workplace)),
  ];
  const target = { registry: registry.host, repository: 'me/installer', tag: 'v1.13.0' };
  const { digest, blobs } = await pushInstaller(workplace, artifacts, target);
  // Two configurations, two layers of our own, and the base's, which is the same for both.
  assert.equal(blobs.length, 5);
  assert.equal(digestOf(registry.manifests.get('me/installer v1.13.0')!.data), digest);
  const offline = { ...workplace, transport: { offline: true } };
  assert.match((await errorOf(pushInstaller(offline, artifacts, target))).message, /offline nothing is contacted/);
});
