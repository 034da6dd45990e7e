/** What is refused, what is only said, and that the two agree with what a node would find. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ofMemory } from '../../src/bytes/bytes.ts';
import type { ImagerError } from '../../src/errors.ts';
import { type CacheReport, checkCache } from '../../src/imagecache/check.ts';
import { decodeFileDigests, digestFiles, digestOfCache, encodeFileDigests } from '../../src/imagecache/digests.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { type Literal, type Tree, treeOfLiterals } from '../../src/tree/tree.ts';
import { cacheFiles, onePlatform, signatureOf, signatureTag, twoPlatforms } from '../support/cached-images.ts';
import { digestOf, type TestImage } from '../support/image.ts';
import { rejected } from '../support/rejected.ts';

const platform = nodePlatform({ HOME: '/nonexistent' });

type Files = Readonly<Record<string, Literal>>;

async function check(files: Files, architecture = 'amd64'): Promise<CacheReport> {
  const tree = treeOfLiterals(files);
  const digests = await digestFiles(platform, tree);
  return checkCache(platform, tree, { what: 'image cache', digests, platform: { os: 'linux', architecture } });
}

function without(files: Files, ...paths: readonly string[]): Files {
  const kept = Object.entries(files).filter(([path]) => !paths.includes(path));
  assert.equal(kept.length, Object.keys(files).length - paths.length);
  return Object.fromEntries(kept);
}

function fileName(data: Uint8Array): string {
  return digestOf(data).replace(':', '-');
}

const both = twoPlatforms(1);
const [amd64, arm64] = both.children as [TestImage, TestImage];
const plain = onePlatform(9);
const REPOSITORY = 'manifests/docker.io/library/app';

describe('caches that serve', () => {
  test('images of both platforms, each for its own', async () => {
    const files = cacheFiles({ 'docker.io/library/app:v1': both, 'host_5000_/other:v2': plain });
    assert.deepEqual(await check(files), { images: 2, warnings: [] });
    const { images, warnings } = await check(files, 'arm64');
    assert.equal(images, 1);
    assert.deepEqual(warnings, [
      `host_5000_/other:v2: manifests/host_5000_/other ${digestOf(plain.manifest)}: no image for linux/arm64, it has linux/amd64`,
    ]);
  });

  test('documents of other platforms may be missing, with all that is theirs', async () => {
    const own = arm64.blobs.filter((data) => !amd64.blobs.includes(data)).map((data) => `blob/${fileName(data)}`);
    const files = without(
      cacheFiles({ 'docker.io/library/app:v1': both }),
      `${REPOSITORY}/digest/${fileName(arm64.manifest)}`,
      ...own,
    );
    assert.deepEqual(await check(files), { images: 1, warnings: [] });
  });

  test('signatures are no images', async () => {
    const files = cacheFiles({
      'docker.io/library/app:v1': both,
      [`docker.io/library/app:${signatureTag(both)}`]: signatureOf(both),
    });
    assert.deepEqual(await check(files), { images: 1, warnings: [] });
  });

  test('images without a tag count', async () => {
    const files = without(cacheFiles({ 'docker.io/library/app:v1': both }), `${REPOSITORY}/reference/v1`);
    assert.deepEqual(await check(files), { images: 1, warnings: [] });
  });

  test('a cache of nothing', async () => {
    assert.deepEqual(await check({ blob: null, manifests: null }), { images: 0, warnings: [] });
  });

  test('what no node asks for is said: names that are no digests, files elsewhere, documents that are no manifests', async () => {
    const nothing = ofMemory(new TextEncoder().encode('{}'));
    const name = fileName(new TextEncoder().encode('{}'));
    const { images, warnings } = await check({
      'blob/sha256-big': 'big',
      'manifests/host_5000_/A Long Name.With.Dots': '',
      [`${REPOSITORY}/reference/latest`]: nothing,
      [`${REPOSITORY}/digest/${name}`]: nothing,
      [`${REPOSITORY}/digest/latest`]: nothing,
    });
    assert.equal(images, 0);
    assert.deepEqual(warnings, [
      'blob/sha256-big is named for no digest: no node asks for it',
      `${REPOSITORY}/digest/latest is neither a tag nor a document by digest: no node asks for it`,
      'manifests/host_5000_/A Long Name.With.Dots is neither a tag nor a document by digest: no node asks for it',
      `${REPOSITORY}/digest/${name}: schemaVersion missing, want 2: no node can pull it`,
    ]);
  });
});

describe('caches that do not', () => {
  const files = cacheFiles({ 'docker.io/library/app:v1': both });
  const layer = digestOf(amd64.blobs[2]!);
  const layerPath = `blob/${fileName(amd64.blobs[2]!)}`;
  const wrong = (data: Uint8Array): Uint8Array => data.with(3, data[3]! ^ 1);
  const cases: readonly (readonly [string, Files, ImagerError['code'], RegExp])[] = [
    ['no blobs', { manifests: null }, 'invalid-input', /^image cache: no image cache, it has no directory blob$/],
    ['no manifests', { blob: null, 'oci-layout': '' }, 'invalid-input', /no directory manifests$/],
    ['a blob that is a directory', { ...without(files, layerPath), [layerPath]: null }, 'invalid-input', /is missing$/],
    [
      'a missing layer',
      without(files, layerPath),
      'invalid-input',
      new RegExp(
        `^image cache: ${REPOSITORY} ${digestOf(amd64.manifest)}: blob ${layer}, its layer 2 of 2, is missing$`,
      ),
    ],
    [
      'a missing config',
      without(files, `blob/${fileName(amd64.blobs[0]!)}`),
      'invalid-input',
      /its config, is missing$/,
    ],
    [
      'a damaged layer',
      { ...files, [layerPath]: wrong(amd64.blobs[2]!) },
      'verification',
      new RegExp(`^image cache: ${layerPath}: its content has digest sha256:`),
    ],
    [
      'a layer cut short',
      { ...files, [layerPath]: amd64.blobs[2]!.subarray(0, 10) },
      'verification',
      /its content has digest/,
    ],
    [
      'a damaged document',
      { ...files, [`${REPOSITORY}/digest/${fileName(amd64.manifest)}`]: wrong(amd64.manifest) },
      'verification',
      /digest\/sha256-[0-9a-f]{64}: its content has digest/,
    ],
    [
      'a damaged tag',
      { ...files, [`${REPOSITORY}/reference/v1`]: wrong(both.manifest) },
      'invalid-input',
      /reference\/v1: its content, sha256:[0-9a-f]{64}, is not in digest$/,
    ],
    [
      'a tag without its document',
      without(files, `${REPOSITORY}/digest/${fileName(both.manifest)}`),
      'invalid-input',
      /reference\/v1: its content/,
    ],
    [
      'a symbolic link',
      { ...files, 'blob/x': { link: layerPath } },
      'invalid-input',
      /^image cache: blob\/x is a symlink, want/,
    ],
  ];
  for (const [name, damaged, code, message] of cases) {
    test(name, () => assert.rejects(check(damaged), rejected(code, message)));
  }

  test('nothing for the platform', async () => {
    const wrongPlatform = cacheFiles({ 'docker.io/library/app:v1': plain });
    await assert.rejects(
      check(wrongPlatform, 'arm64'),
      rejected(
        'invalid-input',
        /nothing in it is for linux\/arm64; docker\.io\/library\/app:v1: .*it has linux\/amd64$/,
      ),
    );
    const half = without(files, `${REPOSITORY}/digest/${fileName(arm64.manifest)}`);
    await assert.rejects(
      check(half, 'arm64'),
      rejected('invalid-input', /app:v1: its manifest sha256:[0-9a-f]{64} for linux\/arm64 is not in the cache$/),
    );
  });
});

describe('digests', () => {
  const tree: Tree = treeOfLiterals(cacheFiles({ 'docker.io/library/app:v1': both }));

  test('every byte is read once, and progress ends where it should', async () => {
    const seen: (readonly [number, number])[] = [];
    const digests = await digestFiles(platform, tree, { onBytes: (done, total) => seen.push([done, total]) });
    const [done, total] = seen.at(-1)!;
    assert.equal(done, total);
    for (const entry of tree.entries) assert.equal(digests.has(entry.path), entry.kind === 'file');
    assert.equal(digests.get(`${REPOSITORY}/reference/v1`), digestOf(both.manifest));
  });

  test('come back from what is kept of them', async () => {
    const digests = await digestFiles(platform, tree);
    assert.deepEqual(decodeFileDigests(encodeFileDigests(digests)), digests);
    for (const text of ['', '{}', '[["a"]]', '[["a","sha256:1"]]']) {
      assert.throws(() => decodeFileDigests(new TextEncoder().encode(text)), rejected('invalid-input', /not readable/));
    }
  });

  test('the name of a cache follows content, paths and empty directories', async () => {
    const nameOf = async (one: Tree): Promise<string> => digestOfCache(platform, one, await digestFiles(platform, one));
    const names = await Promise.all([
      nameOf(tree),
      nameOf(treeOfLiterals(cacheFiles({ 'docker.io/library/app:v2': both }))),
      nameOf(treeOfLiterals({ ...cacheFiles({ 'docker.io/library/app:v1': both }), 'manifests/empty': null })),
      nameOf(treeOfLiterals({ ...cacheFiles({ 'docker.io/library/app:v1': both }), 'manifests/empty': '' })),
    ]);
    assert.equal(new Set(names).size, names.length);
  });

  test('a signal stops the reading', async () => {
    const abort = new AbortController();
    abort.abort();
    await assert.rejects(digestFiles(platform, tree, { signal: abort.signal }), rejected('canceled', /stopped/));
  });
});
