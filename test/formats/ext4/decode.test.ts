import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bytes, EMPTY, ofMemory, patch, slice, zeros } from '../../../src/bytes/bytes.ts';
import { viewOf } from '../../../src/bytes/field.ts';
import { read } from '../../../src/bytes/read.ts';
import { GIB, MIB } from '../../../src/bytes/units.ts';
import { after64, checksum, inodeSeed, plainChecksum, volumeSeed } from '../../../src/formats/ext4/checksum.ts';
import { decodeExt4 } from '../../../src/formats/ext4/decode.ts';
import { geometryOf } from '../../../src/formats/ext4/geometry.ts';
import { claimGroupTables } from '../../../src/formats/ext4/group-tables.ts';
import { assignInodes } from '../../../src/formats/ext4/inode-numbers.ts';
import { type Ext4Options, layoutExt4 } from '../../../src/formats/ext4/layout.ts';
import { Space } from '../../../src/formats/ext4/space.ts';
import { uuidBytes } from '../../../src/formats/ext4/superblock.ts';
import { guidOfLabel } from '../../../src/formats/gpt/guid.ts';
import { type Entry, type Tree, treeOf } from '../../../src/tree/tree.ts';
import { stream } from '../../support/bytes.ts';
import { assertDamageIsRefused, metadataSectors } from '../../support/damage.ts';
import { largeTree, smallEntries } from '../../support/xfs-trees.ts';

const CACHE = guidOfLabel('IMAGECACHE');
const OPTIONS: Omit<Ext4Options, 'size'> = { uuid: CACHE, hashSeed: CACHE, epoch: 0, blockSize: 1024 };
const SEED = volumeSeed(uuidBytes(CACHE));
const BLOCK = 1024;

function smallTree(): Tree {
  const file = (path: string, ...sizes: readonly number[]): Entry => {
    const xattrs = new Map(sizes.map((size, index) => [`user.${index}`, stream(`${index}`, size)]));
    return { kind: 'file', path, mode: 0o644, uid: 0, gid: 0, mtime: 0, content: EMPTY, xattrs };
  };
  return treeOf([...smallEntries(200), file('a/xattrs', 10), file('a/many xattrs', 10, 300, 20, 0)]);
}

const SIZE = 4 * MIB;
const TREE = smallTree();
const SMALL = layoutExt4(TREE, { ...OPTIONS, size: SIZE });
const LARGE_SIZE = 8 * GIB;
const LARGE_TREE = largeTree(5 * 1024);
const LARGE = layoutExt4(LARGE_TREE, { ...OPTIONS, size: LARGE_SIZE });
const LARGE_FILE = `large/${'l'.repeat(255)}`;

function numberOf(path: string, tree = TREE): number {
  return assignInodes(tree, 0).find(({ entry }) => entry.path === path)!.number;
}

/** Where an inode of the first group lies. */
function inodeAt(number: number, size = SIZE): number {
  const geometry = geometryOf(size, BLOCK, 12)!;
  const [first] = claimGroupTables(geometry, new Space(geometry.firstBlock, geometry.blocks));
  return first!.inodeTable * BLOCK + (number - 1) * 256;
}

type Change = readonly [at: number, ...values: readonly number[]];
type Seal = (data: Uint8Array) => void;

/** `bytes` with values over a structure, its checksum right again. */
async function changed(
  bytes: Bytes,
  at: number,
  size: number,
  seal: Seal,
  ...changes: readonly Change[]
): Promise<Bytes> {
  const data = await read(bytes, at, size);
  for (const [offset, ...values] of changes) data.set(values, offset);
  seal(data);
  return patch(bytes, [{ at, bytes: ofMemory(data) }]);
}

function superblock(...changes: readonly Change[]): Promise<Bytes> {
  const seal: Seal = (data) => viewOf(data).setUint32(0x3fc, plainChecksum(data.subarray(0, 0x3fc)), true);
  return changed(SMALL, 1024, 1024, seal, ...changes);
}

function inodeSealed(number: number): Seal {
  return (data) => {
    const view = viewOf(data);
    const hasHigh = view.getUint16(0x80, true) >= 4;
    view.setUint16(0x7c, 0, true);
    if (hasHigh) view.setUint16(0x82, 0, true);
    const sum = checksum(inodeSeed(SEED, number, view.getUint32(0x64, true)), data);
    view.setUint16(0x7c, sum & 0xffff, true);
    if (hasHigh) view.setUint16(0x82, sum >>> 16, true);
  };
}

function inode(path: string, ...changes: readonly Change[]): Promise<Bytes> {
  const number = path === '' ? 2 : numberOf(path);
  return changed(SMALL, inodeAt(number), 256, inodeSealed(number), ...changes);
}

function largeInode(...changes: readonly Change[]): Promise<Bytes> {
  const number = numberOf(LARGE_FILE, LARGE_TREE);
  return changed(LARGE, inodeAt(number, LARGE_SIZE), 256, inodeSealed(number), ...changes);
}

/** The block where the first extent of an inode of `SMALL` lies. */
async function firstBlock(number: number): Promise<number> {
  return viewOf(await read(SMALL, inodeAt(number) + 0x28, 60)).getUint32(20, true);
}

/** The first block of a directory. */
async function entries(path: string, ...changes: readonly Change[]): Promise<Bytes> {
  const number = path === '' ? 2 : numberOf(path);
  const seal: Seal = (data) =>
    viewOf(data).setUint32(BLOCK - 4, checksum(inodeSeed(SEED, number), data.subarray(0, BLOCK - 12)), true);
  return changed(SMALL, (await firstBlock(number)) * BLOCK, BLOCK, seal, ...changes);
}

async function attributeBlock(...changes: readonly Change[]): Promise<Bytes> {
  const at = inodeAt(numberOf('a/many xattrs'));
  const block = viewOf(await read(SMALL, at, 256)).getUint32(0x68, true);
  const seal: Seal = (data) => {
    viewOf(data).setUint32(16, 0, true);
    viewOf(data).setUint32(16, checksum(after64(SEED, block), data), true);
  };
  return changed(SMALL, block * BLOCK, BLOCK, seal, ...changes);
}

/** The node below the root of the large file's extents. */
async function extentNode(...changes: readonly Change[]): Promise<Bytes> {
  const number = numberOf(LARGE_FILE, LARGE_TREE);
  const root = viewOf(await read(LARGE, inodeAt(number, LARGE_SIZE) + 0x28, 60));
  const seal: Seal = (data) =>
    viewOf(data).setUint32(BLOCK - 4, checksum(inodeSeed(SEED, number), data.subarray(0, BLOCK - 4)), true);
  return changed(LARGE, root.getUint32(16, true) * BLOCK, BLOCK, seal, ...changes);
}

/** Of the first extent in a root. */
const EXTENT = 0x28 + 12;
/** Attributes in an inode: the magic number, then entries. */
const ATTRIBUTES = 160;

const hostile: readonly (readonly [string, () => Promise<Bytes>, RegExp])[] = [
  ['nothing', async () => EMPTY, /too short/],
  ['zeros', async () => zeros(SIZE), /not an ext4 volume/],
  ['a volume cut short', async () => slice(SMALL, 0, SIZE - BLOCK), /only 4193280 are there/],
  [
    'a changed super block',
    async () => patch(SMALL, [{ at: 1101, bytes: ofMemory(Uint8Array.of(1)) }]),
    /super block: its checksum/,
  ],
  ['a volume in use', () => superblock([0x60, 0xc6]), /not closed in good order/],
  ['a volume with errors', () => superblock([0x3a, 3]), /not closed in good order/],
  ['blocks of 2^42 bytes', () => superblock([0x18, 32]), /dimensions do not agree/],
  ['inodes of 3 bytes', () => superblock([0x58, 3, 0]), /dimensions do not agree/],
  ['descriptors of no bytes', () => superblock([0xfe, 0, 0]), /dimensions do not agree/],
  ['groups of no blocks', () => superblock([0x20, 0, 0, 0, 0]), /dimensions do not agree/],
  ['groups of no inodes', () => superblock([0x28, 0, 0, 0, 0]), /dimensions do not agree/],
  ['more blocks than bytes', () => superblock([0x150, 1]), /do not agree|are there/],
  ['another volume', () => superblock([0x270, 1]), /group 0: the checksum of its descriptor/],
  [
    'a changed descriptor',
    async () => patch(SMALL, [{ at: 2048, bytes: ofMemory(Uint8Array.of(1)) }]),
    /descriptor does not match/,
  ],
  [
    'a changed inode',
    async () => patch(SMALL, [{ at: inodeAt(2) + 2, bytes: ofMemory(Uint8Array.of(1)) }]),
    /inode 2: its checksum/,
  ],
  ['a root that is a file', () => inode('', [0x01, 0x81]), /root of a tree is a file/],
  ['a mode of no kind', () => inode('a/file', [0x01, 0xf1]), /"a\/file" has mode/],
  ['fields that are larger than the inode', () => inode('a/file', [0x80, 0x84]), /fields do not fit/],
  ['a file larger than can be', () => inode('a/file', [0x6f, 1]), /more than there can be/],
  ['no extents', () => inode('a/file', [0x28, 0]), /no extents are there/],
  ['more extents than room', () => inode('a/file', [0x2a, 5]), /5 extents in 60 bytes/],
  ['60 levels', () => inode('a/file', [0x2e, 60]), /60 levels/],
  ['an extent outside', () => inode('a/file', [EXTENT + 8, 0xff, 0xff]), /outside the volume/],
  ['an extent of no blocks', () => inode('a/file', [EXTENT + 4, 0]), /not in order/],
  ['an extent at block 0', () => inode('a/file', [EXTENT + 8, 0, 0, 0, 0]), /outside the volume/],
  ['a node of nothing', () => inode('a/file', [0x2a, 0], [0x2e, 1]), /a node of extents without any/],
  ['a link of no length', () => inode('a/short', [0x04, 0]), /has 0 bytes/],
  ['a link of a megabyte', () => inode('a/long', [0x06, 0x10]), /want 1 to 4096/],
  ['a link of no UTF-8', () => inode('a/short', [0x28, 0xff]), /not UTF-8/],
  ['a directory of half a block', () => inode('a', [0x05, 2]), /512 bytes, want whole blocks/],
  ['a directory of no blocks', () => inode('a', [0x04, 0, 0]), /0 bytes, want whole blocks/],
  ['a directory with a hole', () => inode('a', [EXTENT, 1]), /checksum of a block does not match/],
  ['a directory of foreign blocks', async () => inode('a', [EXTENT + 8, await firstBlock(2)]), /checksum of a block/],
  ['an entry that is too short', () => entries('a', [4, 4, 0]), /an entry of 4 bytes/],
  ['an entry of an odd length', () => entries('a', [4, 13, 0]), /an entry of 13 bytes/],
  ['an entry that is too long', () => entries('a', [4, 0, 5]), /an entry of 1280 bytes/],
  ['a name longer than its entry', () => entries('a', [6, 200]), /an entry of 12 bytes is damaged/],
  ['a name with a slash', () => entries('', [24 + 8, 0x2f]), /"\/.*" is not allowed/],
  ['a name of no UTF-8', () => entries('', [24 + 8, 0xff]), /not UTF-8/],
  ['a name with a zero', () => entries('', [24 + 8, 0]), /want relative segments/],
  ['an inode that is not there', () => entries('', [24, 0xff, 0xff, 0xff]), /there are only/],
  ['an inode that was never in use', () => entries('', [24, 0xff, 1]), /never in use/],
  ['an inode of nothing', () => entries('', [24, 3]), /has mode 00/],
  ['a directory that holds itself', () => entries('', [24, 2]), /in two places/],
  ['attributes that go on', () => inode('a/xattrs', [ATTRIBUTES + 4, 200]), /attributes are damaged/],
  ['a value outside', () => inode('a/xattrs', [ATTRIBUTES + 6, 255]), /attributes are damaged/],
  ['a value larger than all', () => inode('a/xattrs', [ATTRIBUTES + 15, 255]), /attributes are damaged/],
  ['attributes to the end', () => inode('a/xattrs', [ATTRIBUTES + 4, ...Array(92).fill(1)]), /attributes are damaged/],
  ['attributes of no kind', () => attributeBlock([0, 1]), /attributes are damaged/],
  ['attributes in two blocks', () => attributeBlock([8, 2]), /attributes are damaged/],
  ['attributes outside', () => inode('a/many xattrs', [0x6a, 0xff]), /outside the volume/],
  ['foreign attributes', async () => inode('a/many xattrs', [0x68, await firstBlock(2)]), /checksum of its attributes/],
  ['a node of another level', () => extentNode([6, 1]), /a node of extents of level 1, want 0/],
  ['an empty node', () => extentNode([2, 0, 0]), /a node of extents without any/],
  ['more extents in a node than room', () => extentNode([2, 0xff, 0]), /255 extents in 1024 bytes/],
  ['a node outside', () => largeInode([EXTENT + 8, 0xff, 0xff]), /outside the volume/],
  ['a level too many', () => largeInode([0x2e, 2]), /level 0, want 1/],
];

for (const [what, make, message] of hostile) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(async () => decodeExt4(await make()), { code: 'invalid-input', message });
  });
}

test('a node of extents that is listed twice is refused', async () => {
  const number = numberOf(LARGE_FILE, LARGE_TREE);
  const entry = await read(LARGE, inodeAt(number, LARGE_SIZE) + EXTENT, 12);
  const bytes = await largeInode([EXTENT + 12, ...entry]);
  await assert.rejects(decodeExt4(bytes), { code: 'invalid-input', message: /extents are not in order/ });
});

test('features, flags and attributes that change what has to be read are unsupported', async () => {
  const made = [
    superblock([0x61, 0x84]), // attributes in inodes of their own
    superblock([0x62, 1]), // encryption
    inode('a/file', [0x23, 0x10]), // data in the inode
    inode('a/file', [0x21, 0x08]), // encrypted
    inode('a/file', [0x22, 0]), // blocks listed as in ext2
    inode('a/xattrs', [ATTRIBUTES + 5, 2]), // an access list
    attributeBlock([32 + 4, 1]), // a value in an inode of its own
  ];
  for (const bytes of made) await assert.rejects(async () => decodeExt4(await bytes), { code: 'unsupported' });
});

test('what was never written, and what was left out, reads as zeros', async () => {
  const path = 'a/file';
  const of = async (bytes: Bytes): Promise<Uint8Array> => {
    const entry = (await decodeExt4(bytes)).byPath.get(path);
    return entry?.kind === 'file' ? read(entry.content) : assert.fail();
  };
  // Five blocks, of which 904 bytes of the last.
  assert.deepEqual(await of(await inode(path, [EXTENT + 5, 0x80])), new Uint8Array(5000));
  const short = await of(await inode(path, [EXTENT + 4, 2]));
  assert.deepEqual(short.subarray(0, 2048), stream('content', 5000).subarray(0, 2048));
  assert.deepEqual(short.subarray(2048), new Uint8Array(2952));
  assert.deepEqual((await of(await inode(path, [0x04, 9, 0]))).length, 9);
});

test('without checksums damaged metadata is read as it is', async () => {
  const bytes = patch(SMALL, [{ at: inodeAt(2) + 2, bytes: ofMemory(Uint8Array.of(7)) }]);
  await assert.rejects(decodeExt4(bytes), { code: 'invalid-input' });
  const tree = await decodeExt4(bytes, { checksums: false });
  assert.equal(tree.byPath.get('')!.uid, 7);
});

for (const [what, bytes] of [
  ['every form', SMALL],
  ['a tree of extents', LARGE],
] as const) {
  test(`damage of any kind is an ImagerError or passes: ${what}`, async () => {
    // Descriptors of the large volume and what follows them would be nearly all there is.
    const sectors = metadataSectors(bytes).filter((at) => at < 4096 || at > inodeAt(1, bytes.size));
    await assertDamageIsRefused(bytes, sectors, (damaged) => decodeExt4(damaged, { checksums: false }));
  });
}
