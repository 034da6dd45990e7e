import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bytes, EMPTY, ofMemory, patch, slice, zeros } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import { GIB, MIB } from '../../../src/bytes/units.ts';
import { guidOfLabel } from '../../../src/formats/gpt/guid.ts';
import { seal } from '../../../src/formats/xfs/checksum.ts';
import { decodeXfs } from '../../../src/formats/xfs/decode.ts';
import { decodeExtent } from '../../../src/formats/xfs/extent.ts';
import { FEATURE_SETS } from '../../../src/formats/xfs/features.ts';
import { geometryOf } from '../../../src/formats/xfs/geometry.ts';
import { assignInodes } from '../../../src/formats/xfs/inode-numbers.ts';
import { layoutXfs, type XfsOptions } from '../../../src/formats/xfs/layout.ts';
import { uuidBytes } from '../../../src/formats/xfs/superblock.ts';
import { type Entry, type Tree, treeOf, treeOfLiterals } from '../../../src/tree/tree.ts';
import { stream } from '../../support/bytes.ts';
import { assertDamageIsRefused, metadataSectors } from '../../support/damage.ts';
import { largeTree, smallEntries } from '../../support/xfs-trees.ts';

const OPTIONS: XfsOptions = { label: 'BOOT', uuid: guidOfLabel('BOOT'), features: 'lts_6.18', epoch: 0 };

function smallTree(): Tree {
  const file = (path: string, xattrs: ReadonlyMap<string, Uint8Array>): Entry => {
    return { kind: 'file', path, mode: 0o644, uid: 0, gid: 0, mtime: 0, content: EMPTY, xattrs };
  };
  const forms = [
    ['user.local', stream('local', 500)],
    ['user.remote', stream('remote', 5000)],
  ] as const;
  const six = Array.from({ length: 6 }, (_, index) => [`user.${index}`, stream('x', 900)] as const);
  return treeOf([...smallEntries(40), file('a/xattrs', new Map(forms)), file('a/many xattrs', new Map(six))]);
}

const TREE = smallTree();
const SMALL = layoutXfs(TREE, 300 * MIB, OPTIONS).bytes;
const LARGE = layoutXfs(largeTree(200 * 1024), 400 * GIB, OPTIONS).bytes;
const LARGE_FILE = `large/${'l'.repeat(255)}`;

const BLOCK = 4096;
/** Offset of inode 128, the root, and behind the core of an inode. */
const INODES = 16 * BLOCK;
const FORK = 0xb0;

type Structure = readonly [at: number, size: number, checksum: number];

/** `bytes` with values over a structure, its checksum right again. */
async function changed(
  bytes: Bytes,
  [at, size, checksum]: Structure,
  ...changes: readonly (readonly [at: number, ...values: readonly number[]])[]
): Promise<Bytes> {
  const data = await read(bytes, at, size);
  for (const [offset, ...values] of changes) data.set(values, offset);
  seal(data, checksum);
  return patch(bytes, [{ at, bytes: ofMemory(data) }]);
}

const SUPERBLOCK: Structure = [0, 512, 0xe0];
const inode = (number: number): Structure => [INODES + (number - 128) * 512, 512, 0x64];
const daBlock = (block: number): Structure => [block * BLOCK, BLOCK, 0x0c];

/** The inode of an entry in the first group. */
function of(path: string, tree = TREE, size = 300 * MIB): Structure {
  const geometry = geometryOf(size, 512, FEATURE_SETS['lts_6.18']);
  return inode(assignInodes(tree, geometry, uuidBytes(OPTIONS.uuid))!.byPath.get(path)!.number);
}

/** The block where a fork's first extent lies. */
async function blockOf(structure: Structure, fork: number): Promise<number> {
  const data = await read(SMALL, structure[0], structure[1]);
  return decodeExtent(new DataView(data.buffer), fork).start;
}

async function changedBlock(
  path: string,
  fork: number,
  next: number,
  ...changes: readonly (readonly [at: number, ...values: readonly number[]])[]
): Promise<Bytes> {
  return changed(SMALL, daBlock((await blockOf(of(path), fork)) + next), ...changes);
}

/** Of a link, and of attributes: where usual forks begin. */
const ATTRIBUTES: number = FORK + 192;

const hostile: readonly (readonly [string, () => Promise<Bytes> | Bytes, RegExp])[] = [
  ['nothing', () => zeros(0), /0 bytes: too short/],
  ['no magic', () => zeros(300 * MIB), /not an XFS volume/],
  ['half a volume', () => slice(SMALL, 0, 100 * MIB), /only 104857600 are there/],
  ['a damaged super block', () => patch(SMALL, [{ at: 0x80, bytes: ofMemory(Uint8Array.of(1)) }]), /does not match/],
  ['blocks of 128 KiB', () => changed(SMALL, SUPERBLOCK, [0x78, 17]), /block size 2\^17/],
  ['block sizes that differ', () => changed(SMALL, SUPERBLOCK, [0x78, 11]), /do not agree/],
  ['no groups', () => changed(SMALL, SUPERBLOCK, [0x58, 0, 0, 0, 0]), /do not agree/],
  ['groups of no blocks', () => changed(SMALL, SUPERBLOCK, [0x54, 0, 0, 0, 0]), /do not agree/],
  ['inodes larger than blocks', () => changed(SMALL, SUPERBLOCK, [0x7a, 12]), /inode size/],
  ['a root inode outside', () => changed(SMALL, SUPERBLOCK, [0x38, 0, 0, 0xff]), /there are only 4 groups/],
  ['a root inode behind its group', () => changed(SMALL, SUPERBLOCK, [0x3d, 3, 0xff]), /outside the volume/],
  ['a root inode that is none', () => changed(SMALL, SUPERBLOCK, [0x3e, 0, 0]), /no inode is there/],
  ['a root that is a file', () => changed(SMALL, inode(128), [2, 0x81]), /has no extents/],
  ['a root of no kind', () => changed(SMALL, inode(128), [2, 0x01]), /has mode/],
  ['another inode', () => changed(SMALL, inode(128), [0x9f, 129]), /says it is 129/],
  ['an inode of version 2', () => changed(SMALL, inode(128), [4, 2]), /version 2, want 3/],
  ['a damaged inode', () => patch(SMALL, [{ at: INODES + 8, bytes: ofMemory(Uint8Array.of(1)) }]), /128: its checksum/],
  ['attributes behind the inode', () => changed(SMALL, inode(131), [0x52, 42]), /attributes at 336 of 336/],
  ['a fork of no format', () => changed(SMALL, inode(131), [0x53, 9]), /fork of format 9/],
  ['more names than bytes', () => changed(SMALL, inode(128), [FORK, 200]), /entries in the inode are damaged/],
  ['a directory larger than its inode', () => changed(SMALL, inode(128), [0x3e, 2]), /in 336/],
  ['a directory that holds itself', () => changed(SMALL, inode(128), [FORK + 11, 0, 0, 0, 128]), /two places/],
  ['a name with a slash', () => changed(SMALL, inode(128), [FORK + 9, 0x2f]), /"\/" is not allowed/],
  ['a name of no UTF-8', () => changed(SMALL, inode(128), [FORK + 9, 0xff]), /not UTF-8/],
  ['an extent outside', () => changed(SMALL, of('a/file'), [FORK + 8, 0xff]), /outside the volume/],
  ['an extent of no blocks', () => changed(SMALL, of('a/file'), [FORK + 15, 0]), /not in order/],
  ['more extents than room', () => changed(SMALL, of('a/file'), [0x1f, 30]), /30 extents in 192 bytes/],
  ['too many extents', () => changed(SMALL, of('a/file'), [0x1b, 1]), /want at most 1000000/],
  ['a link of no length', () => changed(SMALL, of('a/short'), [0x3e, 0, 0]), /has 0 bytes/],
  ['a link of a megabyte', () => changed(SMALL, of('a/short'), [0x3d, 0x10]), /has 1048580 bytes/],
  ['a link larger than its inode', () => changed(SMALL, of('a/short'), [0x3e, 3]), /in 192/],
  ['a link that ends early', () => changed(SMALL, of('a/long'), [0x3e, 3]), /damaged/],
  ['a link in foreign blocks', () => changedBlock('a/long', FORK, 0, [0x27, 1]), /target of the link is damaged/],
  ['attributes larger than said', () => changed(SMALL, of('a/file'), [ATTRIBUTES + 2, 9]), /attributes are damaged/],
  ['attributes that go round', () => changedBlock('a/many xattrs', ATTRIBUTES, 1, [3, 1]), /attributes are damaged/],
  ['attributes outside', () => changedBlock('a/many xattrs', ATTRIBUTES, 1, [2, 1]), /attributes are damaged/],
  ['foreign attributes', () => changedBlock('a/xattrs', ATTRIBUTES, 0, [0x37, 1]), /attributes are damaged/],
  ['attributes of no kind', () => changedBlock('a/xattrs', ATTRIBUTES, 0, [0x09, 1]), /attributes are damaged/],
  ['too many attributes', () => changedBlock('a/xattrs', ATTRIBUTES, 0, [0x38, 0xff]), /attributes are damaged/],
  ['a value in foreign blocks', () => changedBlock('a/xattrs', ATTRIBUTES, 1, [0x27, 1]), /value of an attribute/],
];

for (const [what, make, message] of hostile) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(async () => decodeXfs(await make()), { code: 'invalid-input', message });
  });
}

const LARGE_INODE = (): Structure => {
  const [at] = of(LARGE_FILE, largeTree(200 * 1024), 400 * GIB);
  return [at, 512, 0x64];
};

const hostileTrees: readonly (readonly [string, readonly [number, ...number[]], RegExp])[] = [
  ['no level', [FORK, 0, 0], /root of extents with level 0/],
  ['60 levels', [FORK, 0, 60], /level 60/],
  ['a level too many', [FORK, 0, 2], /should be level 1/],
  ['more pointers than room', [FORK + 2, 0, 9], /and 9 pointers/],
  ['a pointer outside', [FORK + 4 + 3 * 8, 0xff], /too large|outside the volume/],
  ['fewer extents than said', [0x1f, 3], /more extents than the 3 it says/],
];

for (const [what, change, message] of hostileTrees) {
  test(`refused: a tree of extents with ${what}`, async () => {
    const bytes = await changed(LARGE, LARGE_INODE(), change);
    await assert.rejects(decodeXfs(bytes), { code: 'invalid-input', message });
  });
}

test('versions and features that change what has to be read are unsupported', async () => {
  const version4 = await changed(SMALL, SUPERBLOCK, [0x65, 0xb4]);
  const metadataDirectory = await changed(SMALL, SUPERBLOCK, [0xda, 0x01]);
  const realTime = await changed(SMALL, of('a/file'), [0x5b, 1]);
  for (const bytes of [version4, metadataDirectory, realTime]) {
    await assert.rejects(decodeXfs(bytes), { code: 'unsupported' });
  }
});

test('names that repeat a path are refused', async () => {
  const { bytes } = layoutXfs(treeOfLiterals({ a: '1', b: '2' }), 300 * MIB, OPTIONS);
  await assert.rejects(async () => decodeXfs(await changed(bytes, inode(128), [FORK + 9 + 9, 0x61])), {
    code: 'invalid-input',
    message: /"a" is in the tree twice/,
  });
});

test('without checksums damaged metadata is read as it is', async () => {
  const bytes = patch(SMALL, [{ at: INODES + 0x0b, bytes: ofMemory(Uint8Array.of(7)) }]);
  await assert.rejects(decodeXfs(bytes), { code: 'invalid-input' });
  const { tree } = await decodeXfs(bytes, { checksums: false });
  assert.equal(tree.byPath.get('')!.uid, 7);
});

test('entries of attributes that all lead to one large value do not fill the memory', async () => {
  const content = stream('remote', 60_000);
  const xattrs = new Map(Array.from({ length: 1500 }, (_, index) => [`user.${index}`, content] as const));
  const file = { kind: 'file', path: 'file', mode: 0, uid: 0, gid: 0, mtime: 0, content: EMPTY, xattrs } as const;
  const { bytes } = layoutXfs(treeOf([file]), 600 * MIB, { ...OPTIONS, features: 'lts_6.12' });
  await assert.rejects(decodeXfs(bytes), { code: 'invalid-input', message: /more attributes than are read/ });
});

for (const [what, bytes] of [
  ['every form', SMALL],
  ['a tree of extents', LARGE],
] as const) {
  test(`damage of any kind is an ImagerError or passes: ${what}`, async () => {
    const sectors = metadataSectors(bytes);
    await assertDamageIsRefused(bytes, sectors, (damaged) => decodeXfs(damaged, { checksums: false }));
  });
}
