import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bytes, ofMemory, ofSource, slice, zeros } from '../../../src/bytes/bytes.ts';
import { equals, read } from '../../../src/bytes/read.ts';
import { decodeSquashfs } from '../../../src/formats/squashfs/decode.ts';
import { FLAG } from '../../../src/formats/squashfs/superblock.ts';
import {
  type SquashfsOptions,
  squashfsMaker,
  squashfsOf,
  squashTree,
  writeSquashfs,
} from '../../../src/formats/squashfs/write.ts';
import { nodePlatform } from '../../../src/platform/node.ts';
import type { Compression } from '../../../src/platform/types.ts';
import { type Entry, type Tree, treeOf, treeOfLiterals } from '../../../src/tree/tree.ts';
import { memorySource, stream } from '../../support/bytes.ts';
import { EPOCH, formsTree, randomTree } from '../../support/squashfs-trees.ts';
import { assertSameTree } from '../../support/tree.ts';

const platform = nodePlatform();
/** As where the optional package is missing. */
const plain = {
  ...platform,
  compression: { ...platform.compression, lzma2: undefined } as Compression,
};

const ZSTD: SquashfsOptions = { compressor: { name: 'zstd', level: 3 }, epoch: EPOCH };
const XZ: SquashfsOptions = { compressor: { name: 'xz' }, epoch: EPOCH };

async function decoded(bytes: Bytes, machine = platform): Promise<Tree> {
  return (await decodeSquashfs(bytes, machine.compression)).tree;
}

test('a tree of every form comes back', async () => {
  const tree = formsTree();
  for (const options of [ZSTD, XZ, { ...ZSTD, blockSize: 4096 }, { ...ZSTD, blockSize: 1 << 20 }]) {
    await assertSameTree(await decoded(await squashTree(tree, options, platform)), tree);
  }
});

test('random trees come back', async () => {
  for (let index = 0; index < 15; index++) {
    const tree = randomTree(`unit ${index}`, ['user.', 'trusted.', 'security.']);
    const options = { ...ZSTD, blockSize: 4096 << (index % 4) };
    await assertSameTree(await decoded(await squashTree(tree, options, platform)), tree);
  }
});

test('xz images need no native coder, neither to be written nor to be read', async () => {
  const tree = randomTree('own coder', ['security.']);
  await assertSameTree(await decoded(await squashTree(tree, XZ, plain), plain), tree);
  await assertSameTree(await decoded(await squashTree(tree, XZ, platform), plain), tree);
  await assertSameTree(await decoded(await squashTree(tree, XZ, plain), platform), tree);
});

test('the super block says what mksquashfs would say', async () => {
  const tree = treeOfLiterals({ 'usr/lib': null }, { mtime: EPOCH });
  const zstd = await squashTree(tree, { compressor: { name: 'zstd', level: 18 }, epoch: EPOCH }, platform);
  const { superblock } = await decodeSquashfs(zstd, platform.compression);
  const { inodes, epoch, blockSize, fragments, compressor, ids, flags, size } = superblock;
  assert.deepEqual(
    { inodes, epoch, blockSize, fragments, compressor, ids, flags, size },
    { inodes: 3, epoch: EPOCH, blockSize: 131072, fragments: 0, compressor: 'zstd', ids: 1, flags: 0x4c0, size: 246 },
  );
  assert.equal(Buffer.from(await read(zstd, 96, 6)).toString('hex'), '048012000000');
  assert.equal(zstd.size, 4096);
  const xz = await decodeSquashfs(await squashTree(tree, XZ, platform), platform.compression);
  assert.equal(xz.superblock.flags, FLAG.duplicatesRemoved | FLAG.exportable);
});

test('the same tree gives the same bytes, however its contents are held', async () => {
  const content = stream('content', 400_000);
  const make = (bytes: Bytes): Tree =>
    treeOfLiterals({ a: bytes, b: slice(bytes, 0, 1000), c: slice(bytes, 1000, 2000), d: bytes });
  const expected = await squashTree(make(ofMemory(content)), ZSTD, platform);
  const again = await squashTree(make(ofSource(memorySource(content))), ZSTD, platform);
  assert.ok(await equals(again, expected));
  const mixed = slice(ofSource(memorySource(content)), 0);
  assert.ok(await equals(await squashTree(make(mixed), ZSTD, platform), expected));
});

test('content that is there already is not stored again, and not read where the extents show it', async () => {
  const source = memorySource(stream('source', 500_000));
  const range = ofSource(source);
  const once = await squashTree(treeOfLiterals({ a: range }), ZSTD, platform);
  assert.equal(source.reads.length, 4);
  const twice = await squashTree(treeOfLiterals({ a: range, b: range }), ZSTD, platform);
  assert.equal(source.reads.length, 8);
  assert.ok(twice.size - once.size <= 4096);
  const copy = ofMemory(stream('source', 500_000));
  const copied = await squashTree(treeOfLiterals({ a: range, b: copy }), ZSTD, platform);
  assert.ok(copied.size - once.size <= 4096);
  const small = treeOfLiterals({
    a: ofMemory(stream('s', 9000)),
    b: ofMemory(stream('s', 9000)),
    c: ofMemory(stream('t', 9000)),
  });
  assert.ok((await squashTree(small, ZSTD, platform)).size < 2 * 9000 + 4096);
});

test('zeros take no place, and are not read where the extents show them', async () => {
  const huge = 2 ** 36;
  const image = await squashTree(treeOfLiterals({ zeros: zeros(huge) }), { ...ZSTD, blockSize: 1 << 20 }, platform);
  assert.ok(image.size <= 8192);
  const { tree } = await decodeSquashfs(image, platform.compression);
  const entry = tree.byPath.get('zeros');
  assert.ok(entry?.kind === 'file');
  assert.deepEqual(entry.content, zeros(huge));
});

test('blocks that do not shrink are stored, and read as ranges of the image', async () => {
  const content = stream('noise', 3 * 131072);
  const image = await squashTree(treeOfLiterals({ noise: content }), ZSTD, platform);
  const entry = (await decoded(ofSource(memorySource(await read(image))))).byPath.get('noise');
  assert.ok(entry?.kind === 'file');
  assert.equal(entry.content.extents.length, 1);
  assert.deepEqual(Buffer.from(await read(entry.content)), Buffer.from(content));
});

test('content is unpacked when it is read, a block once', async () => {
  const text = Buffer.from('compress me '.repeat(100_000));
  const source = memorySource(await read(await squashTree(treeOfLiterals({ text }), ZSTD, platform)));
  const entry = (await decoded(ofSource(source))).byPath.get('text');
  assert.ok(entry?.kind === 'file');
  const before = source.reads.length;
  for (let at = 0; at < 131072; at += 1000) await read(entry.content, at, 1000);
  assert.equal(source.reads.length, before + 2);
});

test('what was written is the image with its super block at the end', async () => {
  const tree = treeOfLiterals({ a: 'text' });
  const parts: Uint8Array[] = [];
  await writeSquashfs(tree, ZSTD, platform, { write: async (chunk) => void parts.push(chunk) });
  const image = squashfsOf(ofMemory(Buffer.concat(parts)));
  assert.ok(await equals(image, await squashTree(tree, ZSTD, platform)));
});

const common = { mode: 0o644, uid: 0, gid: 0, mtime: 0 } as const;
const REFUSED: readonly (readonly [string, Entry, RegExp])[] = [
  ['a time before 1970', { kind: 'fifo', path: 'a', ...common, mtime: -1 }, /time -1, want whole seconds from 0/],
  ['a time after 2106', { kind: 'fifo', path: 'a', ...common, mtime: 2 ** 32 }, /time 4294967296/],
  ['a name of 256 bytes', { kind: 'fifo', path: 'ü'.repeat(128), ...common }, /want at most 255 bytes/],
  ['a link to nothing', { kind: 'symlink', path: 'a', ...common, target: '' }, /0 bytes: want 1 to 4095/],
  ['a major number', { kind: 'block', path: 'a', ...common, major: 4096, minor: 0 }, /device 4096:0/],
  ['an owner', { kind: 'fifo', path: 'a', ...common, uid: -1 }, /owner -1/],
  [
    'an access list',
    { kind: 'fifo', path: 'a', ...common, xattrs: new Map([['system.posix_acl_access', new Uint8Array(4)]]) },
    /attribute "system.posix_acl_access"/,
  ],
];

for (const [what, entry, message] of REFUSED) {
  test(`${what} is refused`, async () => {
    await assert.rejects(squashTree(treeOf([entry]), ZSTD, platform), { message });
  });
}

test('hard links that differ are refused', async () => {
  const inode = Symbol('shared');
  const tree = treeOf([
    { kind: 'file', path: 'a', ...common, content: zeros(1), inode },
    { kind: 'file', path: 'b', ...common, mode: 0o600, content: zeros(1), inode },
  ]);
  await assert.rejects(squashTree(tree, ZSTD, platform), { message: /hard links "a" and "b"/ });
});

test('a signal stops the work; errors of the sink and of contents come through', async () => {
  const tree = treeOfLiterals({ a: ofMemory(stream('a', 5_000_000)) });
  const nothing = { write: async () => undefined };
  const signal = AbortSignal.abort(new Error('stop'));
  await assert.rejects(writeSquashfs(tree, ZSTD, platform, nothing, { signal }), { code: 'canceled' });
  const full = { write: () => Promise.reject(new Error('disk full')) };
  await assert.rejects(writeSquashfs(tree, ZSTD, platform, full), { message: 'disk full' });
  const broken = ofSource({ key: 'k', label: 'l', size: 9, read: () => Promise.reject(new Error('gone')) });
  await assert.rejects(squashTree(treeOfLiterals({ broken }), ZSTD, platform), { message: 'gone' });
});

test('the maker of an image names every encoder that its bytes depend on', async () => {
  const { compression } = platform;
  const other = { ...compression, encoders: { ...compression.encoders, zstd: 'zstd of another time' } };
  for (const options of [XZ, ZSTD]) {
    // For xz, too: zstd says which blocks are stored.
    assert.notEqual(squashfsMaker(options, { compression: other }), squashfsMaker(options, platform));
  }
});
