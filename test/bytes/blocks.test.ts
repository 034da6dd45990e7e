import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blockRuns, isZero } from '../../src/bytes/blocks.ts';
import { type Bytes, concat, ofMemory, ofSource, slice, zeros } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { memorySource, stream } from '../support/bytes.ts';
import { FUZZ_RUNS } from '../support/vectors.ts';

const BLOCK = 8;
const DATA = stream('blocks', 96);
const source = memorySource(DATA);
const other = memorySource(DATA);
const content = ofSource(source);

function runsOf(...parts: readonly Bytes[]): (readonly [number, number, number | undefined])[] {
  return blockRuns(concat(parts), BLOCK).map(({ first, count, sameAs }) => [first, count, sameAs]);
}

test('zeros are in no run, whether extents or memory', () => {
  assert.deepEqual(runsOf(zeros(80)), []);
  assert.deepEqual(runsOf(), []);
  assert.deepEqual(runsOf(ofMemory(new Uint8Array(41))), []);
  assert.deepEqual(runsOf(zeros(5), ofMemory(new Uint8Array(20)), zeros(3), ofMemory(Uint8Array.of(1))), [
    [3, 1, undefined],
  ]);
  assert.deepEqual(runsOf(zeros(16), content, zeros(16)), [[2, 12, undefined]]);
});

test('a range that comes again is named by where it came first', () => {
  assert.deepEqual(runsOf(content, zeros(8), content), [
    [0, 12, undefined],
    [13, 12, 0],
  ]);
  assert.deepEqual(runsOf(slice(content, 16, 48), zeros(8), content), [
    [0, 4, undefined],
    [5, 2, undefined],
    [7, 4, 0],
    [11, 6, undefined],
  ]);
  assert.deepEqual(runsOf(slice(content, 0, 8), zeros(8), slice(content, 8, 16), zeros(8), slice(content, 0, 16)), [
    [0, 1, undefined],
    [2, 1, undefined],
    [4, 1, 0],
    [5, 1, 2],
  ]);
});

test('out of step with the blocks, or from another source, nothing is the same', () => {
  assert.deepEqual(runsOf(slice(content, 0, 32), zeros(4), slice(content, 0, 32), zeros(4)), [[0, 9, undefined]]);
  assert.deepEqual(runsOf(slice(content, 0, 32), ofSource(other, 0, 32)), [[0, 8, undefined]]);
  assert.deepEqual(runsOf(ofMemory(DATA.subarray(0, 8)), ofMemory(DATA.subarray(0, 8))), [[0, 2, undefined]]);
});

test('a range with its padding comes again as such', () => {
  const tail = concat([slice(content, 80, 93), zeros(3)]);
  assert.deepEqual(runsOf(tail, zeros(8), tail, zeros(8), slice(content, 80, 93)), [
    [0, 2, undefined],
    [3, 2, 0],
    [6, 2, 0],
  ]);
  const withMemory = concat([slice(content, 80, 85), ofMemory(Uint8Array.of(1, 2, 3))]);
  assert.deepEqual(runsOf(withMemory, withMemory), [[0, 2, undefined]]);
});

test('sources are not read, and a tebibyte costs what its extents cost', () => {
  const big = { key: 'big', label: 'big', size: 2 ** 40, read: () => assert.fail('read') };
  const bytes = concat([ofSource(big), zeros(2 ** 40), ofSource(big)]);
  assert.deepEqual(blockRuns(bytes, 65536), [
    { first: 0, count: 2 ** 24, sameAs: undefined },
    { first: 2 ** 25, count: 2 ** 24, sameAs: 0 },
  ]);
  assert.equal(source.reads.length, 0);
});

const piece: fc.Arbitrary<Bytes> = fc.oneof(
  fc.nat(20).map(zeros),
  fc.nat(20).map((size) => ofMemory(new Uint8Array(size))),
  fc.nat(20).map((size) => ofMemory(DATA.slice(0, size))),
  fc.tuple(fc.nat(95), fc.nat(40)).map(([at, size]) => slice(content, at, Math.min(96, at + size))),
  fc.tuple(fc.nat(11), fc.nat(11)).map(([a, b]) => slice(content, Math.min(a, b) * BLOCK, Math.max(a, b) * BLOCK)),
);

test('any extents: what is left out is zero, what is the same is the same and was first met before', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (parts) => {
      const bytes = concat(parts);
      const data = new Uint8Array(Math.ceil(bytes.size / BLOCK) * BLOCK);
      data.set(await read(bytes));
      const block = (number: number): string => data.subarray(number * BLOCK, (number + 1) * BLOCK).toString();
      const first = new Set<number>();
      let done = 0;
      for (const run of [...blockRuns(bytes, BLOCK), { first: data.length / BLOCK, count: 0, sameAs: undefined }]) {
        assert.ok(run.first >= done);
        assert.ok(isZero(data, done * BLOCK, run.first * BLOCK));
        for (let index = 0; index < run.count; index++) {
          const number = run.first + index;
          if (run.sameAs === undefined) {
            first.add(number);
          } else {
            assert.ok(first.has(run.sameAs + index));
            assert.equal(block(number), block(run.sameAs + index));
          }
        }
        done = run.first + run.count;
      }
    }),
    { numRuns: Math.ceil(FUZZ_RUNS / 4) },
  );
});
