/** Installers pushed to the registry server people run, and pulled back by us and by skopeo. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { ofSource } from '../../src/bytes/bytes.ts';
import { type Digest, parseDigest } from '../../src/bytes/units.ts';
import { type ComposedImage, composeImage } from '../../src/oci/composed-image.ts';
import { OCI_LAYER } from '../../src/oci/media-types.ts';
import { pushImages } from '../../src/oci/registry/push.ts';
import { registrySource } from '../../src/oci/registry/registry.ts';
import { openStore } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/types.ts';
import { type DockerRegistry, startDockerRegistry, TEST_PASSWORD, TEST_USER } from '../support/docker-registry.ts';
import { startFaultyProxy } from '../support/faulty-proxy.ts';
import { digestOf, testImage, testIndex, writeLayout } from '../support/image.ts';
import { runImager } from '../support/imager-process.ts';
import { writeVectorLayout } from '../support/installer-vectors.ts';
import { noise, type SyntheticAssets, writeSyntheticAssets } from '../support/synthetic-assets.ts';
import { tar } from '../support/tar.ts';
import { skipWithout } from '../support/tools.ts';

const skip = skipWithout('docker-registry', 'skopeo');
const execute = promisify(execFile);
const MIB = 2 ** 20;

interface Pushed {
  readonly images: readonly { readonly architecture: string; readonly digest: Digest }[];
  readonly pushed: {
    readonly digest: Digest;
    readonly blobs: readonly { readonly digest: Digest; readonly size: number; readonly outcome: string }[];
    readonly manifests: readonly { readonly outcome: string }[];
  };
}

for (const basicAuth of [false, true]) {
  describe(`docker-registry ${basicAuth ? 'with htpasswd' : 'without login'}`, { skip }, () => {
    let directory: string;
    let registry: DockerRegistry;
    let platform: Platform;
    let assets: SyntheticAssets;
    let base: string;
    let environment: Record<string, string>;

    before(async () => {
      directory = await mkdtemp(join(tmpdir(), 'bootwright-push-'));
      registry = await startDockerRegistry({ basicAuth });
      const auth = Buffer.from(`${TEST_USER}:${TEST_PASSWORD}`).toString('base64');
      const auths = basicAuth ? { [registry.host]: { auth } } : {};
      await writeFile(join(directory, 'config.json'), JSON.stringify({ auths }));
      environment = { HOME: directory, DOCKER_CONFIG: directory, XDG_CACHE_HOME: join(directory, 'cache') };
      platform = nodePlatform(environment);
      assets = await writeSyntheticAssets(join(directory, 'assets'), { grubPlatforms: [] });
      base = await writeVectorLayout(directory, 'base1');
    });
    after(async () => {
      await platform.close();
      await registry.close();
      await rm(directory, { recursive: true });
    });

    const push = async (repository: string, baseImage: string, more: readonly string[] = []): Promise<Pushed> => {
      const { code, stdout, stderr } = await runImager(
        [
          ...['installer', '--arch', 'amd64,arm64', '--talos-version', 'v1.13.0', '--json', '--quiet'],
          ...['--imager-image', assets.source, '--base-installer-image', baseImage],
          ...['--push', `${registry.host}/${repository}:v1.13.0`, ...more],
        ],
        { environment, cwd: directory },
      );
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout.toString()) as Pushed;
    };

    const skopeo = async (...args: readonly string[]): Promise<string> => {
      const [command, ...rest] = args;
      const { stdout } = await execute(
        'skopeo',
        ['--insecure-policy', command!, '--authfile', join(directory, 'config.json'), ...rest],
        {
          env: { PATH: process.env.PATH, HOME: directory, XDG_RUNTIME_DIR: directory },
        },
      );
      return stdout;
    };

    test('both architectures come back under one digest, by skopeo and by us', async () => {
      const { images, pushed } = await push('me/installer', `oci:${base}`);
      assert.ok(pushed.blobs.every(({ outcome }) => outcome === 'uploaded'));
      const source = `docker://${registry.host}/me/installer:v1.13.0`;
      await skopeo(
        'copy',
        '--all',
        '--preserve-digests',
        '--quiet',
        '--src-tls-verify=false',
        source,
        `oci:${directory}/back:x`,
      );
      const copied = await skopeo('inspect', '--raw', `oci:${directory}/back:x`);
      assert.equal(JSON.parse(copied).manifests.length, 2);
      const names = await readdir(join(directory, 'back/blobs/sha256'));
      for (const { digest } of [pushed, ...images, ...pushed.blobs]) assert.ok(names.includes(digest.slice(7)), digest);

      const store = await openStore(platform, join(directory, 'other-store'));
      const ours = registrySource(platform, { registry: registry.host, repository: 'me/installer' });
      for (const { architecture, digest } of images) {
        const pulled = await store.pull(ours, 'v1.13.0', { platform: { os: 'linux', architecture } });
        assert.deepEqual([pulled.digest, pulled.manifestDigest], [pushed.digest, digest]);
        assert.ok(pulled.tree.byPath.has(`usr/install/${architecture}/vmlinuz.efi`));
      }
    });

    test('a second push uploads nothing', async () => {
      const { pushed } = await push('me/installer', `oci:${base}`);
      const outcomes = [...pushed.blobs, ...pushed.manifests].map(({ outcome }) => outcome);
      assert.deepEqual([...new Set(outcomes)], ['present']);
    });

    test('twice built, from elsewhere and in another time zone: the same digests', async () => {
      const first = await push('me/installer', `oci:${base}`);
      const other = join(directory, 'elsewhere');
      environment = { ...environment, TZ: 'Asia/Kathmandu', XDG_CACHE_HOME: other };
      const second = await push('me/again', `oci:${base}`);
      assert.equal(second.pushed.digest, first.pushed.digest);
      assert.deepEqual(second.images, first.images);
    });

    test('layers of a base installer in the same registry are taken over', async () => {
      const layer = { data: gzipSync(tar([{ name: 'usr/bin/installer', data: 'x' }])), mediaType: `${OCI_LAYER}+gzip` };
      const images = ['amd64', 'arm64'].map((architecture) => testImage([layer], { os: 'linux', architecture }));
      await writeLayout(join(directory, 'base'), { v1: testIndex(images) });
      await registry.push(join(directory, 'base'), 'v1', 'siderolabs/installer-base', 'v1.13.0');
      const { pushed } = await push('me/mounted', `${registry.host}/siderolabs/installer-base:v1.13.0`, ['--insecure']);
      const mounted = pushed.blobs.filter(({ outcome }) => outcome === 'mounted').map(({ digest }) => digest);
      assert.deepEqual(mounted, [digestOf(layer.data)]);
    });
  });
}

describe('connections that break', { skip }, () => {
  let registry: DockerRegistry;
  const platform = nodePlatform({ HOME: '/nonexistent' });
  before(async () => {
    registry = await startDockerRegistry();
  });
  after(async () => {
    await platform.close();
    await registry.close();
  });

  const image = async (size: number): Promise<ComposedImage> => {
    const source = noise(`push ${size}`, size);
    const hash = platform.hash('sha256');
    const piece = new Uint8Array(MIB);
    for (let at = 0; at < size; at += MIB) {
      await source.read(at, piece.subarray(0, Math.min(MIB, size - at)));
      hash.update(piece.subarray(0, Math.min(MIB, size - at)));
    }
    const digest = parseDigest(`sha256:${Buffer.from(hash.digest()).toString('hex')}`);
    const config = new TextEncoder().encode(
      JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [digest] } }),
    );
    const layer = { descriptor: { mediaType: OCI_LAYER, digest, size }, bytes: ofSource(source), origins: [] };
    return composeImage(platform, { os: 'linux', architecture: 'amd64' }, config, [layer]);
  };
  const clock = { now: () => performance.now(), sleep: async () => undefined };

  test('in the answers of the first requests', async () => {
    // Each answer of some hundred bytes is cut once.
    const proxy = await startFaultyProxy(registry.host, {
      cutAfter: (index) => (index < 6 ? 40 + 60 * index : undefined),
    });
    try {
      const one = await image(5 * MIB);
      const report = await pushImages(platform, { registry: proxy.host, repository: 'a/cut', tag: 'v1' }, [one], {
        clock,
        tries: 8,
      });
      assert.equal(report.digest, one.manifest.digest);
      assert.ok(proxy.connections() > 3);
    } finally {
      await proxy.close();
    }
  });

  test('a layer of 300 MiB takes no memory', async () => {
    const one = await image(300 * MIB);
    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    let most = before;
    const sampling = setInterval(() => {
      most = Math.max(most, process.memoryUsage().rss);
    }, 20);
    try {
      await pushImages(platform, { registry: registry.host, repository: 'a/large', tag: 'v1' }, [one]);
    } finally {
      clearInterval(sampling);
    }
    assert.ok(most - before < 120 * MIB, `${Math.round((most - before) / MIB)} MiB`);
  });
});
