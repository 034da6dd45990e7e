import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GIB, MIB } from '../../../src/bytes/units.ts';
import { attributeOf, parentPointer } from '../../../src/formats/xfs/attribute.ts';
import { split } from '../../../src/formats/xfs/btree.ts';
import { decodeExtent, encodeExtent, MAXIMUM_EXTENT_BLOCKS } from '../../../src/formats/xfs/extent.ts';
import { FEATURE_SETS } from '../../../src/formats/xfs/features.ts';
import { chooseDeviceForks, chooseForks } from '../../../src/formats/xfs/forks.ts';
import {
  agLength,
  firstChunk,
  geometryOf,
  logStart,
  MAXIMUM_SIZE,
  MINIMUM_SIZE,
  rootInode,
} from '../../../src/formats/xfs/geometry.ts';
import { LITERAL_SIZE } from '../../../src/formats/xfs/inode.ts';
import { hashName } from '../../../src/formats/xfs/name-hash.ts';
import { alignmentOf } from '../../../src/formats/xfs/space.ts';
import { decodeTime, encodeBigTime } from '../../../src/formats/xfs/timestamp.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('names have the hashes that xfs_db 6.13 says', () => {
  const hashes: readonly (readonly [string, number])[] = [
    ['', 0],
    ['.', 0x2e],
    ['..', 0x172e],
    ['a', 0x61],
    ['lib', 0x1b34e2],
    ['ü', 0x613c],
    ['grub', 0xcfcbae2],
    ['vmlinuz', 0xcd3a6194],
    ['initramfs.xz', 0x9a8300a0],
    ['0123456789abcdef0', 0x1f9c3b74],
  ];
  for (const [name, hash] of hashes) assert.equal(hashName(bytes(name)), hash, name);
});

test('a parent pointer mixes the directory into the hash of the name', () => {
  assert.equal(parentPointer(bytes('vmlinuz'), 131, 7).hash, 0xcd3a6117);
  assert.equal(parentPointer(bytes('x'), 4294967428, 7).hash, 0xfd);
  const { value } = parentPointer(bytes('x'), 4294967428, 0x01020304);
  assert.equal(Buffer.from(value).toString('hex'), '000000010000008401020304');
});

test('attribute names of other namespaces, and without a name, are refused', () => {
  for (const name of ['system.posix_acl_access', 'parent.x', 'name', '']) {
    assert.throws(() => attributeOf(name, new Uint8Array(1), 'p'), {
      code: 'unsupported',
      message: /of "p": XFS takes/,
    });
  }
  for (const name of ['user.', `user.${'n'.repeat(256)}`, 'user.a\0b']) {
    assert.throws(() => attributeOf(name, new Uint8Array(1), 'p'), { code: 'invalid-input', message: /want a name/ });
  }
  const message = /"user\.a" of "p": 65537 bytes, want at most 65536/;
  assert.throws(() => attributeOf('user.a', new Uint8Array(65537), 'p'), { code: 'invalid-input', message });
});

test('an extent comes back from its 128 bits', () => {
  const view = new DataView(new ArrayBuffer(16));
  const field = (bits: number) => fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n }).map(Number);
  fc.assert(
    fc.property(field(53), field(52), fc.integer({ min: 0, max: MAXIMUM_EXTENT_BLOCKS }), fc.boolean(), (...fields) => {
      const [offset, start, count, unwritten] = fields;
      encodeExtent(view, 0, { offset, start, count, unwritten });
      assert.deepEqual(decodeExtent(view, 0), { offset, start, count, unwritten });
    }),
    { seed: 1 },
  );
  // As xfs_db shows inode 132 of a volume of mkfs.xfs: startoff 0, startblock 24, blockcount 4.
  encodeExtent(view, 0, { offset: 0, start: 24, count: 4, unwritten: false });
  assert.equal(Buffer.from(view.buffer).toString('hex'), '00000000000000000000000003000004');
});

test('times reach from 1901 to 2486, to the second', () => {
  for (const seconds of [-(2 ** 31), -1, 0, 1559424892, 2 ** 31, 16299260425]) {
    assert.equal(decodeTime(encodeBigTime(seconds, 'x'), true), seconds);
  }
  assert.equal(decodeTime(0xffffffff_3b9ac9ffn, false), -1);
  for (const seconds of [-(2 ** 31) - 1, 16299260426, 0.5, Number.NaN]) {
    assert.throws(() => encodeBigTime(seconds, 'x'), { code: 'invalid-input', message: /^time .* of "x": want/ });
  }
});

test('items are split into as few runs as it takes, none below half unless it is alone', () => {
  fc.assert(
    fc.property(fc.nat(5000), fc.integer({ min: 2, max: 600 }), (items, capacity) => {
      const runs = split(items, capacity);
      assert.equal(runs.length, Math.max(1, Math.ceil(items / capacity)));
      let next = 0;
      for (const { first, count } of runs) {
        assert.equal(first, next);
        assert.ok(count <= capacity && (runs.length === 1 || count >= Math.floor(capacity / 2)));
        next += count;
      }
      assert.equal(next, items);
    }),
    { seed: 1 },
  );
});

test('data and attributes share the inode: both usual, data out, attributes out', () => {
  const of = (...[sizes, attributes]: Parameters<typeof chooseForks>) => {
    const { data, attributes: where, attributeOffset } = chooseForks(sizes, attributes);
    return [data, where, attributeOffset];
  };
  assert.deepEqual(of([336, 16], 0), [0, 'none', 0]);
  assert.deepEqual(of([337, 16], 0), [1, 'none', 0]);
  assert.deepEqual(of([16, 56], 24), [0, 'inline', 192]);
  assert.deepEqual(of([200, 16], 24), [0, 'inline', 312]);
  assert.deepEqual(of([10, 48], 274), [0, 'inline', 56]);
  assert.deepEqual(of([100, 48], 274), [1, 'inline', 56]);
  assert.deepEqual(of([100, 48], 281), [0, 'blocks', 192]);
  assert.deepEqual(of([330, 48], 281), [1, 'blocks', 192]);
  assert.deepEqual(of([100, 48], undefined), [0, 'blocks', 192]);
  assert.deepEqual(of([22 * 16, 56], 0), [1, 'none', 0]);
  assert.equal(chooseDeviceForks(0).attributeOffset, 0);
  assert.equal(chooseDeviceForks(274).attributes, 'inline');
  assert.equal(chooseDeviceForks(LITERAL_SIZE - 7).attributes, 'blocks');
});

test('content is aligned on the medium, not in the volume', () => {
  const aligned = alignmentOf(65536, 12288)!;
  for (const block of [0, 1, 13, 14, 100]) {
    const found = aligned(block);
    assert.ok(found >= block && found < block + 16);
    assert.equal((12288 + found * 4096) % 65536, 0);
  }
  assert.equal(alignmentOf(65536, 512), undefined);
  assert.equal(alignmentOf(1, 512)!(5), 5);
  assert.equal(alignmentOf(512, 512)!(5), 5);
});

test('dimensions are those of mkfs.xfs 6.13', () => {
  const table: readonly (readonly [string, number, number, number, number, number, number, number])[] = [
    // size, sector size, AG blocks, AGs, blocks, log blocks, log AG's first block in the log AG, bits
    ['lts_6.1', 300 * MIB, 512, 19200, 4, 76800, 16384, 65542],
    ['lts_6.6', 300 * MIB, 512, 19200, 4, 76800, 16384, 65543],
    ['lts_6.1', 300 * MIB, 4096, 19200, 4, 76800, 16384, 65545],
    ['lts_6.18', 300 * MIB, 4096, 19200, 4, 76800, 16384, 65546],
    ['lts_6.6', 513 * MIB, 512, 32832, 4, 131328, 16384, 131079],
    ['lts_6.18', 1000 * MIB, 512, 64000, 4, 256000, 16384, 131079],
    ['lts_6.18', 2000 * MIB, 4096, 128000, 4, 512000, 16384, 262154],
    ['lts_6.6', 5 * GIB, 512, 327680, 4, 1310720, 16384, 1048583],
    ['lts_6.6', 129 * GIB, 512, 8454144, 4, 33816576, 16512, 33554439],
    ['lts_6.6', 1025 * GIB, 512, 67174400, 4, 268697600, 131200, 268435463],
    ['lts_6.1', 4096 * GIB, 512, 268435455, 4, 1073741820, 521728, 536870918],
    ['lts_6.6', 5120 * GIB, 512, 268435455, 5, 1342177275, 521728, 536870919],
  ];
  for (const [set, size, sectorSize, agBlocks, agCount, blocks, logBlocks, log] of table) {
    const geometry = geometryOf(size, sectorSize, FEATURE_SETS[set as keyof typeof FEATURE_SETS]);
    assert.deepEqual(
      [geometry.agBlocks, geometry.agCount, geometry.blocks, geometry.logBlocks],
      [agBlocks, agCount, blocks, logBlocks],
    );
    const inAg = logStart(geometry) - geometry.logAg * agBlocks;
    assert.equal(geometry.logAg * 2 ** geometry.agBlockLog + inAg, log);
    assert.equal(rootInode(geometry), 128);
  }
});

test('all sizes make sense: whole groups, the last one not too short, room for log and inodes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: MINIMUM_SIZE, max: MAXIMUM_SIZE }),
      fc.constantFrom(512, 4096),
      fc.constantFrom(...Object.values(FEATURE_SETS)),
      (size, sectorSize, features) => {
        const geometry = geometryOf(size, sectorSize, features);
        const lengths = Array.from({ length: geometry.agCount }, (_, ag) => agLength(geometry, ag));
        assert.equal(
          lengths.reduce((sum, length) => sum + length, 0),
          geometry.blocks,
        );
        assert.ok(lengths.every((length) => length >= 4096));
        assert.ok(size - geometry.blocks * 4096 < 17 * MIB);
        assert.ok(firstChunk(geometry, geometry.logAg) < geometry.agBlocks);
        assert.ok(geometry.agBlocks <= 2 ** geometry.agBlockLog && geometry.agBlocks > 2 ** (geometry.agBlockLog - 1));
      },
    ),
    { seed: 1, numRuns: 300 },
  );
});
