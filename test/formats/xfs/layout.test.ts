import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bytes, concat, ofMemory, ofSource, slice, zeros } from '../../../src/bytes/bytes.ts';
import { equals } from '../../../src/bytes/read.ts';
import { GIB, MIB } from '../../../src/bytes/units.ts';
import { guidOfLabel } from '../../../src/formats/gpt/guid.ts';
import { decodeXfs } from '../../../src/formats/xfs/decode.ts';
import { FEATURE_SETS, type FeatureSet } from '../../../src/formats/xfs/features.ts';
import { geometryOf } from '../../../src/formats/xfs/geometry.ts';
import { assignInodes } from '../../../src/formats/xfs/inode-numbers.ts';
import { layoutXfs, type XfsOptions, xfsSizeFor } from '../../../src/formats/xfs/layout.ts';
import { uuidBytes } from '../../../src/formats/xfs/superblock.ts';
import { type Entry, type Tree, treeOf, treeOfLiterals } from '../../../src/tree/tree.ts';
import { memorySource, stream } from '../../support/bytes.ts';
import { assertSameTree } from '../../support/tree.ts';
import { type UpstreamFile, vectorLines } from '../../support/vectors.ts';
import {
  bootTree,
  EPOCH,
  largeTree,
  mixedTree,
  oddTree,
  randomTree,
  upstreamTree,
  wideTree,
} from '../../support/xfs-trees.ts';

const BOOT = guidOfLabel('BOOT');
/** Each set and each sector size; all pairs are for xfs_repair to judge. */
const VARIANTS: readonly (readonly [FeatureSet, number])[] = [
  ['lts_6.1', 512],
  ['lts_6.6', 4096],
  ['lts_6.12', 512],
  ['lts_6.18', 512],
  ['lts_6.18', 4096],
];
const COMMON: XfsOptions = { label: 'BOOT', uuid: BOOT, features: 'lts_6.18', epoch: EPOCH };

interface BootPartition {
  readonly id: string;
  readonly rootMode: string;
  readonly files: readonly (Omit<UpstreamFile, 'uid' | 'gid'> & { readonly ino: number })[];
  readonly superblock: Readonly<Record<string, string>>;
}

const SET_BY_BITS: Readonly<Record<string, FeatureSet>> = {
  '0xb 0xd': 'lts_6.1',
  '0x2b 0xf': 'lts_6.6',
  '0xeb 0xf': 'lts_6.18',
};

for (const { id, files, rootMode, superblock } of vectorLines<BootPartition>('xfs/boot-partitions.jsonl')) {
  test(`upstream's BOOT partition: ${id}`, async () => {
    const tree = upstreamTree(rootMode, files);
    const features = SET_BY_BITS[`${superblock.features_incompat} ${superblock.features_ro_compat}`]!;
    const size = Number(superblock.dblocks) * 4096;
    const sectorSize = Number(superblock.sectsize);
    const { bytes } = layoutXfs(tree, size, { ...COMMON, features, sectorSize });
    const { superblock: ours, tree: back } = await decodeXfs(bytes);
    const hex = (value: number): string => (value === 0 ? '0' : `0x${value.toString(16)}`);
    const found: Readonly<Record<string, string>> = {
      agblocks: String(ours.agBlocks),
      agcount: String(ours.agCount),
      blocksize: String(ours.blockSize),
      dblocks: String(ours.blocks),
      fdblocks: String(ours.freeBlocks),
      features2: hex(ours.features2),
      features_compat: hex(ours.compatible),
      features_incompat: hex(ours.incompatible),
      features_log_incompat: hex(ours.logIncompatible),
      features_ro_compat: hex(ours.readOnlyCompatible),
      fname: JSON.stringify(ours.label).replace(/"$/, `${'\\000'.repeat(12 - ours.label.length)}"`),
      icount: String(ours.inodes),
      ifree: String(ours.freeInodes),
      imax_pct: String(ours.inodePercent),
      inodesize: String(ours.inodeSize),
      inopblock: String(ours.blockSize / ours.inodeSize),
      logblocks: String(ours.logBlocks),
      dirblklog: String(Math.log2(ours.directoryBlockSize / ours.blockSize)),
      sectsize: String(ours.sectorSize),
      uuid: ours.uuid,
      versionnum: hex(ours.versionBits),
      // Nothing of this kind is there.
      meta_uuid: '00000000-0000-0000-0000-000000000000',
      rextents: '0',
      unit: '0',
      width: '0',
    };
    // Some records have lines of other tools among the fields.
    assert.deepEqual(found, Object.fromEntries(Object.keys(found).map((name) => [name, superblock[name]])));
    await assertSameTree(back, tree);
    const geometry = geometryOf(size, sectorSize, FEATURE_SETS[features]);
    const { byPath } = assignInodes(tree, geometry, uuidBytes(BOOT))!;
    for (const { path, ino } of files) assert.equal(byPath.get(path.slice(1))!.number, ino, path);
  });
}

const TREES: readonly (readonly [string, () => Tree, number])[] = [
  ['nothing', () => treeOf([]), 300],
  ['every kind and form', oddTree, 300],
  ['a wide directory of long names', () => wideTree(600, 255), 300],
  ['one leaf that is its own root', () => wideTree(450, 255), 300],
  ['many random files', () => randomTree('layout', 600), 301],
  ['a file no group can hold', () => largeTree(3800), 4096],
  ['a file of more extents than an inode holds', () => largeTree(200 * 1024), 400 * 1024],
];

for (const [what, make, mebibytes] of TREES) {
  test(`what goes in comes out: ${what}`, async () => {
    const tree = make();
    for (const [features, sectorSize] of VARIANTS) {
      const { bytes } = layoutXfs(tree, mebibytes * MIB, { ...COMMON, features, sectorSize });
      assert.equal(bytes.size, mebibytes * MIB);
      const { superblock, tree: back } = await decodeXfs(bytes);
      assert.equal(superblock.sectorSize, sectorSize);
      await assertSameTree(back, tree);
    }
  });
}

test('in 16 TiB inode numbers are longer than 32 bits', async () => {
  const tree = treeOfLiterals(
    Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`${index}/${index}/file`, 'x'])),
    { mtime: EPOCH },
  );
  const { bytes } = layoutXfs(tree, 16 * 1024 * GIB, COMMON);
  const { tree: back, superblock } = await decodeXfs(bytes);
  assert.equal(superblock.agCount, 16);
  await assertSameTree(back, tree);
});

test('the same input gives the same bytes; another UUID or epoch others', async () => {
  const once = layoutXfs(randomTree('same', 300), 300 * MIB, COMMON).bytes;
  const again = layoutXfs(randomTree('same', 300), 300 * MIB, COMMON).bytes;
  assert.equal(await equals(once, again), true);
  for (const change of [{ uuid: guidOfLabel('META') }, { epoch: 0 }, { label: '' }]) {
    const other = layoutXfs(randomTree('same', 300), 300 * MIB, { ...COMMON, ...change }).bytes;
    assert.equal(await equals(once, other), false);
  }
});

test('contents are referred to, not read', async () => {
  const source = memorySource(stream('kernel', 100_000));
  const content = concat([ofSource(source), zeros(5 * GIB)]);
  const tree = treeOf([{ kind: 'file', path: 'kernel', mode: 0o644, uid: 0, gid: 0, mtime: 0, content }]);
  const { bytes, files } = layoutXfs(tree, 30 * GIB, COMMON);
  assert.deepEqual(source.reads, []);
  assert.ok(bytes.extents.reduce((sum, extent) => sum + (extent.kind === 'memory' ? extent.length : 0), 0) < MIB);
  const { offset, size } = files.get('kernel')!;
  assert.equal(await equals(slice(bytes, offset, offset + 100_000), ofSource(source)), true);
  assert.equal(size, content.size);
});

async function assertRanges(tree: Tree, bytes: Bytes, files: ReadonlyMap<string, { offset: number; size: number }>) {
  for (const [path, { offset, size }] of files) {
    const entry = tree.byPath.get(path)!;
    assert.ok(entry.kind === 'file' && entry.content.size === size, path);
    assert.equal(await equals(slice(bytes, offset, offset + size), entry.content), true, path);
  }
}

test('files are listed with their place, under every name; empty and divided ones are not', async () => {
  const tree = oddTree();
  const { bytes, files } = layoutXfs(tree, 300 * MIB, COMMON);
  await assertRanges(tree, bytes, files);
  for (const entry of tree.entries) {
    assert.equal(files.has(entry.path), entry.kind === 'file' && entry.content.size > 0, entry.path);
  }
  assert.deepEqual(files.get('hard/one'), files.get('other/one'));
  const divided = layoutXfs(largeTree(2048), 4096 * MIB, COMMON);
  assert.deepEqual([...divided.files.keys()], ['first', 'last']);
});

test('large files lie on the alignment of the medium, those named first before all others', async () => {
  const tree = mixedTree(300);
  const base = 2103 * MIB + 12288;
  const largeFiles = { from: 65536, alignment: 65536, base };
  const contentFirst = ['3/101', '0/7'];
  const { bytes, files } = layoutXfs(tree, 300 * MIB, { ...COMMON, largeFiles, contentFirst });
  await assertRanges(tree, bytes, files);
  for (const [path, { offset, size }] of files) {
    if (size >= 65536) assert.equal((base + offset) % 65536, 0, path);
  }
  const byOffset = [...files].sort(([, a], [, b]) => a.offset - b.offset).map(([path]) => path);
  assert.deepEqual(byOffset.slice(0, 2), contentFirst);
  const rest = tree.entries.filter(({ kind, path }) => kind === 'file' && !contentFirst.includes(path));
  assert.deepEqual(
    byOffset.slice(2),
    rest.map(({ path }) => path),
  );
  // Metadata of a boot partition takes less than the first 128 KiB.
  const boot = layoutXfs(bootTree(), 1000 * MIB, { ...COMMON, largeFiles, contentFirst: ['A/vmlinuz'] }).files;
  assert.ok(boot.get('A/vmlinuz')!.offset <= 131072);
});

test('what cannot be is refused, with its name', () => {
  const file = { kind: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, content: ofMemory(Uint8Array.of(1)) } as const;
  const link = { ...file, kind: 'symlink' } as const;
  const bad: readonly (readonly [Entry, RegExp])[] = [
    [{ ...file, path: 'n'.repeat(256) }, /name of "n+": 256 bytes of UTF-8, want at most 255/],
    [{ ...file, path: 'ü'.repeat(128) }, /256 bytes of UTF-8/],
    [{ ...file, path: 'a\ud800' }, /well-formed/],
    [{ ...link, path: 'link', target: 't'.repeat(1024) }, /target of "link": 1024 bytes of UTF-8, want 1 to 1023/],
    [{ ...link, path: 'link', target: '' }, /target of "link": 0 bytes/],
    [{ ...file, path: 'p', mtime: 2 ** 40 }, /time 1099511627776 of "p"/],
    [{ ...file, path: 'p', uid: 2 ** 32 - 1 }, /owner 4294967295:0 of "p": want numbers up to 4294967294/],
    [{ ...file, path: 'p', gid: -1 }, /owner 0:-1 of "p"/],
    [{ ...file, path: 'p', mode: 0o100644 }, /mode 0100644 of "p"/],
    [{ ...file, kind: 'block', path: 'p', major: 16384, minor: 0 }, /device "p" 16384:0: want at most 16383:262143/],
    [{ ...file, kind: 'block', path: 'p', major: 0, minor: 2 ** 18 }, /device "p" 0:262144/],
  ];
  for (const [entry, message] of bad) {
    assert.throws(() => layoutXfs(treeOf([entry]), 300 * MIB, COMMON), { code: 'invalid-input', message });
  }
  const options: readonly (readonly [Partial<XfsOptions>, RegExp])[] = [
    [{ label: 'thirteen long' }, /XFS label "thirteen long": want at most 12 bytes/],
    [{ label: 'a\0b' }, /label/],
    [{ epoch: 2 ** 40 }, /time 1099511627776/],
    [{ contentFirst: ['nowhere'] }, /"nowhere" is no file of the tree/],
    [{ largeFiles: { from: 0, alignment: 65536, base: 512 } }, /no block of 4096 bytes lies at a multiple of 65536/],
    [{ largeFiles: { from: 0, alignment: 0.5 } }, /want whole numbers/],
  ];
  for (const [change, message] of options) {
    assert.throws(() => layoutXfs(bootTree(1, 1), 300 * MIB, { ...COMMON, ...change }), {
      code: 'invalid-input',
      message,
    });
  }
  assert.throws(() => layoutXfs(bootTree(1, 1), 300 * MIB, { ...COMMON, sectorSize: 1024 }), {
    code: 'unsupported',
    message: /XFS sector size 1024/,
  });
});

test('more inodes than a volume may have are too many; a group that is full leaves the rest to the next', () => {
  const geometry = geometryOf(300 * MIB, 512, FEATURE_SETS['lts_6.18']);
  const tree = wideTree(600, 5);
  assert.equal(assignInodes(tree, { ...geometry, inodePercent: 0 }, uuidBytes(BOOT)), undefined);
  const short = { ...geometry, agBlocks: 500, blocks: 2000, logAg: 3, inodePercent: 100, agCount: 4 };
  const { nodes, used } = assignInodes(tree, short, uuidBytes(BOOT))!;
  assert.equal(used.filter((count) => count > 0).length, 1 + Math.floor(600 / used[0]!));
  assert.equal(new Set(nodes.map(({ number }) => number)).size, 602);
});

test('a volume that is too small says how large it must be, and that is true', () => {
  for (const size of [0, 300 * MIB - 1, 17 * 1024 * GIB, 400 * MIB + 0.5]) {
    assert.throws(() => layoutXfs(treeOf([]), size, COMMON), { message: /want 314572800 to/ });
  }
  for (const tree of [bootTree(1, 400 * MIB), wideTree(3000, 10), largeTree(700), mixedTree(100)]) {
    const least = xfsSizeFor(tree, COMMON);
    layoutXfs(tree, least, COMMON);
    if (least === 300 * MIB) continue;
    assert.throws(() => layoutXfs(tree, least - MIB, COMMON), {
      code: 'invalid-input',
      message: `XFS volume of ${least - MIB} bytes: the files do not fit, want at least ${least}`,
    });
  }
  assert.throws(() => layoutXfs(bootTree(1, 17 * 1024 * GIB), 300 * MIB, COMMON), { code: 'invalid-input' });
  assert.throws(() => layoutXfs(bootTree(1, 16 * 1024 * GIB), 300 * MIB, COMMON), { code: 'invalid-input' });
});
