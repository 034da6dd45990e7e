import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseStrictJson } from '../../src/trust/strict-json.ts';
import { FUZZ_RUNS } from '../support/vectors.ts';

const ACCEPTED = [
  '{}',
  ' [1, {"a": {"a": 1}}, {"a": 2}] ',
  '{"a:b":1,"a":":","b":"{\\"a\\":1}"}',
  '"x"',
  '{"":{"":1}}',
];

for (const text of ACCEPTED) {
  test(`one meaning: ${text}`, () => assert.deepEqual(parseStrictJson(text, 'text'), JSON.parse(text)));
}

const REFUSED: readonly (readonly [string, RegExp])[] = [
  ['{"a":1,"a":1}', /text: key "a" twice/],
  ['{"a":1,"\\u0061":2}', /key "a" twice/],
  ['[{"x":{"b":1,"c":[{}],"b":2}}]', /key "b" twice/],
  ['{"a":{"k":1},"b":0,"a":{}}', /key "a" twice/],
  ['{} {}', /not one JSON text/],
  ['{}x', /not one JSON text/],
  ['\ufeff{}', /not one JSON text/],
  ['', /not one JSON text/],
];

for (const [text, message] of REFUSED) {
  test(`refused: ${text}`, () =>
    assert.throws(() => parseStrictJson(text, 'text'), { code: 'invalid-input', message }));
}

test('bytes that are not UTF-8 are refused', () => {
  assert.throws(() => parseStrictJson(new Uint8Array([0x22, 0xff, 0x22]), 'text'), { code: 'invalid-input' });
});

test('whatever is written once is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      // What fc.json makes comes out of JSON.stringify: no key is there twice.
      assert.deepEqual(parseStrictJson(text, 'text'), JSON.parse(text));
    }),
    { numRuns: Math.min(FUZZ_RUNS, 5000) },
  );
});
