import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ImagerError } from '../../../src/errors.ts';
import { decodeIndexFile } from '../../../src/formats/kmod/decode-index-file.ts';
import { IndexBuilder, type IndexValue, type NodeOrder } from '../../../src/formats/kmod/index-file.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const ORDERS: readonly NodeOrder[] = ['pre-order', 'post-order'];

function encode(entries: readonly (readonly [string, string, number])[], order: NodeOrder): Uint8Array {
  const builder = new IndexBuilder();
  for (const entry of entries) builder.add(...entry);
  return builder.encode(order);
}

test('an empty index is a root with nothing', () => {
  for (const order of ORDERS) {
    const data = encode([], order);
    assert.equal(Buffer.from(data).toString('hex'), 'b007f457000200010000000c');
    assert.equal(decodeIndexFile(data).size, 0);
  }
});

test('nodes stand before or behind what is below them', () => {
  const entries = [
    ['ask', 'x', 1],
    ['at', 'y', 2],
  ] as const;
  const hex = (order: NodeOrder): string => Buffer.from(encode(entries, order)).toString('hex').slice(16);
  const ask = `6b00${'00000001'}${'00000001'}7800`;
  const at = `${'00000001'}${'00000002'}7900`;
  // The root has one child at "a", that one children at "s" and "t", whose flags say prefix and values or values only.
  assert.equal(hex('pre-order'), `2000000c${'6161'}20000012${'7374'}c000001c40000028${ask}${at}`);
  assert.equal(hex('post-order'), `2000002c${ask}${at}${'7374'}c000000c40000018${'6161'}20000022`);
});

test('values come in the order of priority, of equal ones the latest first', () => {
  const entries = ['a5', 'b3', 'c5', 'd9', 'e3'].map((text) => ['key', text[0]!, Number(text[1])] as const);
  for (const order of ORDERS) {
    const values = decodeIndexFile(encode(entries, order)).get('key')!;
    assert.equal(values.map(({ value, priority }) => `${value}${priority}`).join(' '), 'e3 b3 c5 a5 d9');
  }
});

test('only ASCII can be held', () => {
  const builder = new IndexBuilder();
  assert.throws(() => builder.add('caf\xe9', 'x', 0), { code: 'invalid-input', message: /caf.*of "x": want ASCII/ });
  assert.throws(() => builder.add('x', '\x80', 0), { code: 'invalid-input' });
  assert.equal(decodeIndexFile(builder.encode('pre-order')).size, 0);
});

const ENTRY = fc.tuple(
  fc.string({ unit: fc.constantFrom('a', 'b', '\x01', '\x7f', '*'), maxLength: 6 }),
  fc.constantFrom('', 'v', 'longer value'),
  fc.nat(5),
);

test('what was added is found, under sorted keys', () => {
  fc.assert(
    fc.property(fc.array(ENTRY, { maxLength: 30 }), fc.constantFrom(...ORDERS), (entries, order) => {
      const expected = new Map<string, IndexValue[]>();
      for (const [key, value, priority] of entries) {
        const before = expected.get(key) ?? [];
        expected.set(key, [{ value, priority }, ...before]);
      }
      for (const values of expected.values()) values.sort((a, b) => a.priority - b.priority);
      const found = decodeIndexFile(encode(entries, order));
      assert.deepEqual([...found.keys()], [...expected.keys()].sort());
      for (const [key, values] of expected) assert.deepEqual(found.get(key), values, key);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test('keys may nest as deep as they are long', () => {
  const entries = Array.from({ length: 4000 }, (_, index) => ['x'.repeat(index), '', index] as const);
  for (const order of ORDERS) assert.equal(decodeIndexFile(encode(entries, order)).size, 4000);
});

test('damaged index files give an error or keys, in bounded time', () => {
  const good = encode(
    [...Array(20).keys()].map((index) => [`key${index}`, `value${index % 3}`, index] as const),
    'pre-order',
  );
  const change = fc.record({ at: fc.nat(good.length - 1), value: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), fc.nat(good.length), (changes, cut) => {
      const data = good.slice(0, cut % 4 === 0 ? cut : good.length);
      for (const { at, value } of changes) if (at < data.length) data[at] = value;
      try {
        assert.ok(decodeIndexFile(data).size <= data.length);
      } catch (error) {
        assert.ok(error instanceof ImagerError, String(error));
      }
    }),
    { seed: 1, numRuns: FUZZ_RUNS },
  );
});

test('nodes that overlap are refused', () => {
  const data = Buffer.from(encode([['aa', 'x', 1]], 'pre-order'));
  // The only child of the root is the root.
  data.writeUInt32BE(0x2000000c, 14);
  assert.throws(() => decodeIndexFile(data), { code: 'invalid-input', message: /overlap/ });
});
