import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GIB, KIB, MIB } from '../../../src/bytes/units.ts';
import { encodeBitmap } from '../../../src/formats/ext4/bitmap.ts';
import { inodeSeed, volumeSeed } from '../../../src/formats/ext4/checksum.ts';
import {
  type DirectoryItem,
  decodeDirectoryBlock,
  encodeDirectoryBlock,
  isSealedDirectoryBlock,
  itemSize,
} from '../../../src/formats/ext4/directory-block.ts';
import {
  decodeExtentNode,
  encodeExtentTree,
  extentsOf,
  isSealedExtentBlock,
  treeBlockCount,
} from '../../../src/formats/ext4/extent-tree.ts';
import {
  geometryOf,
  groupLength,
  hasCopy,
  headerBlocks,
  inodeTableBlocks,
  maximumSize,
  minimumSize,
} from '../../../src/formats/ext4/geometry.ts';
import { claimGroupTables } from '../../../src/formats/ext4/group-tables.ts';
import { planHashTree } from '../../../src/formats/ext4/hash-tree.ts';
import { hashName } from '../../../src/formats/ext4/name-hash.ts';
import { overheadOf } from '../../../src/formats/ext4/placement.ts';
import { lengthOf, type Run, Space } from '../../../src/formats/ext4/space.ts';
import { uuidBytes } from '../../../src/formats/ext4/superblock.ts';
import { decodeTime, encodeTime } from '../../../src/formats/ext4/timestamp.ts';
import { parseGuid } from '../../../src/formats/gpt/guid.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const SEED = uuidBytes(parseGuid('3b5449bc-c21f-8009-8b51-18945967f8df'));
const NO_SEED = new Uint8Array(16);

test('names have the hashes that debugfs 1.47.2 says', () => {
  const hashes: readonly (readonly [string, number, number])[] = [
    // name, with the seed, without
    ['a', 0x060e8ec8, 0xd5fa7d7a],
    ['abc', 0xda294eea, 0xd196a868],
    ['ü', 0xa89c29be, 0x60e60c6a],
    ['lost+found', 0xfba0c682, 0x591de422],
    ['n'.repeat(31), 0x553c0b7e, 0x8c30a756],
    ['n'.repeat(32), 0xd00e17a2, 0x7e81ef8a],
    ['n'.repeat(33), 0x86f4e7e8, 0xd9bf70b0],
    ['x'.repeat(255), 0x47482592, 0x2aa7169e],
    ['日本語カ', 0x04c32e62, 0x5d73aee2],
  ];
  for (const [name, seeded, plain] of hashes) {
    assert.equal(hashName(text(name), SEED), seeded, name);
    assert.equal(hashName(text(name), NO_SEED), plain, name);
  }
});

test('checksums begin with what mke2fs 1.47.2 stored as the seed of this UUID', () => {
  assert.equal(volumeSeed(SEED), 0x95d5ec41);
  assert.notEqual(inodeSeed(1, 2), inodeSeed(1, 3));
});

test('times reach from 1901 to 2446, to the second', () => {
  for (const seconds of [-(2 ** 31), -1, 0, 1559424892, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 33, 15032385535]) {
    assert.equal(decodeTime(encodeTime(seconds, 'x')), seconds);
  }
  // The table of the kernel's documentation, "Inode Timestamps".
  assert.deepEqual(encodeTime(2 ** 31 - 1, 'x'), { low: 0x7fffffff, epoch: 0 });
  assert.deepEqual(encodeTime(2 ** 31, 'x'), { low: 0x80000000, epoch: 1 });
  assert.deepEqual(encodeTime(-1, 'x'), { low: 0xffffffff, epoch: 0 });
  for (const seconds of [-(2 ** 31) - 1, 15032385536, 0.5, Number.NaN]) {
    assert.throws(() => encodeTime(seconds, 'x'), { code: 'invalid-input', message: /^time .* of "x": want/ });
  }
});

test('dimensions are those of mke2fs 1.47.2', () => {
  const table: readonly (readonly number[])[] = [
    // size, block size; blocks, inodes in a group, its table, reserved, journal, orphans, overhead
    [9 * MIB, 4096, 2304, 2304, 144, 1, 1024, 32, 1173],
    [100 * MIB, 4096, 25600, 25600, 1600, 12, 1024, 32, 2640],
    [300 * MIB, 1024, 307200, 2024, 506, 256, 8192, 75, 29577],
    [600 * MIB, 4096, 153600, 7680, 480, 74, 4096, 37, 6734],
    [50 * GIB, 4096, 13107200, 8192, 512, 1024, 65536, 512, 284552],
    // Another group would have 64 blocks: they are left out.
    [512 * MIB + 64 * 4 * KIB, 4096, 131072, 8208, 513, 63, 4096, 32, 6351],
  ];
  for (const [size, blockSize, ...expected] of table) {
    const geometry = geometryOf(size!, blockSize!, 12)!;
    const { blocks, inodesPerGroup, reservedBlocks, journalBlocks, orphanBlocks } = geometry;
    const table = inodeTableBlocks(geometry);
    const overhead = overheadOf(geometry);
    const found = [blocks, inodesPerGroup, table, reservedBlocks, journalBlocks, orphanBlocks, overhead];
    assert.deepEqual(found, expected, `${size} bytes`);
  }
});

test('copies are in groups 0, 1 and the powers of 3, 5 and 7', () => {
  const copies = Array.from({ length: 400 }, (_, group) => group).filter(hasCopy);
  assert.deepEqual(copies, [0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343]);
});

const blockSizes = fc.constantFrom(1024, 2048, 4096);

test('all sizes make sense: room for inodes, tables inside the volume and apart', () => {
  const sizes = blockSizes.chain((blockSize) =>
    fc.tuple(
      fc.constant(blockSize),
      // Small ones as often as large.
      fc
        .double({ min: Math.log2(minimumSize(blockSize)), max: Math.log2(200 * GIB), noNaN: true })
        .map((power) => Math.floor(2 ** power)),
      fc.integer({ min: 12, max: 20_000 }),
    ),
  );
  fc.assert(
    fc.property(sizes, ([blockSize, size, inodes]) => {
      const geometry = geometryOf(size, blockSize, inodes);
      if (geometry === undefined) return assert.ok(size < 64 * MIB, `${size} bytes have room for ${inodes}`);
      const { blocks, groupCount, inodesPerGroup, groupBlocks } = geometry;
      assert.ok(blocks * blockSize <= size && size - blocks * blockSize < groupBlocks * blockSize);
      assert.ok(inodesPerGroup * groupCount >= inodes && inodesPerGroup <= groupBlocks && inodesPerGroup % 8 === 0);
      assert.ok(groupLength(geometry, groupCount - 1) > headerBlocks(geometry, groupCount - 1));
      const space = new Space(geometry.firstBlock, blocks);
      const tables = claimGroupTables(geometry, space);
      assert.equal(tables.length, groupCount);
      assert.equal(space.exhausted, false);
      const used = space.usedBetween(geometry.firstBlock, blocks);
      assert.equal(lengthOf(used) + geometry.firstBlock, overheadOf(geometry) - geometry.journalBlocks);
    }),
    { seed: 1, numRuns: 200 },
  );
});

test('sizes that cannot be are refused', () => {
  for (const size of [0, minimumSize(1024) - 1, maximumSize(1024) + 1, 1e7 + 0.5]) {
    assert.throws(() => geometryOf(size, 1024, 12), {
      code: 'invalid-input',
      message: /want 2097152 to 4398046510080/,
    });
  }
  assert.throws(() => geometryOf(MIB * 100, 512, 12), { code: 'unsupported', message: /block size 512/ });
});

test('space gives every block once, in order, around what was claimed', () => {
  const claims = fc.array(
    fc.record({ from: fc.nat(900), count: fc.integer({ min: 1, max: 60 }), whole: fc.boolean() }),
    {
      maxLength: 8,
    },
  );
  const wishes = fc.array(fc.nat(80), { maxLength: 20 });
  fc.assert(
    fc.property(claims, wishes, (claimed, wanted) => {
      const end = 1000;
      const space = new Space(1, end);
      const taken: Run[] = [];
      for (const { from, count, whole } of claimed) {
        const start = whole ? space.claim(from, count) : undefined;
        const runs = start === undefined ? space.claimPieces(from, count) : [{ start, end: start + count }];
        assert.equal(lengthOf(runs), count);
        assert.ok(runs.every((run) => run.start >= from));
        taken.push(...runs);
      }
      for (const count of wanted) {
        const runs = space.allocate(count);
        assert.equal(lengthOf(runs), count);
        taken.push(...runs);
      }
      const outside = taken.some((run) => run.end > end);
      assert.equal(space.exhausted, outside);
      if (outside) return;
      const owners = new Uint8Array(end);
      for (const run of taken) for (let block = run.start; block < run.end; block++) owners[block]!++;
      assert.ok(owners.every((count) => count <= 1));
      // What lies before the last block given out is in use, if only as a gap too small for a claim.
      const used = new Uint8Array(end);
      for (const run of space.usedBetween(0, end)) for (let block = run.start; block < run.end; block++) used[block]!++;
      for (let block = 0; block < end; block++) {
        assert.ok(used[block] === owners[block] || (block === 0 && used[block] === 1), `block ${block}`);
      }
      for (const [start, stop] of [
        [100, 300],
        [0, 1],
        [999, 1000],
      ] as const) {
        const within = lengthOf(space.usedBetween(start, stop));
        assert.equal(
          within,
          used.subarray(start, stop).reduce((sum, count) => sum + count, 0),
        );
      }
    }),
    { seed: 1, numRuns: 500 },
  );
});

test('bits are set for what is in use and for what is not there', () => {
  const hex = (...args: Parameters<typeof encodeBitmap>): string => Buffer.from(encodeBitmap(...args)).toString('hex');
  assert.equal(hex(32, 4, []), '00000000');
  assert.equal(hex(32, 4, [{ start: 0, end: 9 }]), 'ff010000');
  assert.equal(hex(32, 4, [{ start: 3, end: 5 }]), '18000000');
  assert.equal(hex(32, 4, [{ start: 7, end: 26 }]), '80ffff03');
  assert.equal(hex(20, 4, [{ start: 1, end: 2 }]), '0200f0ff');
  assert.equal(hex(32, 4, [{ start: 0, end: 32 }]), 'ffffffff');
});

test('extents lead to every block of a file, however deep their tree', () => {
  const runs = fc.array(
    fc.record({ skip: fc.integer({ min: 1, max: 5 }), count: fc.integer({ min: 1, max: 70_000 }) }),
    {
      maxLength: 700,
      size: 'max',
    },
  );
  fc.assert(
    fc.property(runs, fc.constantFrom(1024, 4096), (pieces, blockSize) => {
      let at = 10;
      const wanted = pieces.map(({ skip, count }): Run => {
        const start = at + skip;
        at = start + count;
        return { start, end: at };
      });
      const extents = extentsOf(wanted);
      assert.equal(
        extents.reduce((sum, { count }) => sum + count, 0),
        lengthOf(wanted),
      );
      assert.ok(extents.every(({ count }) => count <= 32768));
      const count = treeBlockCount(extents.length, blockSize);
      const places = Array.from({ length: count }, (_, index) => 1_000_000_000 + index);
      const { root, blocks } = encodeExtentTree(extents, places, blockSize, 7);
      assert.deepEqual(
        blocks.map(({ block }) => block),
        places,
      );
      const byPlace = new Map(blocks.map(({ block, data }) => [block, data]));
      const walk = (data: Uint8Array): typeof extents => {
        const node = decodeExtentNode(data, 'x');
        if (node.kind === 'leaf') return [...node.extents];
        return node.children.flatMap((child) => {
          assert.ok(isSealedExtentBlock(byPlace.get(child)!, 7));
          return walk(byPlace.get(child)!);
        });
      };
      assert.deepEqual(walk(root), extents);
    }),
    { seed: 1, numRuns: 60 },
  );
});

const items = fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 255 }), {
  maxLength: 60,
  selector: (name) => Buffer.from(name).toString('hex'),
});

test('entries come back from their block, in order', () => {
  fc.assert(
    fc.property(items, (names) => {
      const wanted = names.map((name, index): DirectoryItem => ({ name, inode: index + 1, kind: 'file' }));
      let room = 4096 - 12;
      const fitting = wanted.filter((item) => {
        room -= itemSize(item);
        return room >= 0;
      });
      const block = encodeDirectoryBlock(fitting, 4096, 5);
      assert.ok(isSealedDirectoryBlock(block, 5) && !isSealedDirectoryBlock(block, 6));
      assert.deepEqual(
        decodeDirectoryBlock(block, 2),
        fitting.map(({ name, inode }) => ({ name, inode })),
      );
    }),
    { seed: 1, numRuns: 200 },
  );
});

test('blocks of a tree of hashes follow each other; entries of one hash may be divided and say so', () => {
  fc.assert(
    fc.property(fc.integer({ min: 30, max: 3000 }), fc.integer({ min: 4, max: 255 }), (count, length) => {
      const wanted = Array.from({ length: count }, (_, index): DirectoryItem => {
        return { name: text(String(index).padStart(length, 'x')), inode: 20 + index, kind: 'file' };
      });
      const { leaves } = planHashTree(wanted, 1024, SEED)!;
      const placed = leaves.flatMap(({ items: held }) => held);
      assert.equal(new Set(placed).size, count);
      for (const [index, leaf] of leaves.entries()) {
        assert.ok(leaf.items.reduce((sum, item) => sum + itemSize(item), 0) <= 1024 - 12);
        const next = leaves[index + 1]?.hash ?? 2 ** 32;
        for (const { name } of leaf.items) {
          const hash = hashName(name, SEED);
          assert.ok(hash >= (leaf.hash & ~1) >>> 0 && hash < next);
        }
      }
    }),
    { seed: 1, numRuns: 30 },
  );
  // The same name over and over stands for names of one hash, which are hard to come by.
  const same = Array.from({ length: 10 }, (_, index): DirectoryItem => {
    return { name: text('y'.repeat(250)), inode: 20 + index, kind: 'file' };
  });
  const hash = hashName(same[0]!.name, SEED);
  const { leaves } = planHashTree(same, 1024, SEED)!;
  assert.deepEqual(
    leaves.map((leaf) => [leaf.hash, leaf.items.length]),
    [
      [hash, 3],
      [hash + 1, 3],
      [hash + 1, 3],
      [hash + 1, 1],
    ],
  );
});
