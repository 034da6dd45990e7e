import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toHex } from '../../../src/bytes/field.ts';
import { decodeMbr, encodeMbr, encodeProtectiveMbr } from '../../../src/formats/mbr/mbr.ts';
import { encodeAddress, ISO_GEOMETRY } from '../../../src/formats/mbr/partition-entry.ts';
import { FUZZ_RUNS, vectorLines } from '../../support/vectors.ts';

interface MbrVector {
  readonly id: string;
  readonly kind: 'iso' | 'disk';
  readonly size: number;
  readonly entries: readonly {
    readonly index: number;
    readonly type: string;
    readonly chsStart: string;
    readonly chsEnd: string;
    readonly start: number;
    readonly count: number;
  }[];
}

const vectors = vectorLines<MbrVector>('disk-layout/mbr.jsonl.gz');

for (const { id, kind, size, entries } of vectors) {
  test(`${id}: partition entries`, () => {
    const protective = entries[0]!.type === '0xee';
    const sectorSize = /-(?:4k|ss-2048)/.exec(id)?.[0] === '-4k' ? 4096 : id.includes('-ss-2048') ? 2048 : 512;
    const data = protective
      ? encodeProtectiveMbr(Math.floor(size / sectorSize) - 1, { form: kind })
      : encodeMbr(entries.map(({ type, start, count }) => ({ bootable: false, type: Number(type), start, count })));
    const decoded = decodeMbr(data).partitions;
    assert.deepEqual(
      [...decoded].map(([index, { type, first, last, start, count, bootable }]) => [
        index + 1,
        type,
        toHex(first),
        toHex(last),
        start,
        count,
        bootable,
      ]),
      entries.map((one) => [one.index, Number(one.type), one.chsStart, one.chsEnd, one.start, one.count, false]),
    );
  });
}

test('boot code goes up to the table and not into it', () => {
  const code = new Uint8Array(512).fill(0x90);
  const data = encodeProtectiveMbr(99, { bootCode: code });
  assert.equal(toHex(data.subarray(440, 450)), '90909090909000000200');
  assert.equal(toHex(data.subarray(462, 512)), `${'00'.repeat(48)}55aa`);
  assert.equal(decodeMbr(data).diskSignature, 0x90909090);
});

test('an address beyond cylinder 1023 is the last one there is', () => {
  assert.equal(toHex(encodeAddress(1024 * 64 * 32 - 1, ISO_GEOMETRY)), '3fe0ff');
  assert.equal(toHex(encodeAddress(18_926_231, ISO_GEOMETRY)), '3fe0ff');
  assert.equal(toHex(encodeAddress(2 ** 31, { heads: 255, sectorsPerTrack: 63 })), 'feffff');
});

test('a disk of more than 2^32 sectors says as much as 32 bits can', () => {
  assert.equal(decodeMbr(encodeProtectiveMbr(2 ** 33)).partitions.get(0)?.count, 0xffffffff);
});

test('what does not fit is refused', () => {
  const partition = { bootable: false, type: 0x83, start: 64, count: 1 };
  const invalid = { code: 'invalid-input' };
  assert.throws(() => encodeMbr(Array(5).fill(partition)), invalid);
  assert.throws(() => encodeMbr([{ ...partition, start: 2 ** 32 }]), invalid);
  assert.throws(() => encodeMbr([{ ...partition, count: -1 }]), invalid);
  assert.throws(() => decodeMbr(new Uint8Array(511)), invalid);
  assert.throws(() => decodeMbr(new Uint8Array(512)), invalid);
});

test('entries come back', () => {
  const partition = fc.record(
    {
      bootable: fc.boolean(),
      type: fc.integer({ min: 1, max: 255 }),
      start: fc.integer({ min: 0, max: 0xffffffff }),
      count: fc.integer({ min: 1, max: 0xffffffff }),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(partition, { maxLength: 4 }), (partitions) => {
      const decoded = [...decodeMbr(encodeMbr(partitions)).partitions.values()];
      assert.deepEqual(
        decoded.map(({ bootable, type, start, count }) => ({ bootable, type, start, count })),
        partitions,
      );
    }),
    { numRuns: Math.min(FUZZ_RUNS, 500), seed: 1 },
  );
});
