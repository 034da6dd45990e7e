/** Image caches from references: what is in them, told by a reader that does what a node does, and what becomes of stopped or damaged ones. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  type CacheContents,
  type CollectOptions,
  collectImages,
  type OpenRepository,
} from '../../src/imagecache/collect.ts';
import { writeCache } from '../../src/imagecache/write.ts';
import { openRegistries } from '../../src/oci/registry/registry.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { bundleFor, onePlatform, signatureOf, signatureTag, twoPlatforms } from '../support/cached-images.ts';
import { digestOf, randomBytes, type TestImage, testImage, testIndex } from '../support/image.ts';
import { failing, startRegistry, type TestRegistry, type TestRegistryOptions } from '../support/registry.ts';
import { askRegistryd, pullFromRegistryd, type ReadCacheFile, type RegistrydAnswer } from '../support/registryd.ts';
import { rejected } from '../support/rejected.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };
const ARM64 = { os: 'linux', architecture: 'arm64' };
const platform = nodePlatform({ HOME: '/nonexistent' });

interface Bench extends AsyncDisposable {
  readonly registry: TestRegistry;
  readonly directory: string;
  readonly collect: (references: readonly string[], options?: Partial<CollectOptions>) => Promise<CacheContents>;
  readonly create: (references: readonly string[], options?: Partial<CollectOptions>) => Promise<CacheContents>;
}

async function bench(options: TestRegistryOptions = {}): Promise<Bench> {
  const registry = await startRegistry(options);
  const directory = await mkdtemp(join(tmpdir(), 'bootwright-cache-'));
  const registries = openRegistries(platform, { tries: 1 });
  const open: OpenRepository = (name) => registries.source(name);
  const collect: Bench['collect'] = (references, options) =>
    collectImages(platform, open, references, { platforms: [AMD64], signatures: true, ...options });
  return {
    registry,
    directory,
    collect,
    async create(references, options) {
      const contents = await collect(references, options);
      await writeCache(platform, directory, contents);
      return contents;
    },
    async [Symbol.asyncDispose]() {
      await registry.close();
      await rm(directory, { recursive: true });
    },
  };
}

function reading(directory: string): ReadCacheFile {
  return (path) => readFile(join(directory, path)).catch(() => undefined);
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1)).sort();
}

function hex(data: Uint8Array): string {
  return digestOf(data).slice('sha256:'.length);
}

describe('what a cache holds', () => {
  test('exactly the documents and blobs of the platform, and the tag', async () => {
    await using it = await bench();
    const image = twoPlatforms(1);
    const [amd64] = image.children as [TestImage, TestImage];
    it.registry.serve('a/b', 'v1', image);
    const { images } = await it.create([`${it.registry.host}/a/b:v1`]);
    const repository = `manifests/${it.registry.host.replace(':', '_')}_/a/b`;
    assert.deepEqual(
      await filesBelow(it.directory),
      [
        ...amd64.blobs.map((data) => `blob/sha256-${hex(data)}`),
        `${repository}/digest/sha256-${hex(image.manifest)}`,
        `${repository}/digest/sha256-${hex(amd64.manifest)}`,
        `${repository}/reference/v1`,
      ].sort(),
    );
    assert.deepEqual(images, [
      { reference: `${it.registry.host}/a/b:v1`, digest: digestOf(image.manifest), signed: false },
    ]);
  });

  test('a node pulls every platform that was asked for, and layers they share are fetched once', async () => {
    await using it = await bench();
    const image = twoPlatforms(2);
    const shared = digestOf(image.children[0]!.blobs[1]!);
    it.registry.serve('a/b', 'v1', image);
    it.registry.serve('tool', 'latest', image);
    const { host } = it.registry;
    await it.create([`${host}/a/b:v1`, `${host}/tool`], { platforms: [AMD64, ARM64] });
    for (const [index, architecture] of ['amd64', 'arm64'].entries()) {
      for (const [repository, identifier] of [
        ['a/b', 'v1'],
        ['tool', 'latest'],
        ['tool', digestOf(image.manifest)],
      ] as const) {
        const blobs = await pullFromRegistryd(
          reading(it.directory),
          { registry: host, repository, identifier },
          architecture,
        );
        assert.deepEqual(
          blobs,
          image.children[index]!.blobs.map((data) => Buffer.from(data)),
        );
      }
    }
    assert.equal(it.registry.requests.filter(({ url }) => url.endsWith(`blobs/${shared}`)).length, 1);
  });

  test('a manifest without index, by tag, by digest and by both', async () => {
    await using it = await bench();
    const image = onePlatform(3);
    const digest = digestOf(image.manifest);
    for (const repository of ['x/app', 'x/b', 'x/c']) it.registry.serve(repository, 'v1', image);
    const { host } = it.registry;
    await it.create([`${host}/x/app:v1`, `${host}/x/b@${digest}`, `${host}/x/c:v7@${digest}`]);
    const read = reading(it.directory);
    const status = async (path: string): Promise<number> => (await askRegistryd(read, `/v2/${path}`, host)).status;
    assert.equal(await status('x/app/manifests/v1'), 200);
    assert.equal(await status(`x/b/manifests/${digest}`), 200);
    assert.equal(await status('x/b/manifests/v1'), 404);
    // The tag need not be the one the registry has: a node that asks for both sends the digest.
    assert.equal(await status('x/c/manifests/v7'), 200);
  });

  test('indexes in indexes come along', async () => {
    await using it = await bench();
    const image = testIndex([{ ...twoPlatforms(4), platform: AMD64 }]);
    it.registry.serve('app', 'v1', image);
    await it.create([`${it.registry.host}/app:v1`]);
    for (const document of [image, image.children[0]!, image.children[0]!.children[0]!]) {
      const path = `/v2/app/manifests/${digestOf(document.manifest)}`;
      assert.equal((await askRegistryd(reading(it.directory), path, it.registry.host)).status, 200);
    }
  });

  test('the signatures of an image, under both tags', async () => {
    await using it = await bench();
    const [both, referrers, none] = [twoPlatforms(5), twoPlatforms(10), twoPlatforms(15)];
    for (const [tag, image] of Object.entries({ both, referrers, none })) it.registry.serve('app', tag, image);
    const index = (image: TestImage): TestImage => testIndex([signatureOf(image)]);
    it.registry.serve('app', signatureTag(both), signatureOf(both));
    it.registry.serve('app', signatureTag(both).replace('.sig', ''), index(both));
    it.registry.serve('app', signatureTag(referrers).replace('.sig', ''), index(referrers));
    const { host } = it.registry;
    const { images } = await it.create(['both', 'referrers', 'none'].map((tag) => `${host}/app:${tag}`));
    assert.deepEqual(
      images.map(({ signed }) => signed),
      [true, true, false],
    );
    const read = reading(it.directory);
    const pulled = async (tag: string): Promise<number> =>
      (await pullFromRegistryd(read, { registry: host, repository: 'app', identifier: tag }, 'amd64')).length;
    assert.equal(await pulled(signatureTag(both)), 2);
    const fallback = await askRegistryd(read, `/v2/app/manifests/${signatureTag(referrers).replace('.sig', '')}`, host);
    assert.equal(fallback.digest, digestOf(index(referrers).manifest));
    const child = await askRegistryd(read, `/v2/app/manifests/${digestOf(signatureOf(referrers).manifest)}`, host);
    assert.equal(child.status, 200);
    for (const data of signatureOf(referrers).blobs) {
      assert.equal((await askRegistryd(read, `/v2/app/blobs/${digestOf(data)}`, host)).status, 200);
    }
    const other = await askRegistryd(read, `/v2/app/manifests/${signatureTag(both).replace('.sig', '')}`, host);
    assert.equal(other.digest, digestOf(index(both).manifest));
  });

  test('bundles that the registry itself lists, under the tag where a node looks without it', async () => {
    await using it = await bench({ referrersPage: 10 });
    const { host } = it.registry;
    const image = twoPlatforms(30);
    const bundles = [bundleFor(image, 'one'), bundleFor(image, 'two')];
    const other = bundleFor(image, 'bill of materials', 'application/spdx+json');
    it.registry.serve('app', 'v1', image);
    for (const [index, one] of [...bundles, other].entries()) it.registry.serve('app', `referrer-${index}`, one);
    const { images } = await it.create([`${host}/app:v1`]);
    assert.deepEqual(
      images.map(({ signed }) => signed),
      [true],
    );
    const read = reading(it.directory);
    const ask = (path: string): Promise<RegistrydAnswer> => askRegistryd(read, `/v2/app/${path}`, host);
    const listed = await ask(`manifests/${digestOf(image.manifest).replace(':', '-')}`);
    assert.equal(listed.contentType, 'application/vnd.oci.image.index.v1+json');
    const { manifests } = JSON.parse(Buffer.from(listed.body).toString());
    assert.deepEqual(
      manifests.map(({ digest }: { digest: string }) => digest),
      bundles.map(({ manifest }) => digestOf(manifest)).sort(),
    );
    for (const { manifest, blobs } of bundles) {
      assert.equal((await ask(`manifests/${digestOf(manifest)}`)).status, 200);
      for (const data of blobs) assert.equal((await ask(`blobs/${digestOf(data)}`)).status, 200);
    }
    assert.equal((await ask(`manifests/${digestOf(other.manifest)}`)).status, 404);
  });

  test('without signatures nobody asks for them', async () => {
    await using it = await bench();
    const image = onePlatform(6);
    it.registry.serve('app', 'v1', image);
    it.registry.serve('app', signatureTag(image), signatureOf(image));
    const { images } = await it.create([`${it.registry.host}/app:v1`], { signatures: false });
    assert.equal('signed' in images[0]!, false);
    assert.equal(
      it.registry.requests.some(({ url }) => url.includes('sha256-')),
      false,
    );
  });
});

describe('lists that cannot be', () => {
  test('nothing, typing errors, and one tag for two images', async () => {
    await using it = await bench();
    const { host } = it.registry;
    const image = onePlatform(7);
    it.registry.serve('app', 'v1', image);
    it.registry.serve('app', 'v2', onePlatform(8));
    await assert.rejects(it.collect([]), rejected('invalid-input', /^image cache: no images/));
    await assert.rejects(
      it.collect([`${host}/app:v1`, 'UPPER/x']),
      rejected('invalid-input', /^image reference "UPPER/),
    );
    assert.equal(it.registry.requests.length, 0);
    const twice = [`${host}/app:v2`, `${host}/app:v2@${digestOf(image.manifest)}`];
    await assert.rejects(it.collect(twice), rejected('invalid-input', /^image .*tag v2 stands for sha256:/));
    await it.collect([`${host}/app:v1`, `${host}/app:v1@${digestOf(image.manifest)}`]);
  });

  test('images that are not there, or not for the platform, are named before a layer is fetched', async () => {
    await using it = await bench();
    const { host } = it.registry;
    it.registry.serve('app', 'v1', onePlatform(9));
    await assert.rejects(
      it.create([`${host}/app:v1`, `${host}/app:v9`]),
      rejected('dependency', /^image .*app:v9: .*not found/),
    );
    await assert.rejects(
      it.create([`${host}/app:v1`], { platforms: [AMD64, ARM64] }),
      rejected('dependency', /no image for linux\/arm64, it has linux\/amd64/),
    );
    assert.equal(
      it.registry.requests.some(
        ({ url }) => url.includes('/blobs/') && !url.includes(digestOf(onePlatform(9).blobs[0]!)),
      ),
      false,
    );
    assert.deepEqual(await filesBelow(it.directory), []);
  });
});

describe('stopped and damaged', () => {
  const size = 3_000_000;
  const large = (): TestImage => testImage([{ data: randomBytes(size, 42) }], AMD64);

  test('what was fetched is kept and gone on with', async () => {
    await using it = await bench();
    const image = large();
    const blob = digestOf(image.blobs[1]!);
    it.registry.serve('app', 'v1', image);
    const reference = `${it.registry.host}/app:v1`;
    it.registry.fail(failing(new RegExp(blob), { kind: 'truncate', after: 2_000_000 }, 1));
    let isDown = true;
    it.registry.fail(({ url }) => (isDown && url.endsWith(blob) ? { kind: 'status', status: 503 } : undefined));
    await assert.rejects(it.create([reference]), rejected('dependency', /127\.0\.0\.1/));
    const [part] = (await readdir(join(it.directory, '.partial'))).filter((name) => name.endsWith(blob.slice(7)));
    const kept = (await stat(join(it.directory, '.partial', part!))).size;
    assert.ok(kept >= 2_000_000 - 2 ** 20 && kept < size, String(kept));
    await assert.rejects(stat(join(it.directory, 'manifests', it.registry.host.replace(':', '_'))));
    it.registry.requests.length = 0;
    isDown = false;
    await it.create([reference]);
    const ranges = it.registry.requests.filter(({ url }) => url.endsWith(blob)).map(({ headers }) => headers.range);
    assert.ok(
      ranges.every((range) => range === `bytes=${kept}-`),
      String(ranges),
    );
    await pullFromRegistryd(
      reading(it.directory),
      { registry: it.registry.host, repository: 'app', identifier: 'v1' },
      'amd64',
    );
    assert.deepEqual((await readdir(it.directory)).sort(), ['blob', 'manifests']);
  });

  test('a finished cache is compared, not fetched again; more images join it', async () => {
    await using it = await bench();
    it.registry.serve('app', 'v1', large());
    it.registry.serve('app', 'v2', twoPlatforms(50));
    const { host } = it.registry;
    await it.create([`${host}/app:v1`]);
    it.registry.requests.length = 0;
    await it.create([`${host}/app:v1`]);
    const layers = (): string[] =>
      it.registry.requests.map(({ url }) => url).filter((url) => url.includes(digestOf(large().blobs[1]!)));
    assert.deepEqual(layers(), []);
    await it.create([`${host}/app:v2`]);
    for (const identifier of ['v1', 'v2']) {
      await pullFromRegistryd(reading(it.directory), { registry: host, repository: 'app', identifier }, 'amd64');
    }
  });

  const damages: readonly (readonly [string, (path: string) => Promise<void>])[] = [
    [
      'a turned bit',
      async (path) => {
        const data = await readFile(path);
        data[7]! ^= 1;
        await writeFile(path, data);
      },
    ],
    ['a lost end', (path) => truncate(path, 100)],
    ['more than there should be', (path) => truncate(path, size + 1)],
  ];
  for (const [name, damage] of damages) {
    test(`a blob with ${name} is fetched again`, async () => {
      await using it = await bench();
      const image = large();
      it.registry.serve('app', 'v1', image);
      await it.create([`${it.registry.host}/app:v1`]);
      const path = join(it.directory, `blob/sha256-${hex(image.blobs[1]!)}`);
      await damage(path);
      await it.create([`${it.registry.host}/app:v1`]);
      assert.equal(hex(await readFile(path)), hex(image.blobs[1]!));
    });
    test(`a partial blob with ${name} does no harm`, async () => {
      await using it = await bench();
      const image = large();
      it.registry.serve('app', 'v1', image);
      const path = join(it.directory, `.partial/sha256-${hex(image.blobs[1]!)}`);
      await writeCache(platform, it.directory, { blobs: new Map(), documents: new Map(), tags: new Map(), images: [] });
      await platform.files.makeDirectory(join(it.directory, '.partial'));
      await writeFile(path, image.blobs[1]!);
      await damage(path);
      await it.create([`${it.registry.host}/app:v1`]);
      assert.equal(
        hex(await readFile(join(it.directory, `blob/sha256-${hex(image.blobs[1]!)}`))),
        hex(image.blobs[1]!),
      );
    });
  }

  test('bytes that are not what they should be never get a name', async () => {
    await using it = await bench();
    it.registry.serve('app', 'v1', large());
    it.registry.fail(failing(new RegExp(digestOf(large().blobs[1]!)), { kind: 'corrupt', at: 5 }));
    await assert.rejects(it.create([`${it.registry.host}/app:v1`]), rejected('verification', /has digest sha256:/));
    assert.deepEqual(
      (await filesBelow(it.directory)).filter((path) => path.includes(hex(large().blobs[1]!))),
      [],
    );
    assert.deepEqual(
      (await filesBelow(it.directory)).filter((path) => path.includes('reference')),
      [],
    );
  });
});
