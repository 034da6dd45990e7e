/** The same wishes and the same assets give the same bytes, wherever, whenever and by whomever they are built. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { writeToFile } from '../../src/bytes/write.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { treeOfLiterals } from '../../src/tree/tree.ts';
import { type ImagerOptions, runImager, sha256OfFile } from '../support/imager-process.ts';
import { writeVectorLayout } from '../support/installer-vectors.ts';
import { otherNode } from '../support/other-node.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import {
  buildableArchitecture,
  imageOfLayout,
  type SyntheticAssets,
  type SyntheticOptions,
  syntheticFiles,
  writeSyntheticAssets,
} from '../support/synthetic-assets.ts';
import { skipWithout } from '../support/tools.ts';

const execute = promisify(execFile);
const NETWORK = fileURLToPath(new URL('../../examples/network.yaml', import.meta.url));
const CONTENT: SyntheticOptions = { initramfsSize: 3 * 2 ** 20, grubPlatforms: ['i386-pc', 'x86_64-efi'] };
const hasGrub = buildableArchitecture() === 'amd64';

const BASE_INSTALLER = ['--base-installer-image', 'oci:DIRECTORY/base1'];

/** What is built; names say of which kind. `DIRECTORY` is that of the test. */
const WISHES: Readonly<Record<string, readonly string[]>> = {
  ...(hasGrub
    ? {
        'hybrid ISO': ['iso', '--arch', 'amd64', '--talos-version', 'v1.13.0', '--meta', `0xa=@${NETWORK}`],
        'GRUB ISO': ['iso', '--arch', 'amd64', '--talos-version', 'v1.9.0', '--extra-kernel-arg', 'console=ttyS0'],
      }
    : {}),
  'disk image': ['metal', '--arch', 'arm64', '--talos-version', 'v1.13.0', '--image-disk-size', '5GiB'],
  'UEFI ISO': ['iso', '--arch', 'arm64', '--talos-version', 'v1.13.0', '--meta', '0xc=text'],
  installer: ['installer', '--arch', 'arm64', '--talos-version', 'v1.13.0', ...BASE_INSTALLER],
  UKI: ['iso', '--output-kind', 'uki', '--arch', 'amd64', '--talos-version', 'v1.14.0'],
};
const ISO = hasGrub ? 'hybrid ISO' : 'UEFI ISO';

const platform = nodePlatform({});
let directory: string;
let assets: SyntheticAssets;
let registry: TestRegistry;
const wanted = new Map<string, string>();
let places = 0;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootwright-determinism-'));
  assets = await writeSyntheticAssets(join(directory, 'assets'), CONTENT);
  await writeVectorLayout(directory, 'base1');
  registry = await startRegistry();
  registry.serve('team/imager', assets.tag, await imageOfLayout(assets));
  for (const wish of Object.keys(WISHES)) wanted.set(wish, await digestOfBuild(wish));
});
after(async () => {
  await registry?.close();
  await platform.close();
  await rm(directory, { recursive: true });
});

function wordsOf(wish: string): string[] {
  return WISHES[wish]!.map((word) => word.replace('DIRECTORY', directory));
}

interface Circumstances extends ImagerOptions {
  readonly source?: string;
  /** A store that is there already; else an empty one. */
  readonly store?: string;
}

/** Builds into a directory of its own. */
async function digestOfBuild(wish: string, circumstances: Circumstances = {}): Promise<string> {
  const { source = assets.source, environment, ...options } = circumstances;
  const place = join(directory, `place-${places++}`);
  const output = join(place, 'output');
  const paths = ['--imager-image', source, '--store', circumstances.store ?? join(place, 'store'), '-o', output];
  const { code, stderr, stdout } = await runImager([...wordsOf(wish), ...paths, '--quiet', '--json'], {
    ...options,
    environment: { XDG_CACHE_HOME: join(directory, 'cache'), ...environment },
  });
  assert.equal(code, 0, stderr);
  const { path } = JSON.parse(stdout.toString()) as { readonly path: string };
  const digest = await sha256OfFile(path);
  await rm(output, { recursive: true });
  return digest;
}

const KATHMANDU: Circumstances = {
  environment: { TZ: 'Asia/Kathmandu', LANG: 'de_DE.UTF-8', LC_ALL: 'de_DE.UTF-8', HOME: '/var/empty' },
  before: 'umask 077',
};
const UTC: Circumstances = { environment: { TZ: 'UTC', LANG: 'C', LC_ALL: 'C' }, before: 'umask 022' };

for (const wish of Object.keys(WISHES)) {
  describe(wish, () => {
    const same = (name: string, circumstances: Circumstances): void => {
      test(name, async () => assert.equal(await digestOfBuild(wish, circumstances), wanted.get(wish)));
    };
    same('again, in other directories', {});
    same('in Kathmandu, in German, for my eyes only', KATHMANDU);
    same('in UTC, in C, for everybody', UTC);
    test('a warm store after a cold one', async () => {
      const store = join(directory, `warm ${wish}`);
      assert.equal(await digestOfBuild(wish, { store }), wanted.get(wish));
      assert.equal(await digestOfBuild(wish, { store }), wanted.get(wish));
    });
    test('from a registry', async () => {
      const source = `${registry.host}/team/imager:${assets.tag}`;
      assert.equal(await digestOfBuild(wish, { source }), wanted.get(wish));
    });
    test('another time is another image, and the same again', async () => {
      const environment = { SOURCE_DATE_EPOCH: '1700000000' };
      const digest = await digestOfBuild(wish, { environment });
      assert.notEqual(digest, wanted.get(wish));
      assert.equal(
        await digestOfBuild(wish, { ...KATHMANDU, environment: { ...KATHMANDU.environment, ...environment } }),
        digest,
      );
    });
    for (const major of [26]) {
      test(`Node ${major}`, async (t) => {
        const node = await otherNode(major);
        if (node === undefined) t.skip(`Node ${major} cannot be fetched`);
        else assert.equal(await digestOfBuild(wish, { node }), wanted.get(wish));
      });
    }
  });
}

describe('however the assets come', () => {
  const same = async (source: string): Promise<void> => {
    assert.equal(await digestOfBuild(ISO, { source }), wanted.get(ISO));
  };
  for (const packing of [
    { compression: 'none' },
    { compression: 'zstd' },
    { compression: 'gzip', oneLayer: true },
  ] as const satisfies readonly SyntheticOptions[]) {
    test(`layers packed otherwise: ${JSON.stringify(packing)}`, async () => {
      const packed = await writeSyntheticAssets(await mkdtemp(join(directory, 'packed-')), { ...CONTENT, ...packing });
      await same(packed.source);
    });
  }

  test('by a relative path and through a symbolic link', async () => {
    await symlink(assets.directory, join(directory, 'link'));
    assert.equal(await digestOfBuild(ISO, { source: `oci:link:${assets.tag}`, cwd: directory }), wanted.get(ISO));
  });

  test('an OCI archive', { skip: skipWithout('tar') }, async () => {
    const archive = join(directory, 'image.tar');
    await execute('tar', ['-C', assets.directory, '-cf', archive, 'oci-layout', 'index.json', 'blobs']);
    await same(`oci-archive:${archive}`);
  });

  test('a Docker archive', { skip: skipWithout('skopeo') }, async () => {
    const archive = join(directory, 'docker.tar');
    const architecture = ISO === 'hybrid ISO' ? 'amd64' : 'arm64';
    const options = ['--insecure-policy', `--override-arch=${architecture}`, '--override-os=linux', 'copy', '--quiet'];
    await execute('skopeo', [...options, assets.source, `docker-archive:${archive}:imager:${assets.tag}`]);
    await same(`docker-archive:${archive}`);
  });

  test('files in a directory, of another time and mode', async () => {
    const root = join(directory, 'root');
    for (const entry of treeOfLiterals(syntheticFiles(CONTENT)).entries) {
      if (entry.kind !== 'file') continue;
      const path = join(root, entry.path);
      await mkdir(dirname(path), { recursive: true });
      await writeToFile(platform.files, path, entry.content);
    }
    assert.notEqual((await stat(join(root, 'usr'))).mtimeMs, 0);
    await same(`dir:${root}`);
  });

  test('standard output in place of a file', async () => {
    const source = ['--imager-image', assets.source, '--store', join(directory, 'store-stdout')];
    const { code, stdout, stderr } = await runImager([...WISHES[ISO]!, ...source, '-o', '-', '--quiet'], {
      environment: { XDG_CACHE_HOME: join(directory, 'cache') },
    });
    assert.equal(code, 0, stderr);
    assert.equal(createHash('sha256').update(stdout).digest('hex'), wanted.get(ISO));
  });
});
