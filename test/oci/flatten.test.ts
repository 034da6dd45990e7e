import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { digest, read } from '../../src/bytes/read.ts';
import { ImagerError } from '../../src/errors.ts';
import { tarIndexer } from '../../src/formats/tar/tar-index.ts';
import { flatten, type LayerContent } from '../../src/oci/layer/flatten.ts';
import { unpackLayer } from '../../src/oci/layer/layer.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { type Entry, type Tree, treeOf } from '../../src/tree/tree.ts';
import { memorySource } from '../support/bytes.ts';
import { tar } from '../support/tar.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

interface Listed {
  readonly path: string;
  readonly type: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtime?: number;
  readonly size?: number;
  readonly sha256?: string;
  readonly link?: string;
  readonly sameFileAs?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
}

interface Vector {
  readonly id: string;
  readonly title: string;
  readonly layers: readonly { readonly mediaType: string; readonly base64: string }[];
  readonly expect: {
    readonly entries?: readonly Listed[];
    readonly refuse?: string;
    readonly either?: boolean;
    readonly orEntries?: readonly Listed[];
  };
}

const platform = nodePlatform({});

/**
 * Where a case leaves the choice we refuse: names that are no UTF-8 (two could become one), global records that change entries, and
 * everything containerd refuses.
 */
const REFUSED_BY_CHOICE = new Set(['flat-latin1-name', 'flat-pax-global']);

for (const vector of vectorLines<Vector>('oci/flatten.jsonl.gz')) {
  test(`${vector.id}: ${vector.title}`, async () => {
    const { entries, refuse, either, orEntries } = vector.expect;
    let tree: Tree;
    try {
      tree = await flattenBlobs(vector.layers.map(({ base64 }) => Buffer.from(base64, 'base64')));
    } catch (error) {
      assert.ok(error instanceof ImagerError, String(error));
      assert.equal(error.code, 'invalid-input');
      assert.ok(refuse !== undefined || (either === true && REFUSED_BY_CHOICE.has(vector.id)), error.message);
      return;
    }
    const want = refuse === undefined ? entries : orEntries;
    assert.ok(want !== undefined, `was accepted, want it refused: ${refuse}`);
    await assertListing(tree, want);
  });
}

async function flattenBlobs(blobs: readonly Uint8Array[]): Promise<Tree> {
  const layers: LayerContent[] = [];
  for (const [index, blob] of blobs.entries()) {
    const pieces: Uint8Array[] = [];
    const input = (async function* () {
      yield blob;
    })();
    for await (const piece of unpackLayer(platform.compression, input, blob.length)) pieces.push(piece);
    const plain = Buffer.concat(pieces);
    const indexer = tarIndexer();
    indexer.push(plain);
    layers.push({ label: `layer ${index}`, entries: indexer.finish(), source: memorySource(plain) });
  }
  return flatten(layers);
}

async function assertListing(tree: Tree, want: readonly Listed[]): Promise<void> {
  const found = await Promise.all(tree.entries.filter(({ path }) => path !== '').map((entry) => listed(entry, tree)));
  assert.deepEqual(found.map(({ path }) => path).sort(), want.map(({ path }) => path).sort());
  const byPath = new Map(found.map((entry) => [entry.path, entry]));
  for (const wanted of want) {
    const entry = byPath.get(wanted.path)!;
    // Attributes of parents nobody described are free.
    const compared = Object.fromEntries(Object.keys(wanted).map((key) => [key, entry[key as keyof Listed]]));
    assert.deepEqual(compared, { ...wanted });
    assert.equal(entry.sameFileAs, wanted.sameFileAs);
    if (wanted.mtime !== undefined) assert.deepEqual(entry.xattrs, wanted.xattrs);
  }
}

async function listed(entry: Entry, tree: Tree): Promise<Listed> {
  const { path, uid, gid, mtime, xattrs } = entry;
  const mode = entry.mode.toString(8).padStart(4, '0');
  const attributes = {
    ...(xattrs === undefined
      ? {}
      : {
          xattrs: Object.fromEntries([...xattrs].map(([name, value]) => [name, Buffer.from(value).toString('base64')])),
        }),
  };
  const common = { path, mode, uid, gid, mtime, ...attributes };
  switch (entry.kind) {
    case 'directory':
      return { ...common, type: 'dir' };
    case 'symlink':
      return { ...common, type: 'symlink', link: entry.target };
    case 'file': {
      const sha256 = Buffer.from(await digest(entry.content, platform.hash('sha256'))).toString('hex');
      const first = tree.entries.find((one) => one.kind === 'file' && one.inode === entry.inode);
      const same = entry.inode !== undefined && first?.path !== path ? { sameFileAs: first!.path } : {};
      return { ...common, type: 'file', size: entry.content.size, sha256, ...same };
    }
    default:
      return { ...common, type: entry.kind };
  }
}

function layerOf(entries: Parameters<typeof tar>[0], label = 'layer'): LayerContent {
  const plain = tar(entries);
  const indexer = tarIndexer();
  indexer.push(plain);
  return { label, entries: indexer.finish(), source: memorySource(plain) };
}

const paths = (tree: Tree): string[] => tree.entries.slice(1).map(({ path }) => path);

test('a hard link names a file of the layer below although a marker of its own layer hides it, wherever that stands', () => {
  const below = layerOf([{ name: 'd/a', data: 'text' }]);
  for (const marker of ['d/.wh.a', '.wh.d', 'd/.wh..wh..opq']) {
    const link = { name: 'b', type: '1', link: 'd/a' };
    for (const entries of [
      [{ name: marker }, link],
      [link, { name: marker }],
    ]) {
      const tree = flatten([below, layerOf(entries)]);
      assert.deepEqual(
        paths(tree).filter((path) => path !== 'd'),
        ['b'],
      );
      const entry = tree.byPath.get('b');
      assert.ok(entry?.kind === 'file' && entry.content.size === 4 && entry.inode === undefined);
    }
  }
});

test('a directory that takes the place of a link may hold markers, a link that stays may not', () => {
  const below = layerOf([{ name: 'real/f' }, { name: 'lnk', type: '2', link: 'real' }]);
  const above = layerOf([{ name: 'lnk', type: '5' }, { name: 'lnk/.wh..wh..opq' }, { name: 'lnk/n' }]);
  assert.deepEqual(paths(flatten([below, above])), ['lnk', 'lnk/n', 'real', 'real/f']);
  assert.throws(() => flatten([below, layerOf([{ name: 'lnk/.wh.f' }])]), /its parent "lnk" is a link/);
});

test('a marker makes no directory and one below a file hides nothing', () => {
  const below = layerOf([{ name: 'f' }]);
  assert.deepEqual(paths(flatten([below, layerOf([{ name: 'gone/.wh.x' }, { name: 'f/.wh.x' }])])), ['f']);
});

test('names below a marker are refused, the bookkeeping of AUFS is passed over', () => {
  assert.throws(() => flatten([layerOf([{ name: 'a/.wh.b/c' }])]), /below a whiteout/);
  assert.deepEqual(
    paths(flatten([layerOf([{ name: '.wh..wh.plnk/12.34' }, { name: '.wh..wh.aufs' }, { name: 'a' }])])),
    ['a'],
  );
});

test('a message names the layer, the path and what is wrong', () => {
  const below = layerOf([{ name: 'a' }]);
  assert.throws(
    () => flatten([below, layerOf([{ name: 'a/b' }], 'layer sha256:12')]),
    (error: ImagerError) => error.message === 'layer sha256:12: "a/b": its parent "a" is a file: want a directory',
  );
});

test('entries come in tree order whatever the order of the layer', () => {
  const names = ['b', 'a/z', 'a.b', 'a/b/c', 'ä', 'z\u{10000}', 'z\uffff'];
  const tree = flatten([layerOf(names.map((name) => ({ name })))]);
  assert.deepEqual(paths(tree), ['a', 'a/b', 'a/b/c', 'a/z', 'a.b', 'b', 'z\uffff', 'z\u{10000}', 'ä']);
});

test('many layers of many entries flatten in time proportional to their number', () => {
  const wide = Array.from({ length: 20_000 }, (_, index) => ({ name: `d${index % 100}/f${index}` }));
  const markers = Array.from({ length: 20_000 }, (_, index) => ({ name: `d${index % 100}/.wh.f${index}` }));
  const started = process.hrtime.bigint();
  const tree = flatten([layerOf(wide), layerOf(markers)]);
  assert.equal(tree.entries.length, 101);
  assert.ok(Number(process.hrtime.bigint() - started) / 1e9 < 5);
});

test('flattening never escapes, loops or fails in another way than with invalid-input', () => {
  const name = fc.constantFrom(
    'a',
    'a/b',
    '../a',
    '/a',
    './a/',
    'a/.wh.b',
    '.wh..wh..opq',
    'a/.wh..',
    'l/x',
    'l',
    'a//b',
    '',
  );
  const entry = fc.record({ name, type: fc.constantFrom('0', '1', '2', '5', '6', '3'), link: name });
  fc.assert(
    fc.property(fc.array(fc.array(entry, { maxLength: 6 }), { maxLength: 3 }), (layers) => {
      try {
        const tree = flatten(layers.map((entries) => layerOf(entries)));
        assert.deepEqual(tree, treeOf(tree.entries));
        for (const { path } of tree.entries) assert.ok(!path.split('/').includes('..') && !path.includes('.wh.'));
      } catch (error) {
        assert.ok(error instanceof ImagerError && error.code === 'invalid-input', String(error));
      }
    }),
    { numRuns: Math.min(FUZZ_RUNS, 20_000), seed: 1 },
  );
});

test('contents are ranges of the layer, not copies', async () => {
  const layer = layerOf([{ name: 'a', data: 'hello' }]);
  const tree = flatten([layer]);
  const entry = tree.byPath.get('a');
  assert.ok(entry?.kind === 'file');
  assert.deepEqual(
    entry.content.extents.map(({ kind }) => kind),
    ['range'],
  );
  assert.equal(Buffer.from(await read(entry.content)).toString(), 'hello');
});
