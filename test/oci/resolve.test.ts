import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Digest, parseDigest } from '../../src/bytes/units.ts';
import { ImagerError } from '../../src/errors.ts';
import { readBlob } from '../../src/oci/digest-check.ts';
import type { BlobSource, ImageSource, Platform, RawManifest } from '../../src/oci/image-source.ts';
import { layersOf } from '../../src/oci/layer/layer.ts';
import { parseImageConfig, parseManifest } from '../../src/oci/manifest.ts';
import { type ManifestReader, resolveImage } from '../../src/oci/resolve.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import {
  describe,
  digestOf,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER,
  OCI_MANIFEST,
  randomBytes,
  type TestImage,
  testImage,
  testIndex,
  withChildren,
} from '../support/image.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

interface Vector {
  readonly id: string;
  readonly title: string;
  readonly os: string;
  readonly arch: string;
  readonly variant: string;
  readonly manifests: readonly { mediaType: string; digest: string; text: string; tag?: string }[];
  readonly blobs: Readonly<Record<string, string>>;
  readonly expect: {
    readonly select?: string;
    readonly refuse?: boolean;
    readonly either?: boolean;
    readonly layersRefused?: boolean;
  };
}

const platform = nodePlatform({});

type TestedSource = BlobSource & Pick<ImageSource, 'manifest'>;

/** Served as it is, right or wrong: what must be checked is checked behind it. */
function sourceOf(vector: Pick<Vector, 'manifests' | 'blobs'>): TestedSource {
  const missing = (what: string): ImagerError => new ImagerError('dependency', `${what}: not found`);
  return {
    label: 'registry.example/a',
    async manifest(identifier) {
      const found = vector.manifests.find(({ digest, tag }) => digest === identifier || tag === identifier);
      if (found === undefined) throw missing(identifier);
      return { digest: found.digest as Digest, mediaType: found.mediaType, raw: new TextEncoder().encode(found.text) };
    },
    async blob({ digest }, from) {
      const found = vector.blobs[digest];
      if (found === undefined) throw missing(digest);
      return {
        from,
        chunks: (async function* () {
          yield new TextEncoder().encode(found).subarray(from);
        })(),
      };
    },
  };
}

function readerOf(source: TestedSource): ManifestReader {
  return {
    label: source.label,
    manifest: (identifier, signal) => source.manifest(identifier, signal),
    config: (descriptor, signal) => readBlob(platform, source, descriptor, 1 << 22, signal),
  };
}

/** Where a case leaves the choice, ours: the least common variant is for every machine, upstream takes the first in the list. */
const OURS: Readonly<Record<string, 'refused' | { readonly variant: string }>> = {
  'plat-arm64-v9-first': { variant: 'v8' },
  'plat-amd64-v3-first': { variant: '' },
  'plat-embedded-data': 'refused',
};

for (const vector of vectorLines<Vector>('oci/platform.jsonl.gz')) {
  test(`${vector.id}: ${vector.title}`, async () => {
    const { select, refuse, either, layersRefused } = vector.expect;
    const wanted: Platform = {
      os: vector.os,
      architecture: vector.arch,
      ...(vector.variant === '' ? {} : { variant: vector.variant }),
    };
    const source = sourceOf(vector);
    const ours = OURS[vector.id];
    let found: Awaited<ReturnType<typeof resolveImage>>;
    try {
      found = await resolveImage(platform, readerOf(source), 'latest', wanted);
    } catch (error) {
      assert.ok(error instanceof ImagerError, String(error));
      assert.ok(refuse === true || ours === 'refused', error.message);
      return;
    }
    assert.ok(refuse !== true || either === true, `selected ${found.manifestDigest}`);
    if (typeof ours === 'object') {
      const config = JSON.parse(vector.blobs[found.manifest.config.digest]!) as { variant?: string };
      assert.equal(config.variant ?? '', ours.variant);
    } else if (refuse !== true) {
      assert.equal(found.manifestDigest, select);
    }
    if (layersRefused === true) {
      const config = parseImageConfig(await readBlob(platform, source, found.manifest.config, 1 << 22), 'config');
      assert.throws(() => layersOf(found.manifest, config, 'image'), { code: 'unsupported' });
    }
  });
}

/** An image and all below it as a source. */
function sourceOfImage(image: TestImage): TestedSource {
  const all = withChildren(image);
  return sourceOf({
    manifests: all.map((one, index) => ({
      mediaType: one.mediaType,
      digest: digestOf(one.manifest),
      text: Buffer.from(one.manifest).toString(),
      ...(index === 0 ? { tag: 'latest' } : {}),
    })),
    blobs: Object.fromEntries(
      all.flatMap(({ blobs }) => blobs.map((blob) => [digestOf(blob), Buffer.from(blob).toString()])),
    ),
  });
}

const AMD64: Platform = { os: 'linux', architecture: 'amd64' };
const ARM64: Platform = { os: 'linux', architecture: 'arm64' };

const resolve = (image: TestImage, wanted: Platform, identifier = 'latest'): ReturnType<typeof resolveImage> =>
  resolveImage(platform, readerOf(sourceOfImage(image)), identifier, wanted);

test('the documents on the way come along, the one named first', async () => {
  const image = testImage([], ARM64);
  const inner = testIndex([image]);
  const outer = testIndex([inner]);
  const found = await resolve(outer, ARM64);
  assert.deepEqual(
    found.documents.map(({ digest }) => digest),
    [outer, inner, image].map(({ manifest }) => digestOf(manifest)),
  );
  assert.equal(found.digest, digestOf(outer.manifest));
  assert.equal(found.manifestDigest, digestOf(image.manifest));
});

test('indexes nest five deep and no deeper', async () => {
  const nested = (depth: number): TestImage => (depth === 0 ? testImage([], AMD64) : testIndex([nested(depth - 1)]));
  assert.equal((await resolve(nested(5), AMD64)).documents.length, 6);
  await assert.rejects(resolve(nested(6), AMD64), { code: 'invalid-input', message: /nested more than 5 deep/ });
});

test('indexes that list each other over and over are searched once each, and so many at most', async () => {
  const empty = testIndex([]);
  let index = { ...empty, platform: AMD64 };
  for (let depth = 0; depth < 4; depth++) {
    index = { ...testIndex(Array.from({ length: 30 }, () => index)), children: [index], platform: AMD64 };
  }
  const source = sourceOfImage(index);
  let asked = 0;
  const counting: TestedSource = {
    ...source,
    manifest: (identifier) => {
      asked++;
      return source.manifest(identifier);
    },
  };
  await assert.rejects(resolveImage(platform, readerOf(counting), 'latest', AMD64), { code: 'dependency' });
  assert.equal(asked, 5);

  const many = testIndex([testIndex(Array.from({ length: 4096 }, () => ({ ...testImage([]), platform: ARM64 })))]);
  await assert.rejects(resolve(many, AMD64), { code: 'dependency' });
  const distinct = Array.from({ length: 3 }, (_, at) => {
    const { platform: _none, ...silent } = testImage([{ data: randomBytes(10, at) }], ARM64);
    return { ...testIndex(Array.from({ length: 2000 }, () => silent)), children: [silent] };
  });
  await assert.rejects(resolve(testIndex(distinct), AMD64), { code: 'invalid-input', message: /more than 4096/ });
});

test('a search that is stopped asks for nothing more', async () => {
  const index = testIndex([testIndex([testImage([], ARM64)]), testIndex([testImage([], AMD64)])]);
  const source = sourceOfImage(index);
  const control = new AbortController();
  let asked = 0;
  const stopping: TestedSource = {
    ...source,
    manifest: async (identifier) => {
      asked++;
      if (asked === 2) control.abort();
      return source.manifest(identifier);
    },
  };
  await assert.rejects(resolveImage(platform, readerOf(stopping), 'latest', AMD64, { signal: control.signal }), {
    code: 'canceled',
  });
  assert.equal(asked, 2);
});

test('when nothing fits the message lists what there is', async () => {
  const image = testIndex([testImage([], AMD64), testImage([], { os: 'windows', architecture: 'amd64' })]);
  await assert.rejects(resolve(image, ARM64), {
    code: 'dependency',
    message: 'registry.example/a latest: no image for linux/arm64, it has linux/amd64, windows/amd64',
  });
});

test('a child without platform is what its configuration says', async () => {
  const { platform: _, ...silent } = testImage([], ARM64);
  assert.equal((await resolve(testIndex([silent]), ARM64)).manifestDigest, digestOf(silent.manifest));
  await assert.rejects(resolve(testIndex([silent]), AMD64), /it has linux\/arm64/);
});

test('an identifier that is a digest, and an expected digest, must be that of the document', async () => {
  const image = testImage([], AMD64);
  const other = testImage([], ARM64);
  const source = sourceOfImage(image);
  const lying: TestedSource = { ...source, manifest: () => source.manifest('latest') };
  await assert.rejects(resolveImage(platform, readerOf(lying), digestOf(other.manifest), AMD64), {
    code: 'verification',
  });
  await assert.rejects(
    resolveImage(platform, readerOf(source), 'latest', AMD64, { expectedDigest: digestOf(other.manifest) }),
    { code: 'verification' },
  );
});

const raw = (document: unknown, mediaType = ''): RawManifest => {
  const bytes = new TextEncoder().encode(typeof document === 'string' ? document : JSON.stringify(document));
  return { raw: bytes, mediaType, digest: digestOf(bytes) };
};

test('documents that are not what they must be are refused with the member in the message', () => {
  const digest = `sha256:${'1'.repeat(64)}`;
  const config = { mediaType: OCI_CONFIG, digest, size: 2 };
  const manifest = { schemaVersion: 2, config, layers: [] };
  const cases: readonly [unknown, RegExp, string?][] = [
    ['[]', /x: want an object/],
    ['{', /x: not JSON/],
    [{ ...manifest, schemaVersion: 1 }, /Docker schema 1/],
    [{ ...manifest, schemaVersion: '2' }, /schemaVersion "2"/],
    [{ config, layers: [] }, /schemaVersion missing/],
    [{ schemaVersion: 2 }, /neither an index/],
    [{ ...manifest, manifests: [] }, /both an index and a manifest/],
    [{ ...manifest, mediaType: OCI_INDEX }, /media type .*index.* for a manifest/],
    [
      { ...manifest, mediaType: OCI_MANIFEST },
      /served as .*docker/,
      'application/vnd.docker.distribution.manifest.v2+json',
    ],
    [{ ...manifest, config: { ...config, digest: 'sha512:00' } }, /x: config: digest/],
    [{ ...manifest, config: { ...config, size: -1 } }, /x: config: size -1/],
    [{ ...manifest, config: { ...config, size: 1e300 } }, /x: config: size/],
    [{ ...manifest, layers: {} }, /x: layers: want a list/],
    [{ ...manifest, layers: [{ ...config, mediaType: 1 }] }, /x: layers\[0\]: mediaType/],
    [{ ...manifest, layers: Array.from({ length: 5000 }, () => config) }, /5000 entries, want at most 4096/],
    [{ schemaVersion: 2, manifests: [{ ...config, platform: 'linux' }] }, /x: manifests\[0\]: platform/],
    [{ ...manifest, annotations: { a: 1 } }, /x: annotations: a/],
    [`"${' '.repeat(5 << 20)}"`, /want at most 4194304/],
  ];
  for (const [document, message, mediaType] of cases) {
    assert.throws(
      () => parseManifest(raw(document, mediaType), 'x'),
      (error: ImagerError) => {
        assert.match(error.message, message);
        return error instanceof ImagerError;
      },
    );
  }
});

test('foreign layers, unknown ones and a wrong number of diff ids are refused', () => {
  const layer = describe(new Uint8Array(3), 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip');
  const manifest = (mediaType: string): ReturnType<typeof parseManifest> =>
    parseManifest(
      raw({ schemaVersion: 2, config: describe(new Uint8Array(), OCI_CONFIG), layers: [{ ...layer, mediaType }] }),
      'x',
    );
  const config = parseImageConfig(raw({ rootfs: { diff_ids: [layer.digest] } }).raw, 'x');
  const layers = (mediaType: string, from = config): unknown => {
    const document = manifest(mediaType);
    assert.equal(document.kind, 'manifest');
    return document.kind === 'manifest' && layersOf(document, from, 'x');
  };
  assert.throws(() => layers(layer.mediaType), { code: 'unsupported', message: /not distributable/ });
  assert.throws(() => layers('text/plain'), { code: 'unsupported', message: /of type text\/plain/ });
  const good = ['application/vnd.oci.image.layer.v1.tar+zstd', 'application/vnd.docker.image.rootfs.diff.tar.gzip'];
  for (const mediaType of good) {
    assert.deepEqual(layers(mediaType), [{ descriptor: { ...layer, mediaType }, diffId: layer.digest }]);
    assert.throws(() => layers(mediaType, { ...config, diffIds: [] }), /1 layers, its config lists 0/);
  }
});

test('mutated documents are read or refused with invalid-input or unsupported, never another error', () => {
  const seeds = vectorLines<Vector>('oci/platform.jsonl.gz').flatMap(({ manifests }) =>
    manifests.map(({ text }) => text),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.nat(),
      fc.nat(),
      fc.string({ maxLength: 6 }),
      (text, at, length, other) => {
        const start = at % (text.length + 1);
        const mutated = text.slice(0, start) + other + text.slice(start + (length % 8));
        for (const parse of [() => parseManifest(raw(mutated), 'x'), () => parseImageConfig(raw(mutated).raw, 'x')]) {
          try {
            parse();
          } catch (error) {
            assert.ok(error instanceof ImagerError, String(error));
            assert.ok(['invalid-input', 'unsupported'].includes(error.code));
          }
        }
      },
    ),
    { numRuns: FUZZ_RUNS, seed: 2 },
  );
});

test('lists that Go wrote as null are empty', () => {
  const config = { mediaType: OCI_CONFIG, digest: `sha256:${'1'.repeat(64)}`, size: 2 };
  const image = parseManifest(raw({ schemaVersion: 2, config, layers: null }), 'x');
  assert.ok(image.kind === 'manifest' && image.layers.length === 0);
  const index = parseManifest(raw({ schemaVersion: 2, manifests: null }), 'x');
  assert.ok(index.kind === 'index' && index.manifests.length === 0);
});

test('a layer that is said to unpack to two things is refused', () => {
  const layer = { mediaType: OCI_LAYER, digest: digestOf('layer'), size: 5 };
  const config = { mediaType: OCI_CONFIG, digest: digestOf('config'), size: 2 };
  const image = parseManifest(raw({ schemaVersion: 2, config, layers: [layer, layer] }), 'x');
  const configOf = (...diffIds: string[]): Uint8Array => raw({ rootfs: { diff_ids: diffIds.map(digestOf) } }).raw;
  assert.ok(image.kind === 'manifest');
  assert.equal(layersOf(image, parseImageConfig(configOf('a', 'a'), 'x'), 'x').length, 2);
  assert.throws(() => layersOf(image, parseImageConfig(configOf('a', 'b'), 'x'), 'x'), { code: 'verification' });
});

test('a blob that is longer, shorter or other than its descriptor is refused', async () => {
  const good = new TextEncoder().encode('{"a":1}');
  const descriptor = { digest: parseDigest(digestOf(good)), size: good.length };
  for (const served of ['{"a":1} ', '{"a":1', '{"a":2}']) {
    const source = sourceOf({ manifests: [], blobs: { [descriptor.digest]: served } });
    await assert.rejects(readBlob(platform, source, descriptor, 100), { code: 'verification' });
  }
  const source = sourceOf({ manifests: [], blobs: { [descriptor.digest]: '{"a":1}' } });
  assert.deepEqual(await readBlob(platform, source, descriptor, 100), good);
  await assert.rejects(readBlob(platform, source, descriptor, 6), { code: 'invalid-input' });
});
