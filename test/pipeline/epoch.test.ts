import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkEpoch, DEFAULT_EPOCH, parseEpoch } from '../../src/pipeline/epoch.ts';

test('times that are taken', () => {
  const cases: readonly (readonly [string | undefined, number])[] = [
    [undefined, DEFAULT_EPOCH],
    ['', DEFAULT_EPOCH],
    ['0', 0],
    ['1559424892', DEFAULT_EPOCH],
    ['00000000000000000001', 1],
    ['4294967295', 2 ** 32 - 1],
  ];
  for (const [text, seconds] of cases) assert.equal(parseEpoch(text), seconds, text);
});

test('times that would wrap around, and what is no time', () => {
  const texts = [
    '4294967296',
    '5854391892',
    '18446744073709551616',
    '99999999999999999999999',
    '-1',
    '+1',
    '1.5',
    '1e9',
  ];
  for (const text of [...texts, ' 1', '1\n', '0x10', 'now', '١', '2019-06-01']) {
    assert.throws(() => parseEpoch(text), {
      code: 'invalid-input',
      message: `SOURCE_DATE_EPOCH ${JSON.stringify(text)}: want whole seconds since 1970, 0..4294967295`,
    });
  }
});

test('a number from a program', () => {
  for (const value of [0, 1, 2 ** 32 - 1]) checkEpoch(value);
  for (const value of [-1, 0.5, 2 ** 32, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => checkEpoch(value), { code: 'invalid-input', message: /^epoch .*: want whole seconds/ });
  }
});
