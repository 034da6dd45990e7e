/** Keys and `KEY=VALUE`, against upstream's own answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatMetaKey, META_KEYS, parseMetaKey } from '../../src/meta/key.ts';
import { formatMetaValue, type MetaValue, parseMetaValue } from '../../src/meta/value.ts';
import { vectorLines } from '../support/vectors.ts';

interface ParseCase {
  readonly id: string;
  readonly text?: string;
  readonly flags?: readonly string[];
  readonly expect: {
    readonly key?: number;
    readonly value?: string;
    readonly string?: string;
    readonly values?: readonly MetaValue[];
    readonly error?: string;
  };
}

const cases = vectorLines<ParseCase>('meta/parse.jsonl');

/** Upstream takes key 0 and never reads it back; ours is refused. */
function isKeyZero(one: ParseCase): boolean {
  return one.expect.key === 0 || one.expect.values?.some(({ key }) => key === 0) === true;
}

test('values parse and print as upstream does, key 0 apart', () => {
  assert.ok(cases.length > 80);
  for (const one of cases) {
    const texts = one.flags ?? [one.text!];
    if (one.expect.error !== undefined || isKeyZero(one)) {
      assert.throws(() => texts.map(parseMetaValue), { code: 'invalid-input' }, one.id);
      continue;
    }
    const want = one.expect.values ?? [{ key: one.expect.key!, value: one.expect.value! }];
    const values = texts.map(parseMetaValue);
    assert.deepEqual(values, want, one.id);
    const printed = values.map(formatMetaValue);
    assert.equal(one.flags === undefined ? printed[0] : `[${printed.join(',')}]`, one.expect.string, one.id);
  }
});

test('a printed key is read back as the same key', () => {
  for (let key = 1; key < 256; key++) assert.equal(parseMetaKey(formatMetaKey(key)), key);
});

test('errors name the key and the wish', () => {
  assert.throws(() => parseMetaValue('0x1ff=a'), { message: 'meta key "0x1ff": want 0x01..0xff' });
  assert.throws(() => parseMetaValue('0=a'), { message: 'meta key "0": want 0x01..0xff', hint: /ends the list/ });
  assert.throws(() => parseMetaValue('0xa'), { message: 'meta value "0xa": want KEY=VALUE' });
});

test('a key of absurd length is refused at once', () => {
  assert.throws(() => parseMetaKey(`0x${'_0'.repeat(1 << 20)}`), { code: 'invalid-input' });
});

test('the named keys are the ones of the specification', () => {
  assert.deepEqual(
    Object.values(META_KEYS),
    Array.from({ length: 12 }, (_, index) => index + 6),
  );
});
