import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { readText } from '../../src/bytes/read.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { treeOfDirectory } from '../../src/tree/directory.ts';
import {
  below,
  children,
  comparePaths,
  type Entry,
  fileAt,
  filter,
  overlay,
  resolve,
  subtree,
  type Tree,
  treeOf,
  treeOfLiterals,
  withAttributes,
} from '../../src/tree/tree.ts';

const paths = (tree: Tree): string[] => tree.entries.map((entry) => entry.path);
const text = async (tree: Tree, path: string): Promise<string | undefined> => {
  const content = fileAt(tree, path);
  return content === undefined ? undefined : readText(content, path, 1000);
};

test('tree order: directories before their content, names in byte order within one', () => {
  const tree = treeOfLiterals({
    'a-b': '1',
    'a/x': '2',
    a0: '3',
    'a/b/c': '4',
    '\u{1F600}': '5',
    '\uFFEE': '6',
    Z: '7',
  });
  assert.deepEqual(paths(tree), ['', 'Z', 'a', 'a/b', 'a/b/c', 'a/x', 'a-b', 'a0', '\uFFEE', '\u{1F600}']);
});

test('path order is that of the UTF-8 bytes, segment by segment', () => {
  const name = fc.string({ minLength: 1, maxLength: 4, unit: 'grapheme' }).filter((one) => !/[/\0]|^\.\.?$/.test(one));
  fc.assert(
    fc.property(
      fc.array(name, { minLength: 1, maxLength: 3 }),
      fc.array(name, { minLength: 1, maxLength: 3 }),
      (a, b) => {
        const key = (path: string[]): Buffer => Buffer.concat(path.flatMap((one) => [Buffer.from(one), Buffer.of(0)]));
        assert.equal(Math.sign(comparePaths(a.join('/'), b.join('/'))), Buffer.compare(key(a), key(b)));
      },
    ),
    { seed: 3, numRuns: 300 },
  );
});

test('missing parents appear as default directories', () => {
  const tree = treeOfLiterals({ 'a/b/c': 'x' });
  assert.deepEqual(tree.byPath.get('a/b'), { kind: 'directory', path: 'a/b', mode: 0o755, uid: 0, gid: 0, mtime: 0 });
});

test('refused: paths that escape or repeat, content below a file, a root that is no directory', () => {
  const file = (path: string): Entry => ({ ...(treeOfLiterals({ x: '' }).byPath.get('x') as Entry), path });
  for (const path of ['/a', 'a/', 'a//b', './a', 'a/../b', '..', 'a\0b']) {
    assert.throws(() => treeOf([file(path)]), { code: 'invalid-input' }, path);
  }
  assert.throws(() => treeOf([file('a'), file('a')]), { code: 'invalid-input' });
  assert.throws(() => treeOf([file('a'), file('a/b')]), { code: 'invalid-input' });
  assert.throws(() => treeOf([file('')]), { code: 'invalid-input' });
});

test('overlay: upper entries win, directories merge, a file hides what was below a directory', async () => {
  const lower = treeOfLiterals({ 'd/a': 'lower a', 'd/b': 'lower b', 'e/f': 'gone', g: 'file' });
  const upper = treeOfLiterals({ 'd/b': 'upper b', e: 'now a file', 'g/h': 'now a directory' });
  const both = overlay(lower, upper);
  assert.deepEqual(paths(both), ['', 'd', 'd/a', 'd/b', 'e', 'g', 'g/h']);
  assert.equal(await text(both, 'd/a'), 'lower a');
  assert.equal(await text(both, 'd/b'), 'upper b');
});

test('filter, subtree, below and children', () => {
  const tree = treeOfLiterals({ 'a/b/c': '1', 'a/d': '2', 'a.x': '3' });
  assert.deepEqual(paths(filter(tree, (entry) => entry.path !== 'a/b')), ['', 'a', 'a/d', 'a.x']);
  assert.deepEqual(paths(subtree(tree, 'a')), ['', 'b', 'b/c', 'd']);
  assert.deepEqual(paths(below(subtree(tree, 'a'), 'p/q')), ['', 'p', 'p/q', 'p/q/b', 'p/q/b/c', 'p/q/d']);
  assert.deepEqual(
    children(tree, 'a').map((entry) => entry.path),
    ['a/b', 'a/d'],
  );
  assert.throws(() => subtree(tree, 'a/d'), { code: 'invalid-input' });
  assert.throws(() => subtree(tree, 'nowhere'), { code: 'invalid-input' });
});

test('links are followed inside the tree only, and not for ever', async () => {
  const tree = treeOfLiterals({
    'usr/lib/file': 'content',
    lib: { link: 'usr/lib' },
    'usr/abs': { link: '/lib/file' },
    'usr/up': { link: '../../../../lib/file' },
    loop: { link: 'loop' },
    dead: { link: 'nowhere' },
  });
  assert.equal(await text(tree, 'lib/file'), 'content');
  assert.equal(await text(tree, '/usr/abs'), 'content');
  assert.equal(await text(tree, 'usr/up'), 'content');
  assert.equal(resolve(tree, 'loop'), undefined);
  assert.equal(resolve(tree, 'dead'), undefined);
  assert.equal(resolve(tree, 'lib')?.path, 'usr/lib');
  assert.equal(fileAt(tree, 'usr/lib'), undefined);
});

test('a directory on disk becomes a tree, unread', async () => {
  const platform = nodePlatform();
  const directory = await mkdtemp(join(tmpdir(), 'tree-'));
  try {
    await mkdir(join(directory, 'a'));
    await writeFile(join(directory, 'a', 'file'), 'on disk', { mode: 0o640 });
    await symlink('a/file', join(directory, 'link'));
    const tree = await treeOfDirectory(platform.files, directory);
    assert.deepEqual(paths(tree), ['', 'a', 'a/file', 'link']);
    assert.equal(await text(tree, 'link'), 'on disk');
    assert.equal(tree.byPath.get('a/file')?.uid, 0);
    assert.equal(fileAt(tree, 'a/file')?.extents[0]?.kind, 'range');
    await assert.rejects(treeOfDirectory(platform.files, join(directory, 'none')), { code: 'io' });
  } finally {
    await platform.close();
    await rm(directory, { recursive: true });
  }
});

/** Trees of a few names, so that they meet; every one valid. */
const smallTrees: fc.Arbitrary<Tree> = fc
  .array(fc.tuple(fc.array(fc.constantFrom('a', 'a-b', 'a.b', 'b'), { minLength: 1, maxLength: 3 }), fc.boolean()), {
    maxLength: 6,
  })
  .map((items) => {
    const entries = new Map<string, Entry>();
    for (const [segments, isFile] of items) {
      const path = segments.join('/');
      const above = segments.slice(1).map((_, index) => segments.slice(0, index + 1).join('/'));
      if (above.some((one) => entries.get(one)?.kind === 'file')) continue;
      if ([...entries.keys()].some((one) => one.startsWith(`${path}/`))) continue;
      const attributes = { mode: entries.size, uid: 0, gid: 0, mtime: 0 };
      entries.set(
        path,
        isFile
          ? { kind: 'file', path, content: { size: 0, extents: [], starts: [] }, ...attributes }
          : { kind: 'directory', path, ...attributes },
      );
    }
    return treeOf(entries.values());
  });

test('trees made from trees are in order and whole, as if made anew', () => {
  const asIfNew = (tree: Tree): void => {
    assert.deepEqual(tree, treeOf(tree.entries));
    assert.deepEqual([...tree.byPath.keys()], paths(tree));
  };
  fc.assert(
    fc.property(smallTrees, smallTrees, (lower, upper) => {
      const both = overlay(lower, upper);
      asIfNew(both);
      for (const entry of upper.entries) if (entry.path !== '') assert.equal(both.byPath.get(entry.path), entry);
      asIfNew(filter(lower, ({ mode }) => mode % 2 === 0));
      for (const { kind, path } of lower.entries) if (kind === 'directory') asIfNew(subtree(lower, path));
      const owned = withAttributes(lower, () => ({ uid: 7 }));
      asIfNew(owned);
      assert.ok(owned.entries.every(({ uid }) => uid === 7));
    }),
  );
});
