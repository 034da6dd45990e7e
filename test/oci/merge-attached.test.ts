/** Two manifests under one tag: whose signatures are in what comes of them. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseDigest } from '../../src/bytes/units.ts';
import { digestOf } from '../../src/oci/digest-check.ts';
import type { RawManifest } from '../../src/oci/image-source.ts';
import { parseImageConfig } from '../../src/oci/manifest.ts';
import { mergeAttached } from '../../src/oci/merge-attached.ts';
import { rejected } from '../support/rejected.ts';
import { FUZZ_RUNS } from '../support/vectors.ts';

const SIMPLE = 'application/vnd.dev.cosign.simplesigning.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';

const hasher = {
  hash: () => {
    const hash = createHash('sha256');
    return { update: (data: Uint8Array) => void hash.update(data), digest: () => new Uint8Array(hash.digest()) };
  },
};

const digestFor = (text: string) => parseDigest(`sha256:${createHash('sha256').update(text).digest('hex')}`);

function raw(document: object, mediaType: string): RawManifest {
  const data = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...document }));
  return { digest: digestOf(hasher, data), mediaType, raw: data };
}

/** `payload:signature` each. */
function signatures(list: readonly string[], mediaType = SIMPLE, config = CONFIG): RawManifest {
  return raw(
    {
      config: { mediaType: config, digest: digestFor('config'), size: 6 },
      layers: list.map((one) => {
        const [payload = '', signature = ''] = one.split(':');
        return { mediaType, digest: digestFor(payload), size: payload.length, annotations: { signature } };
      }),
    },
    MANIFEST,
  );
}

const index = (list: readonly string[]): RawManifest =>
  raw({ manifests: list.map((one) => ({ mediaType: MANIFEST, digest: digestFor(one), size: one.length })) }, INDEX);

interface Document {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string; readonly annotations: { readonly signature: string } }[];
  readonly manifests: readonly { readonly digest: string }[];
}

const read = ({ raw: data }: RawManifest): Document => JSON.parse(Buffer.from(data).toString());

test('signatures of both sides, those that are there first, below a configuration that fits', () => {
  const [before, added] = [signatures(['p:mine']), signatures(['p:theirs', 'q:theirs'])];
  const { document, blobs } = mergeAttached(hasher, before, added, 'x');
  const { layers, config } = read(document);
  assert.deepEqual(
    layers.map(({ digest, annotations }) => [digest, annotations.signature]),
    [
      [digestFor('p'), 'mine'],
      [digestFor('p'), 'theirs'],
      [digestFor('q'), 'theirs'],
    ],
  );
  assert.equal(blobs.length, 1);
  assert.equal(config.digest, blobs[0]!.digest);
  assert.equal(digestOf(hasher, blobs[0]!.raw), blobs[0]!.digest);
  assert.deepEqual(
    parseImageConfig(blobs[0]!.raw, 'config').diffIds,
    layers.map(({ digest }) => digest),
  );
});

test('a list that holds the other stays as it is, byte for byte', () => {
  const [few, many] = [signatures(['p:a']), signatures(['q:b', 'p:a'])];
  for (const [before, added] of [
    [few, many],
    [many, few],
    [many, many],
  ] as const) {
    const { document, blobs } = mergeAttached(hasher, before, added, 'x');
    assert.equal(document.digest, many.digest);
    assert.deepEqual(blobs, []);
  }
  assert.equal(mergeAttached(hasher, index(['a']), index(['b', 'a']), 'x').document.digest, index(['b', 'a']).digest);
});

test('whatever the lists are: nothing is lost, nothing is there twice, and once more changes nothing', () => {
  const list = fc.uniqueArray(fc.constantFrom('p:1', 'p:2', 'q:1', 'r:1', 's:3'), { maxLength: 5 });
  fc.assert(
    fc.property(list, list, (one, other) => {
      for (const make of [signatures, index]) {
        const merged = mergeAttached(hasher, make(one), make(other), 'x').document;
        const { layers, manifests } = read(merged);
        assert.equal((layers ?? manifests).length, new Set([...one, ...other]).size);
        for (const side of [make(one), make(other)]) {
          assert.equal(mergeAttached(hasher, merged, side, 'x').document.digest, merged.digest);
        }
      }
    }),
    { numRuns: Math.min(2000, FUZZ_RUNS) },
  );
});

const REFUSED: readonly (readonly [name: string, before: RawManifest, added: RawManifest])[] = [
  ['an index and a list', index(['a']), signatures(['p:a'])],
  ['lists of different things', signatures(['p:a']), signatures(['p:a'], 'application/vnd.dsse.envelope.v1+json')],
  ['bills of materials', signatures(['p:a'], 'text/spdx+json'), signatures(['q:a'], 'text/spdx+json')],
  ['artifacts', signatures(['p:a'], SIMPLE, 'application/x'), signatures(['q:a'], SIMPLE, 'application/x')],
];

for (const [name, before, added] of REFUSED) {
  test(`refused, not lost: ${name}`, () => {
    assert.throws(
      () => mergeAttached(hasher, before, added, 'r.example/a:sha256-0'),
      rejected('invalid-input', /^r\.example\/a:sha256-0: holds something else there than here/),
    );
  });
}
