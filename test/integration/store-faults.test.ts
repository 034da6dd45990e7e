/** Content that is not what its digest says, from a registry, from a layout, and in the store itself: never built from, always named. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, open, readdir, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openStore } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { digestOf, type TestImage } from '../support/image.ts';
import { type Finished, runImager, sha256OfFile } from '../support/imager-process.ts';
import { type Fault, startRegistry, type TestRegistry } from '../support/registry.ts';
import {
  buildableArchitecture,
  imageOfLayout,
  type SyntheticAssets,
  writeSyntheticAssets,
} from '../support/synthetic-assets.ts';

const ARCHITECTURE = buildableArchitecture();
const NAME = `metal-${ARCHITECTURE}.iso`;

const platform = nodePlatform({});
let directory: string;
let assets: SyntheticAssets;
let image: TestImage;
/** Of the layer with kernel and initramfs. */
let layer: string;
let wanted: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootwright-faults-'));
  assets = await writeSyntheticAssets(join(directory, 'assets'), {
    initramfsSize: 3 * 2 ** 20,
    architectures: [ARCHITECTURE],
  });
  image = await imageOfLayout(assets);
  layer = digestOf(image.children[0]!.blobs[1]!);
  const right = await build(assets.source, join(directory, 'right'));
  assert.equal(right.code, 0, right.stderr);
  wanted = await sha256OfFile(join(directory, 'right/output', NAME));
});
after(async () => {
  await platform.close();
  await rm(directory, { recursive: true });
});

/** With a store and an output directory in `place`. */
function build(source: string, place: string): Promise<Finished> {
  const paths = ['--store', join(place, 'store'), '-o', join(place, 'output')];
  const args = ['iso', '--arch', ARCHITECTURE, '--talos-version', 'v1.13.0', '--quiet', '--imager-image', source];
  return runImager([...args, ...paths], { environment: { XDG_CACHE_HOME: join(directory, 'cache') } });
}

async function assertNothingWrongIn(place: string, digest: string): Promise<void> {
  const blobs = await readdir(join(place, 'store/blobs/sha256'));
  assert.ok(!blobs.includes(digest.slice('sha256:'.length)), 'the blob is not in the store');
  const store = await openStore(platform, join(place, 'store'));
  assert.deepEqual((await store.verify({ remove: false })).damage, []);
  assert.deepEqual(await readdir(join(place, 'output')).catch(() => []), []);
}

async function assertBuilds(source: string, place: string): Promise<void> {
  const { code, stderr } = await build(source, place);
  assert.equal(code, 0, stderr);
  assert.equal(await sha256OfFile(join(place, 'output', NAME)), wanted);
}

describe('from a registry: exit 5, the digest named, and right once the registry is', () => {
  const FAULTS: Readonly<Record<string, Fault>> = {
    'a bit turned over at the start': { kind: 'corrupt', at: 0 },
    'a bit turned over in the middle': { kind: 'corrupt', at: 3_000_000 },
    'a byte too many': { kind: 'resize', by: 1 },
    'a byte too few': { kind: 'resize', by: -1 },
    'nothing at all': { kind: 'resize', by: -1e9 },
    'always cut after two megabytes, resumed or not': { kind: 'truncate', after: 2 ** 21 },
  };
  const targets = { layer: () => layer, config: () => digestOf(image.children[0]!.blobs[0]!) };
  for (const [what, fault] of Object.entries(FAULTS)) {
    for (const [target, digestOfTarget] of Object.entries(targets)) {
      // A config is whole long before.
      if (target === 'config' && fault.kind === 'truncate') continue;
      test(`${target}: ${what}`, async (t) => {
        const digest = digestOfTarget();
        let faulty = true;
        const registry = await serve(t, (url) => (faulty && url.endsWith(digest) ? fault : undefined));
        const place = join(directory, `registry ${target} ${what}`);
        const source = `${registry.host}/imager:${assets.tag}`;
        const { code, stderr } = await build(source, place);
        if (fault.kind === 'truncate' && code === 0) {
          // Got through in the end, two megabytes at a time. To give up would be right too; half a layer would not.
          assert.equal(await sha256OfFile(join(place, 'output', NAME)), wanted);
          return;
        }
        assert.equal(code, 5, stderr);
        assert.ok(stderr.includes(digest), stderr);
        assert.ok(stderr.includes(registry.host), stderr);
        await assertNothingWrongIn(place, digest);
        faulty = false;
        await assertBuilds(source, place);
      });
    }
  }

  test('an index that is not the one asked for by digest', async (t) => {
    const digest = digestOf(image.manifest);
    const registry = await serve(t, (url) => (url.endsWith(digest) ? { kind: 'corrupt', at: 20 } : undefined));
    const place = join(directory, 'registry index');
    const { code, stderr } = await build(`${registry.host}/imager@${digest}`, place);
    assert.equal(code, 5, stderr);
    assert.ok(stderr.includes(digest), stderr);
    await assertNothingWrongIn(place, digest);
  });
});

async function serve(
  t: { after: (action: () => Promise<void>) => void },
  faultFor: (url: string) => Fault | undefined,
): Promise<TestRegistry> {
  const registry = await startRegistry({
    faults: [({ method, url }) => (method === 'GET' ? faultFor(url) : undefined)],
  });
  t.after(() => registry.close());
  registry.serve('imager', assets.tag, image);
  return registry;
}

describe('from a layout on disk: exit 5 and the digest named', () => {
  const DAMAGE: Readonly<Record<string, (path: string) => Promise<void>>> = {
    'a bit turned over': (path) => turnBit(path, 3_000_000),
    'cut in half': async (path) => truncate(path, Math.floor((await stat(path)).size / 2)),
    missing: (path) => rm(path),
  };
  for (const [what, damage] of Object.entries(DAMAGE)) {
    test(what, async () => {
      const place = join(directory, `layout ${what}`);
      const layout = join(place, 'layout');
      await cp(assets.directory, layout, { recursive: true });
      await damage(join(layout, 'blobs/sha256', layer.slice('sha256:'.length)));
      const { code, stderr } = await build(`oci:${layout}:${assets.tag}`, place);
      assert.equal(code, 5, stderr);
      assert.ok(stderr.includes(layer), stderr);
      await assertNothingWrongIn(place, layer);
    });
  }
});

describe('in the store', () => {
  test('damage is found by verify, exit 6, and mended by the next build', async () => {
    const place = join(directory, 'damaged store');
    await assertBuilds(assets.source, place);
    const store = join(place, 'store');
    for (const folder of ['blobs/sha256', 'layers', 'derived']) {
      const [largest] = await bySize(join(store, folder));
      await turnBit(largest!, 100);
    }
    const environment = { XDG_CACHE_HOME: join(directory, 'cache') };
    const verified = await runImager(['store', 'verify', '--store', store, '--json'], { environment });
    assert.equal(verified.code, 6, verified.stderr);
    const { damage } = JSON.parse(verified.stdout.toString()) as { damage: { path: string; reason: string }[] };
    const folders = new Set(damage.map(({ path }) => path.slice(store.length + 1).split('/')[0]));
    for (const folder of ['blobs', 'layers', ...(ARCHITECTURE === 'amd64' ? ['derived'] : [])]) {
      assert.ok(folders.has(folder), `${folder} among ${[...folders].join(', ')}`);
    }
    await assertBuilds(assets.source, place);
    const again = await runImager(['store', 'verify', '--store', store], { environment });
    assert.equal(again.code, 0, again.stderr);
  });

  test('files that became shorter are noticed without verify', async () => {
    const place = join(directory, 'shortened store');
    await assertBuilds(assets.source, place);
    for (const folder of ['blobs/sha256', 'layers', 'derived']) {
      for (const path of await bySize(join(place, 'store', folder))) {
        await truncate(path, Math.floor((await stat(path)).size / 2));
      }
    }
    await assertBuilds(assets.source, place);
  });
});

async function bySize(folder: string): Promise<string[]> {
  const files = await Promise.all(
    (await readdir(folder)).map(async (name) => ({
      path: join(folder, name),
      size: (await stat(join(folder, name))).size,
    })),
  );
  return files.sort((a, b) => b.size - a.size).map(({ path }) => path);
}

async function turnBit(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    byte[0]! ^= 1;
    await file.write(byte, 0, 1, at);
  } finally {
    await file.close();
  }
}
