/** e2fsprogs judges our ext4 volumes, and our reader theirs. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { type Bytes, ofMemory, patch, zeros } from '../../src/bytes/bytes.ts';
import { equals, read } from '../../src/bytes/read.ts';
import { GIB, MIB } from '../../src/bytes/units.ts';
import { decodeExt4 } from '../../src/formats/ext4/decode.ts';
import { FLEXIBLE_GROUPS, geometryOf } from '../../src/formats/ext4/geometry.ts';
import { type Ext4Options, layoutExt4, minimumExt4Size } from '../../src/formats/ext4/layout.ts';
import { guidOfLabel } from '../../src/formats/gpt/guid.ts';
import { type Entry, type Tree, treeOf, treeOfLiterals } from '../../src/tree/tree.ts';
import { stream } from '../support/bytes.ts';
import { skipWithoutDebianPrograms } from '../support/debian-programs.ts';
import { ext4Complaints, ext4Programs } from '../support/ext4-programs.ts';
import { ext4OddTree, withLostAndFound } from '../support/ext4-trees.ts';
import { imageFiles } from '../support/image-files.ts';
import { assertSameTree } from '../support/tree.ts';
import { bootTree, EPOCH, largeTree, mixedTree, randomTree, wideTree } from '../support/xfs-trees.ts';

const skip = skipWithoutDebianPrograms();
const programs = skip === false ? await ext4Programs(EPOCH) : undefined!;
const { directory, newPath, written, opened } = imageFiles();

const CACHE = guidOfLabel('IMAGECACHE');
const COMMON: Omit<Ext4Options, 'size'> = { label: 'IMAGECACHE', uuid: CACHE, hashSeed: CACHE, epoch: EPOCH };
const BLOCK_SIZES = [1024, 2048, 4096] as const;

/** As upstream's image cache: few files, most of them large, names that are digests. */
function cacheTree(): Tree {
  const digest = (index: number): string => createHash('sha256').update(`${index}`).digest('hex');
  return treeOfLiterals(
    Object.fromEntries(
      Array.from({ length: 200 }, (_, index) => [
        index % 3 === 0
          ? `manifests/registry.example/team/image-${index}/digest/sha256-${digest(index)}`
          : `blob/sha256-${digest(index)}`,
        index % 3 === 0 ? stream(`${index}`, 1500) : zeros(index * 50_000),
      ]),
    ),
    { mtime: EPOCH },
  );
}

const TREES: readonly (readonly [string, (blockSize: number) => Tree, number])[] = [
  ['an empty volume of a few blocks', () => treeOf([]), 8],
  ['an empty volume', () => treeOf([]), 1000],
  ['an image cache', cacheTree, 1200],
  ['every kind and form', ext4OddTree, 129],
  ['5000 long names in one directory', () => wideTree(5000, 255), 100],
  ['40,000 names in one directory', () => wideTree(40_000, 12), 513],
  ['10,000 random files', () => randomTree('conformance', 10_000), 400],
  ['10,000 files of two sizes', () => mixedTree(10_000), 777],
  ['files without number for the size', () => wideTree(9000, 8), 45],
  ['2 GiB in 3', () => largeTree(2048), 3000],
];

for (const [what, make, mebibytes] of TREES) {
  test(`e2fsck has nothing to say about ${what}`, { skip }, async () => {
    for (const blockSize of BLOCK_SIZES) {
      const size = mebibytes * MIB + 5000;
      const image = await written(layoutExt4(make(blockSize), { ...COMMON, size, blockSize }));
      assert.deepEqual(ext4Complaints(programs, image), [], `blocks of ${blockSize}`);
      rmSync(image);
    }
  });
}

test('a directory whose tree is full, and files of many extents, are sound', { skip }, async () => {
  // 123 nodes with 126 blocks each, of three names: as many as two levels lead to.
  const names = Array.from({ length: 123 * 126 * 3 }, (_, index) => `wide/${String(index).padStart(255, 'n')}`);
  const full = treeOfLiterals(Object.fromEntries(names.map((name) => [name, ''])), { mtime: EPOCH });
  const cases: readonly (readonly [Tree, number, number])[] = [
    [full, 200 * MIB, 1024],
    [wideTree(9000, 255), 200 * MIB, 4096],
    [largeTree(30 * 1024), 40 * GIB, 1024],
    [largeTree(50 * 1024), 60 * GIB, 4096],
  ];
  for (const [tree, size, blockSize] of cases) {
    const image = await written(layoutExt4(tree, { ...COMMON, size, blockSize }));
    assert.deepEqual(ext4Complaints(programs, image), []);
    rmSync(image);
  }
});

test('a volume filled to the last MiB that it takes is sound', { skip }, async () => {
  for (const blockSize of BLOCK_SIZES) {
    for (const tree of [randomTree('full', 1500, 100_000), cacheTree(), wideTree(3000, 100)]) {
      const size = minimumExt4Size(tree, { ...COMMON, blockSize });
      const image = await written(layoutExt4(tree, { ...COMMON, size, blockSize }));
      assert.deepEqual(ext4Complaints(programs, image), []);
      rmSync(image);
    }
  }
});

test('e2fsck does find what is wrong', { skip }, async () => {
  const bytes = layoutExt4(bootTree(), { ...COMMON, size: 100 * MIB });
  for (const at of [1024 + 0x0c, 4096 + 12, 14 * 4096 + 100]) {
    const image = await written(patch(bytes, [{ at, bytes: ofMemory(Uint8Array.of(0x5a)) }]));
    assert.notDeepEqual(ext4Complaints(programs, image), [], `byte ${at}`);
    rmSync(image);
  }
});

function makeTheirs(size: number, blockSize: number, ...more: readonly string[]): string {
  const image = newPath();
  writeFileSync(image, '');
  truncateSync(image, size);
  const fixed = ['-q', '-F', '-t', 'ext4', '-L', 'IMAGECACHE', '-U', CACHE, '-E', `hash_seed=${CACHE}`];
  const { code, text } = programs.run('mke2fs', ...fixed, '-b', String(blockSize), ...more, image);
  assert.equal(code, 0, text);
  return image;
}

test('an empty volume is that of mke2fs, byte for byte', { skip }, async () => {
  const cases: readonly (readonly [number, number])[] = [
    [140 * MIB, 4096],
    [600 * MIB, 4096],
    [300 * MIB, 1024],
    [300 * MIB, 2048],
  ];
  const tree = treeOf([{ kind: 'directory', path: '', mode: 0o755, uid: 0, gid: 0, mtime: EPOCH }]);
  for (const [size, blockSize] of cases) {
    const image = makeTheirs(size, blockSize);
    const ours = layoutExt4(tree, { ...COMMON, size, blockSize });
    const same = await equals(withoutWritten(ours, blockSize), withoutWritten(await opened(image), blockSize));
    assert.ok(same, `${size} bytes, blocks of ${blockSize}`);
    rmSync(image);
  }
});

/** With zeros over what mke2fs counts it has written, and over the checksums of super blocks, which cover that. */
function withoutWritten(bytes: Bytes, blockSize: number): Bytes {
  const groupSize = blockSize * 8 * blockSize;
  const first = blockSize === 1024 ? 1024 : 0;
  const places = [1024];
  for (const group of [1, 3, 5, 7, 9, 25, 27, 49, 81]) {
    if (first + group * groupSize < bytes.size) places.push(first + group * groupSize);
  }
  return patch(
    bytes,
    places.flatMap((at) => [
      { at: at + 0x178, bytes: zeros(8) },
      { at: at + 0x3fc, bytes: zeros(4) },
    ]),
  );
}

test('dimensions are those of mke2fs for any size', { skip }, async () => {
  const sizes: number[] = [];
  for (let size = 132 * MIB; size < 600 * GIB; size = Math.floor(size * 1.57) + 12_345) sizes.push(size);
  // From 4 TiB on there are fewer inodes.
  sizes.push(4.5 * 1024 * GIB);
  for (const [index, size] of sizes.entries()) {
    const blockSize = size < 100 * GIB ? BLOCK_SIZES[index % 3]! : 4096;
    const theirs = makeTheirs(size, blockSize);
    const ours = await written(layoutExt4(treeOf([]), { ...COMMON, size, blockSize }));
    // mke2fs leaves room between the tables of a group that is alone, which then divides the journal.
    const count = geometryOf(size, blockSize, 12)!.groupCount;
    const groups = size < 20 * GIB && count % FLEXIBLE_GROUPS !== 1;
    assert.deepEqual(report(ours, groups), report(theirs, groups), `${size} bytes, blocks of ${blockSize}`);
    rmSync(theirs);
    rmSync(ours);
  }
});

/** What dumpe2fs says, but for what is counted or covers a count, and the share for root: a twentieth, rounded in another order. */
function report(image: string, groups: boolean): string[] {
  const { code, text } = programs.run('dumpe2fs', ...(groups ? [] : ['-h']), image);
  assert.equal(code, 0, text);
  return text.split('\n').filter((line) => !/^(Lifetime writes|Checksum|Reserved block count): /.test(line));
}

test('mke2fs fills a volume with as many blocks and inodes', { skip }, async () => {
  const source = mkdtempSync(join(directory, 'source-'));
  const tree = treeOfLiterals(
    Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [
        `${index % 5}/${index % 2 === 0 ? '' : 'below/deep/'}file ${index}`,
        new Uint8Array(1 + index * 300).fill(1),
      ]),
    ),
    { mtime: EPOCH },
  );
  for (const entry of tree.entries) {
    if (entry.kind !== 'file') continue;
    mkdirSync(join(source, dirname(entry.path)), { recursive: true });
    writeFileSync(join(source, entry.path), await read(entry.content));
  }
  for (const blockSize of BLOCK_SIZES) {
    const theirs = makeTheirs(600 * MIB, blockSize, '-d', source);
    const ours = await written(layoutExt4(tree, { ...COMMON, size: 600 * MIB, blockSize }));
    const totals = (image: string): string[] =>
      report(image, false).filter((line) =>
        /^(Inode count|Block count|Overhead|Free (blocks|inodes)|Reserved)/.test(line),
      );
    assert.deepEqual(totals(ours), totals(theirs));
    rmSync(theirs);
    rmSync(ours);
  }
});

/** It names itself among the errors. */
const BANNER = /debugfs \d.*\n$/;

test('debugfs lists, shows and gives back what was put in', { skip }, async () => {
  const tree = ext4OddTree(4096);
  const image = await written(layoutExt4(tree, { ...COMMON, size: 200 * MIB }));
  const debug = (command: string): string => {
    const { code, text } = programs.run('debugfs', '-R', command, image);
    assert.equal(code, 0, text);
    return text.replace(BANNER, '');
  };
  const target = mkdtempSync(join(directory, 'dumped-'));
  for (const top of ['sizes', 'hard', 'counts', 'd0', 'x'.repeat(255), '日本語']) debug(`rdump "/${top}" ${target}`);
  let compared = 0;
  for (const entry of tree.entries) {
    if (entry.kind !== 'file' || !/^(sizes|hard|counts|d0|x{255}|日本語)(\/|$)/.test(entry.path)) continue;
    assert.ok(readFileSync(join(target, entry.path)).equals(await read(entry.content)), entry.path);
    compared++;
  }
  assert.ok(compared > 1000, `${compared} files`);
  // inode, mode, owner, group, name, size.
  assert.match(debug('ls -p /sizes'), /^\/\d+\/100644\/0\/0\/100000\/100000\/$/m);
  assert.match(debug('stat /empty'), /Type: directory +Mode: +0000 .*\n[\s\S]* mtime: 0xffffffff:0{8} /);
  assert.match(debug('stat /times/late'), / mtime: 0x7fffffff:0{7}3 -- .* 2446/);
  assert.match(debug('stat /times/late'), /crtime: 0x5cf2ef7c:0{8} -- Sat Jun +1 21:34:52 2019/);
  assert.match(debug('stat /nodes/last'), /Device major\/minor number: 4095:1048575/);
  assert.match(debug('stat /nodes/old'), /Device major\/minor number: 255:255/);
  assert.match(debug('stat /targets/59'), /Fast link dest: "target\/target/);
  assert.match(debug('stat /targets/60'), /EXTENTS:\n\(0\):\d+/);
  assert.match(debug('stat /hard/one'), /Links: 43 /);
  assert.match(debug('ea_get -x "/attributes/both" security.capability'), new RegExp(hex('security.capability', 20)));
  assert.match(debug('ea_get -x "/attributes/both" user.large'), new RegExp(hex('user.large', 2048)));
  assert.match(debug('htree_dump /counts/600'), /Hash Version: 1\n[\s\S]*Entry #0: Hash 0x00000000/);
  rmSync(image);
});

/** As debugfs writes values. */
function hex(name: string, size: number): string {
  return Buffer.from(stream(name, size)).toString('hex').replaceAll(/../g, '$& ?').slice(0, 400);
}

test('debugfs finds names by their hash', { skip }, async () => {
  const image = await written(layoutExt4(wideTree(9000, 40), { ...COMMON, size: 200 * MIB }));
  for (const index of [0, 17, 4711, 8999]) {
    const { text } = programs.run('debugfs', '-R', `cat /wide/${String(index).padStart(40, 'n')}`, image);
    assert.equal(text.replace(BANNER, ''), `${index}`);
  }
  rmSync(image);
});

/** What mke2fs makes of a directory, with long links, hard links, holes and a large directory. */
function sourceDirectory(): { readonly path: string; readonly tree: Tree } {
  const path = mkdtempSync(join(directory, 'source-'));
  const [uid, gid] = [process.getuid!(), process.getgid!()];
  const common = { uid, gid, mtime: EPOCH } as const;
  const inode = Symbol('shared');
  const holes = new Uint8Array(300_000);
  holes.fill(7, 100_000, 100_010);
  const entries: Entry[] = [
    { kind: 'directory', path: '', mode: 0o755, ...common },
    { kind: 'file', path: 'file', mode: 0o640, ...common, content: ofMemory(stream('file', 100_001)) },
    { kind: 'file', path: 'holes', mode: 0o644, ...common, content: ofMemory(holes) },
    { kind: 'file', path: 'empty', mode: 0o600, ...common, content: zeros(0) },
    { kind: 'file', path: 'one', mode: 0o644, ...common, content: ofMemory(stream('one', 10)), inode },
    { kind: 'file', path: 'two', mode: 0o644, ...common, content: ofMemory(stream('one', 10)), inode },
    { kind: 'symlink', path: 'short', mode: 0o777, ...common, target: 'file' },
    { kind: 'symlink', path: 'long', mode: 0o777, ...common, target: 'x/'.repeat(200) },
    { kind: 'directory', path: 'many', mode: 0o755, ...common },
    ...Array.from({ length: 700 }, (_, index): Entry => {
      const name = `many/${String(index).padStart(60, 'ü')}`;
      return { kind: 'file', path: name, mode: 0o644, ...common, content: zeros(0) };
    }),
  ];
  for (const entry of entries) {
    const at = join(path, entry.path);
    if (entry.kind === 'directory') mkdirSync(at, { recursive: true });
    else if (entry.kind === 'symlink') symlinkSync(entry.target, at);
    else if (entry.path === 'two') linkSync(join(path, 'one'), at);
    else if (entry.path === 'holes') writeFileSync(at, holes);
    else
      writeFileSync(
        at,
        entry.path === 'file' ? stream('file', 100_001) : entry.path === 'one' ? stream('one', 10) : '',
      );
  }
  for (const { kind, path: name, mode } of entries.reverse()) {
    const at = join(path, name);
    if (kind === 'symlink') lutimesSync(at, EPOCH, EPOCH);
    else {
      chmodSync(at, mode);
      utimesSync(at, EPOCH, EPOCH);
    }
  }
  return { path, tree: treeOf(entries) };
}

test('our reader reads what mke2fs wrote, and what e2fsck made of it', { skip }, async () => {
  const { path, tree } = sourceDirectory();
  for (const blockSize of BLOCK_SIZES) {
    const image = makeTheirs(200 * MIB, blockSize, '-d', path);
    await assertSameTree(await decodeExt4(await opened(image)), withLostAndFound(tree));
    // Directories get trees of hashes, and those of several blocks are packed.
    const { code, text } = programs.run('e2fsck', '-f', '-D', '-y', image);
    assert.equal(code! & ~1, 0, text);
    await assertSameTree(await decodeExt4(await opened(image)), withLostAndFound(tree));
    rmSync(image);
  }
  for (const without of ['^metadata_csum,^metadata_csum_seed,^64bit,^orphan_file', '^64bit', '^metadata_csum_seed']) {
    const old = makeTheirs(200 * MIB, 4096, '-d', path, '-O', without);
    await assertSameTree(await decodeExt4(await opened(old)), withLostAndFound(tree));
    rmSync(old);
  }
});

test('a volume of ours grows', { skip }, async () => {
  const tree = cacheTree();
  const size = minimumExt4Size(tree, COMMON);
  const image = await written(layoutExt4(tree, { ...COMMON, size }));
  truncateSync(image, 20 * GIB);
  const { code, text } = programs.run('resize2fs', image);
  assert.equal(code, 0, text);
  assert.deepEqual(ext4Complaints(programs, image), []);
  await assertSameTree(await decodeExt4(await opened(image)), withLostAndFound(tree));
  rmSync(image);
});
