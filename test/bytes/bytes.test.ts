import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  alignUp,
  type Bytes,
  concat,
  EMPTY,
  extentAt,
  ofMemory,
  ofSource,
  ofText,
  padTo,
  padToMultiple,
  patch,
  place,
  slice,
  zeros,
} from '../../src/bytes/bytes.ts';
import { equals, read } from '../../src/bytes/read.ts';
import { memorySource, representations, stream } from '../support/bytes.ts';

const DATA = (() => {
  const data = stream('bytes', 100);
  data.fill(0, 30, 55);
  return data;
})();

for (const [name, bytes] of Object.entries(representations(DATA))) {
  test(`${name}: every slice is the slice of the content`, async () => {
    for (let start = 0; start <= DATA.length; start += 9) {
      for (let end = start; end <= DATA.length; end += 13) {
        assert.deepEqual(await read(slice(bytes, start, end)), DATA.slice(start, end), `${start}..${end}`);
      }
    }
  });

  test(`${name}: concat, pad, patch and place keep the content`, async () => {
    const joined = new Uint8Array([...DATA, ...DATA]);
    assert.deepEqual(await read(concat([bytes, EMPTY, bytes])), joined);
    assert.deepEqual(await read(padTo(bytes, 128)), new Uint8Array([...DATA, ...new Uint8Array(28)]));
    assert.equal(padToMultiple(bytes, 64).size, 128);
    const patched = Uint8Array.from(DATA);
    patched.set([1, 2, 3], 50);
    patched.set([9], 0);
    const patches = [
      { at: 50, bytes: ofMemory(Uint8Array.of(1, 2, 3)) },
      { at: 0, bytes: ofMemory(Uint8Array.of(9)) },
    ];
    assert.deepEqual(await read(patch(bytes, patches)), patched);
    const placed = new Uint8Array(150);
    placed.set(DATA, 20);
    placed.set([7], 149);
    const placements = [
      { at: 149, bytes: ofMemory(Uint8Array.of(7)) },
      { at: 20, bytes },
    ];
    assert.deepEqual(await read(place(150, placements)), placed);
  });

  test(`${name}: equals every other representation, and nothing else`, async () => {
    for (const other of Object.values(representations(DATA))) assert.equal(await equals(bytes, other), true);
    for (const at of [0, 29, 30, 54, 99]) {
      const changed = Uint8Array.from(DATA);
      changed[at] = changed[at]! ^ 1;
      assert.equal(await equals(bytes, ofMemory(changed)), false, `byte ${at}`);
    }
    assert.equal(await equals(bytes, slice(bytes, 0, 99)), false);
  });

  test(`${name}: the invariants hold`, () => checkInvariants(bytes));
}

test('ranges that meet in one source become one extent, zeros too', () => {
  const source = memorySource(DATA);
  const joined = concat([ofSource(source, 0, 10), ofSource(source, 10, 5), zeros(3), zeros(4)]);
  assert.deepEqual(
    joined.extents.map(({ kind, length }) => [kind, length]),
    [
      ['range', 15],
      ['zeros', 7],
    ],
  );
});

test('small memory pieces become one extent, large ones are referred to', () => {
  const pieces = Array.from({ length: 1000 }, () => ofText('ab'));
  assert.equal(concat(pieces).extents.length, 1);
  const large = new Uint8Array(1 << 20);
  const [first] = concat([ofMemory(large), ofText('x')]).extents;
  assert.ok(first?.kind === 'memory' && first.data.buffer === large.buffer);
});

test('equal ranges are equal without a read', async () => {
  const source = memorySource(DATA);
  assert.equal(await equals(ofSource(source), concat([ofSource(source, 0, 40), ofSource(source, 40)])), true);
  assert.deepEqual(source.reads, []);
});

test('arithmetic stays exact and lazy beyond 32 bits', async () => {
  const tail = ofText('end');
  const huge = concat([zeros(8 * 2 ** 40), tail]);
  assert.equal(huge.size, 8 * 2 ** 40 + 3);
  assert.deepEqual(await read(slice(huge, 8 * 2 ** 40 - 1)), Uint8Array.of(0, 101, 110, 100));
  assert.equal(alignUp(2 ** 40 + 1, 4096), 2 ** 40 + 4096);
});

test('ten thousand extents: building, cutting and finding do not walk again and again', () => {
  const source = memorySource(new Uint8Array(40_000));
  const parts = Array.from({ length: 10_000 }, (_, index) => ofSource(source, index * 4, 2));
  const bytes = concat(parts);
  assert.equal(bytes.extents.length, 10_000);
  // Each extent visited costs one step of a binary search of 14: a walk would be 10,000.
  for (let position = 0; position < bytes.size; position += 2) assert.equal(extentAt(bytes, position), position / 2);
  const placements = parts.map((part, index) => ({ at: index * 8, bytes: part }));
  assert.equal(place(80_000, placements).extents.length, 20_000);
  assert.equal(patch(zeros(80_000), placements).extents.length, 20_000);
});

test('refused: what lies outside, overlaps or is no byte count', () => {
  const bytes = ofText('abc');
  const cases: (() => unknown)[] = [
    () => slice(bytes, 2, 1),
    () => slice(bytes, 0, 4),
    () => slice(bytes, -1, 2),
    () => slice(bytes, 0.5, 2),
    () => zeros(-1),
    () => zeros(Number.NaN),
    () => zeros(2 ** 60),
    () => padTo(bytes, 2),
    () => ofSource(memorySource(new Uint8Array(3)), 1, 3),
    () => patch(bytes, [{ at: 2, bytes: ofText('xy') }]),
    () => place(10, [{ at: 8, bytes }]),
    () =>
      place(10, [
        { at: 0, bytes },
        { at: 2, bytes },
      ]),
    () =>
      patch(zeros(10), [
        { at: 0, bytes },
        { at: 2, bytes },
      ]),
  ];
  for (const wrong of cases) assert.throws(wrong, { code: 'invalid-input' }, String(wrong));
});

test('any mix of operations is the same as on plain memory', async () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((data) => ({ data, bytes: ofMemory(data) })),
    fc.uint8Array({ maxLength: 40 }).map((data) => ({ data, bytes: ofSource(memorySource(data)) })),
    fc.nat(40).map((size) => ({ data: new Uint8Array(size), bytes: zeros(size) })),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), fc.nat(), fc.nat(), fc.nat(), async (pieces, a, b, c) => {
      const data = new Uint8Array(pieces.flatMap((one) => [...one.data]));
      let bytes = concat(pieces.map((one) => one.bytes));
      const [start, end] = [a % (data.length + 1), b % (data.length + 1)].sort((x, y) => x - y) as [number, number];
      bytes = concat([slice(bytes, 0, start), slice(bytes, start, end), slice(bytes, end)]);
      const at = c % (data.length + 1);
      const over = slice(bytes, start, Math.min(end, start + data.length - at));
      const expected = Uint8Array.from(data);
      expected.set(data.subarray(start, start + over.size), at);
      bytes = patch(bytes, [{ at, bytes: over }]);
      checkInvariants(bytes);
      assert.deepEqual(await read(bytes), expected);
    }),
    { seed: 7, numRuns: 500 },
  );
});

function checkInvariants(bytes: Bytes): void {
  let position = 0;
  let before: Bytes['extents'][number] | undefined;
  for (const [index, extent] of bytes.extents.entries()) {
    assert.ok(extent.length > 0);
    assert.equal(bytes.starts[index], position);
    assert.ok(!(before?.kind === 'zeros' && extent.kind === 'zeros'), 'two zero runs side by side');
    if (before?.kind === 'range' && extent.kind === 'range' && before.source.key === extent.source.key) {
      assert.notEqual(before.offset + before.length, extent.offset, 'two ranges that are one');
    }
    position += extent.length;
    before = extent;
  }
  assert.equal(bytes.size, position);
}
