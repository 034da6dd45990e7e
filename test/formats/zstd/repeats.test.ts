import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Bytes, concat, ofMemory, ofSource, slice, zeros } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import { findRepeats, type Repeat } from '../../../src/formats/zstd/repeats.ts';
import { memorySource, stream } from '../../support/bytes.ts';

const source = memorySource(stream('repeats', 100_000));
const part = (at: number, length: number): Bytes => ofSource(source, at, length);
const FAR = 2 ** 27;

const cases: readonly (readonly [string, readonly Bytes[], readonly Repeat[]])[] = [
  ['nothing twice', [part(0, 5000), zeros(100), part(6000, 5000)], []],
  ['all of it again', [part(0, 5000), zeros(9000), part(0, 5000)], [{ at: 14_000, length: 5000, distance: 14_000 }]],
  ['a part of it', [part(0, 5000), zeros(9), part(2000, 1000)], [{ at: 5009, length: 1000, distance: 3009 }]],
  ['more than was there', [part(2000, 3000), zeros(9), part(2000, 9000)], [{ at: 3009, length: 3000, distance: 3009 }]],
  [
    'from two places',
    [part(0, 3000), zeros(9), part(3600, 1000), zeros(9), part(3000, 600), zeros(9), part(0, 4600)],
    [
      { at: 4627, length: 3000, distance: 4627 },
      { at: 7627, length: 600, distance: 3609 },
      { at: 8227, length: 1000, distance: 5218 },
    ],
  ],
  [
    'the nearest of several',
    [part(0, 1000), zeros(9), part(0, 1000), zeros(9), part(0, 1000)],
    [
      { at: 1009, length: 1000, distance: 1009 },
      { at: 2018, length: 1000, distance: 1009 },
    ],
  ],
  ['too little', [part(0, 5000), zeros(9), part(0, 100)], []],
  ['only the start is missing', [part(100, 5000), zeros(9), part(0, 5000)], []],
];
for (const [name, parts, expected] of cases) {
  test(name, () => assert.deepEqual(findRepeats(concat(parts), FAR), expected));
}

test('out of reach is no repeat', () => {
  const bytes = concat([part(0, 5000), zeros(FAR - 5000), part(0, 5000), zeros(1), part(0, 5000)]);
  assert.deepEqual(
    findRepeats(bytes, FAR).map(({ at }) => at),
    [FAR, FAR + 5001],
  );
  assert.deepEqual(
    findRepeats(bytes, FAR - 1).map(({ at }) => at),
    [FAR + 5001],
  );
});

test('memory is a source, too', () => {
  const table = ofMemory(stream('table', 6000));
  assert.deepEqual(findRepeats(concat([table, zeros(10), slice(table, 1000, 5999)]), FAR), [
    { at: 6010, length: 4999, distance: 5010 },
  ]);
});

describe('whatever the sequence', () => {
  test('a repeat is what it says, and they ascend', async () => {
    const piece = fc.record({ at: fc.nat(50), length: fc.nat(30), gap: fc.nat(3) });
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 20 }), async (pieces) => {
        const bytes = concat(pieces.flatMap(({ at, length, gap }) => [part(at * 100, length * 100), zeros(gap * 50)]));
        const plain = await read(bytes);
        let end = 0;
        for (const { at, length, distance } of findRepeats(bytes, 10_000)) {
          assert.ok(at >= end && distance > 0 && distance <= 10_000);
          end = at + length;
          const [again, first] = [plain.subarray(at, end), plain.subarray(at - distance, end - distance)];
          assert.ok(Buffer.compare(again, first) === 0);
        }
      }),
    );
  });
});
