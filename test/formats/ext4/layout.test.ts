import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, ofMemory, ofSource, zeros } from '../../../src/bytes/bytes.ts';
import { equals } from '../../../src/bytes/read.ts';
import { GIB, MIB } from '../../../src/bytes/units.ts';
import { decodeExt4 } from '../../../src/formats/ext4/decode.ts';
import { assignInodes } from '../../../src/formats/ext4/inode-numbers.ts';
import { type Ext4Options, layoutExt4, minimumExt4Size } from '../../../src/formats/ext4/layout.ts';
import { openVolume } from '../../../src/formats/ext4/volume.ts';
import { guidOfLabel } from '../../../src/formats/gpt/guid.ts';
import { type Entry, type Tree, treeOf, treeOfLiterals } from '../../../src/tree/tree.ts';
import { memorySource, stream } from '../../support/bytes.ts';
import { ext4OddTree, withLostAndFound } from '../../support/ext4-trees.ts';
import { assertSameTree } from '../../support/tree.ts';
import { type UpstreamFile, vectorLines } from '../../support/vectors.ts';
import { bootTree, EPOCH, largeTree, mixedTree, randomTree, upstreamTree, wideTree } from '../../support/xfs-trees.ts';

const CACHE = guidOfLabel('IMAGECACHE');
const COMMON: Ext4Options = { size: 64 * MIB, label: 'IMAGECACHE', uuid: CACHE, hashSeed: CACHE, epoch: EPOCH };

interface ImageCache {
  readonly id: string;
  readonly size: number;
  readonly rootMode: string;
  readonly dumpe2fs: readonly string[];
  readonly files: readonly (Omit<UpstreamFile, 'uid' | 'gid'> & { readonly ino: number })[];
}

for (const { id, size, rootMode, dumpe2fs, files } of vectorLines<ImageCache>('ext4/image-caches.jsonl')) {
  test(`upstream's IMAGECACHE partition: ${id}`, async () => {
    const tree = upstreamTree(rootMode, files);
    const bytes = layoutExt4(tree, { ...COMMON, size });
    const { superblock } = await openVolume(bytes, true);
    const theirs = (name: string): string => {
      const line = dumpe2fs.find((one) => one.startsWith(`${name}:`)) ?? assert.fail(name);
      return line.slice(name.length + 1).trim();
    };
    assert.equal(superblock.label, theirs('Filesystem volume name'));
    assert.equal(superblock.uuid, theirs('Filesystem UUID'));
    assert.equal(superblock.hashSeed, theirs('Directory Hash Seed'));
    assert.equal(superblock.checksumSeed, Number(theirs('Checksum seed')));
    // And a block for extents, which are more than the inode has room for.
    const blocksOfZeros = 629145600 / 4096 + 1;
    const numbers: readonly (readonly [string, number])[] = [
      ['Inode count', superblock.inodes],
      ['Free inodes', superblock.freeInodes],
      ['Inodes per group', superblock.inodesPerGroup],
      ['Inode size', superblock.inodeSize],
      ['Block count', superblock.blocks],
      ['Free blocks', superblock.freeBlocks + blocksOfZeros],
      ['Reserved block count', superblock.reservedForRoot],
      ['Overhead clusters', superblock.overhead],
      ['Block size', superblock.blockSize],
      ['First block', superblock.firstBlock],
      ['Blocks per group', superblock.groupBlocks],
      ['Group descriptor size', superblock.descriptorSize],
      ['Reserved GDT blocks', superblock.reservedBlocks],
    ];
    for (const [name, value] of numbers) assert.equal(value, Number(theirs(name)), name);
    const numbersByPath = new Map(assignInodes(tree, EPOCH).map(({ entry, number }) => [`/${entry.path}`, number]));
    for (const { path, ino } of files) assert.equal(numbersByPath.get(path), ino, path);
    await assertSameTree(await decodeExt4(bytes), tree);
  });
}

const BLOCK_SIZES = [1024, 2048, 4096] as const;

function emptyFiles(count: number): Tree {
  return treeOfLiterals(Object.fromEntries(Array.from({ length: count }, (_, index) => [`${index}`, ''])));
}

const TREES: readonly (readonly [string, (blockSize: number) => Tree, number])[] = [
  ['nothing', () => treeOf([]), 16],
  ['every kind and form', ext4OddTree, 64],
  ['a wide directory of long names', () => wideTree(600, 255), 32],
  ['a directory whose tree has nodes', (blockSize) => wideTree(Math.min(blockSize, 1800), 255), 64],
  ['many random files', () => randomTree('layout', 600), 65],
  ['more files than the size would have inodes for', () => emptyFiles(3000), 9],
  ['a file of more extents than an inode holds', () => largeTree(20 * 1024), 40 * 1024],
];

for (const [what, make, mebibytes] of TREES) {
  for (const blockSize of BLOCK_SIZES) {
    test(`what goes in comes out: ${what}, blocks of ${blockSize}`, async () => {
      const tree = make(blockSize);
      const bytes = layoutExt4(tree, { ...COMMON, size: mebibytes * MIB, blockSize });
      assert.equal(bytes.size, mebibytes * MIB);
      const { superblock } = await openVolume(bytes, true);
      assert.equal(superblock.blockSize, blockSize);
      assert.equal(superblock.label, 'IMAGECACHE');
      await assertSameTree(await decodeExt4(bytes), withLostAndFound(tree));
    });
  }
}

test('a file whose extents take two levels of blocks comes back', async () => {
  const tree = largeTree(300 * 1024);
  const bytes = layoutExt4(tree, { ...COMMON, size: 400 * GIB, blockSize: 1024 });
  await assertSameTree(await decodeExt4(bytes), withLostAndFound(tree));
});

test('a tree may bring its own lost+found', async () => {
  const file = { kind: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, content: ofMemory(stream('x', 10)) } as const;
  const names = Array.from({ length: 40 }, (_, index) => `lost+found/${String(index).padStart(200, 'n')}`);
  for (const count of [1, 40]) {
    const tree = treeOf([
      { kind: 'directory', path: 'lost+found', mode: 0o755, uid: 7, gid: 8, mtime: 9 },
      ...names.slice(0, count).map((path) => ({ ...file, path })),
    ]);
    await assertSameTree(await decodeExt4(layoutExt4(tree, COMMON)), tree);
  }
  assert.throws(() => layoutExt4(treeOf([{ ...file, path: 'lost+found' }]), COMMON), {
    code: 'invalid-input',
    message: '"lost+found" is a file: want a directory on ext4',
  });
});

test('the same input gives the same bytes; another UUID, seed, epoch or label others', async () => {
  const once = layoutExt4(wideTree(300, 100), COMMON);
  assert.equal(await equals(once, layoutExt4(wideTree(300, 100), COMMON)), true);
  const meta = guidOfLabel('META');
  for (const change of [{ uuid: meta }, { hashSeed: meta }, { epoch: 0 }, { label: '' }]) {
    assert.equal(await equals(once, layoutExt4(wideTree(300, 100), { ...COMMON, ...change })), false);
  }
});

test('contents are referred to, not read, and a large volume costs no more than it holds', async () => {
  const source = memorySource(stream('blob', 100_000));
  const content = concat([ofSource(source), zeros(2 * GIB)]);
  const tree = treeOf([{ kind: 'file', path: 'blob', mode: 0o644, uid: 0, gid: 0, mtime: 0, content }]);
  const bytes = layoutExt4(tree, { ...COMMON, size: 50 * GIB });
  assert.deepEqual(source.reads, []);
  const held = bytes.extents.reduce((sum, extent) => sum + (extent.kind === 'memory' ? extent.length : 0), 0);
  assert.ok(held < MIB, `${held} bytes`);
  const file = (await decodeExt4(bytes)).byPath.get('blob');
  assert.ok(file?.kind === 'file' && (await equals(file.content, content)));
});

test('10,000 files are laid out in well under a second', () => {
  const tree = mixedTree(10_000);
  layoutExt4(mixedTree(100), { ...COMMON, size: 600 * MIB });
  const start = performance.now();
  layoutExt4(tree, { ...COMMON, size: 600 * MIB });
  const took = performance.now() - start;
  assert.ok(took < 2000, `${took} ms, twice what may be on a machine that does nothing else`);
});

test('what cannot be is refused, with its name', () => {
  const file = { kind: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, content: ofMemory(Uint8Array.of(1)) } as const;
  const link = { ...file, kind: 'symlink' } as const;
  const xattrs = (name: string, size: number) => ({ xattrs: new Map([[name, new Uint8Array(size)]]) });
  const bad: readonly (readonly [Entry, RegExp])[] = [
    [{ ...file, path: 'n'.repeat(256) }, /name of "n+": 256 bytes of UTF-8, want at most 255/],
    [{ ...file, path: 'ü'.repeat(128) }, /256 bytes of UTF-8/],
    [{ ...file, path: 'a\ud800' }, /well-formed/],
    [{ ...link, path: 'link', target: 't'.repeat(4096) }, /target of "link": 4096 bytes of UTF-8, want 1 to 4095/],
    [{ ...link, path: 'link', target: '' }, /target of "link": 0 bytes/],
    [{ ...file, path: 'p', mtime: 2 ** 34 }, /time 17179869184 of "p": want whole seconds/],
    [{ ...file, path: 'p', mtime: 0.5 }, /time 0.5 of "p"/],
    [{ ...file, path: 'p', uid: 2 ** 32 - 1 }, /owner 4294967295:0 of "p": want numbers up to 4294967294/],
    [{ ...file, path: 'p', gid: -1 }, /owner 0:-1 of "p"/],
    [{ ...file, path: 'p', mode: 0o100644 }, /mode 0100644 of "p"/],
    [{ ...file, kind: 'block', path: 'p', major: 4096, minor: 0 }, /device "p" 4096:0: want at most 4095:1048575/],
    [{ ...file, kind: 'block', path: 'p', major: 0, minor: 2 ** 20 }, /device "p" 0:1048576/],
    [{ ...file, path: 'p', ...xattrs('user.', 1) }, /"user\." of "p": want a name of 1 to 255 bytes/],
    [{ ...file, path: 'p', ...xattrs(`user.${'n'.repeat(256)}`, 1) }, /want a name/],
    [
      { ...file, path: 'p', ...xattrs('user.a', 4090) },
      /attributes of "p": 4112 bytes, want what fits an inode and a block/,
    ],
  ];
  for (const [entry, message] of bad) {
    assert.throws(() => layoutExt4(treeOf([entry]), COMMON), { code: 'invalid-input', message });
  }
  for (const name of ['system.posix_acl_access', 'name', '']) {
    assert.throws(() => layoutExt4(treeOf([{ ...file, path: 'p', ...xattrs(name, 1) }]), COMMON), {
      code: 'unsupported',
      message: /of "p": on ext4 those of user, trusted, security are written/,
    });
  }
  const options: readonly (readonly [Partial<Ext4Options>, RegExp])[] = [
    [{ label: 'seventeen letters' }, /ext4 label "seventeen letters": want at most 16 bytes/],
    [{ label: 'a\0b' }, /label/],
    [{ epoch: 2 ** 40 }, /time 1099511627776/],
    [{ epoch: -1 }, /time -1/],
  ];
  for (const [change, message] of options) {
    assert.throws(() => layoutExt4(bootTree(1, 1), { ...COMMON, ...change }), { code: 'invalid-input', message });
  }
  assert.throws(() => layoutExt4(treeOf([]), { ...COMMON, blockSize: 8192 }), {
    code: 'unsupported',
    message: 'ext4 block size 8192: want 1024, 2048, 4096',
  });
});

test('more names of one file than can be counted are refused', () => {
  const inode = Symbol('one');
  const file = { kind: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, content: zeros(0), inode } as const;
  const names = Array.from({ length: 65_001 }, (_, index): Entry => ({ ...file, path: `${index}` }));
  assert.throws(() => layoutExt4(treeOf(names), COMMON), {
    code: 'invalid-input',
    message: /a file of 65001 names, want at most 65000 on ext4/,
  });
});

test('more entries than two levels of hashes lead to are refused', () => {
  // 123 nodes of 126 blocks of 1012 bytes, three names each.
  const names = Array.from({ length: 123 * 126 * 3 + 1 }, (_, index) => String(index).padStart(255, 'n'));
  const tree = treeOfLiterals(Object.fromEntries(names.map((name) => [`wide/${name}`, ''])));
  assert.throws(() => layoutExt4(tree, { ...COMMON, blockSize: 1024, size: GIB }), {
    code: 'invalid-input',
    message: 'directory "wide" of 46495 entries: want what two levels of hashes hold, on ext4',
  });
});

test('a volume that is too small says how large it must be, and that is true', () => {
  for (const size of [0, 8 * MIB - 1, 16 * 1024 * GIB, 40 * MIB + 0.5]) {
    assert.throws(() => layoutExt4(treeOf([]), { ...COMMON, size }), {
      code: 'invalid-input',
      message: /want 8388608 to 17592186040320, with blocks of 4096/,
    });
  }
  for (const tree of [bootTree(1, 400 * MIB), wideTree(3000, 10), emptyFiles(20_000), largeTree(700), mixedTree(100)]) {
    const least = minimumExt4Size(tree, COMMON);
    layoutExt4(tree, { ...COMMON, size: least });
    if (least === 8 * MIB) continue;
    assert.throws(
      () => layoutExt4(tree, { ...COMMON, size: least - MIB }),
      (error: Error) => {
        assert.match(error.message, /entries with \d+ bytes, inode tables and a journal do not fit/);
        assert.ok(error.message.endsWith(`want at least ${least}`), error.message);
        return true;
      },
    );
  }
  for (const gibibytes of [16 * 1024, 17 * 1024]) {
    assert.throws(() => minimumExt4Size(bootTree(1, gibibytes * GIB), COMMON), {
      code: 'invalid-input',
      message: /want what fits an ext4 volume of 17592186040320/,
    });
  }
});

test('names that differ by case, and files of no bytes, are what they are', async () => {
  const tree = treeOfLiterals({ a: '', A: 'x', 'B/b': '', 'b/B': 'y' }, { mtime: EPOCH });
  await assertSameTree(await decodeExt4(layoutExt4(tree, COMMON)), withLostAndFound(tree));
});
