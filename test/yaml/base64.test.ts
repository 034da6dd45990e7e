import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBase64 } from '../../src/yaml/base64.ts';

test('whole groups of the standard alphabet, padded at the end only', () => {
  const good = ['', 'AAAA', 'AAA=', 'AA==', 'ab+/', 'AAAABB=='];
  const bad = [
    'A',
    'AA',
    'AAA',
    '=',
    '==',
    '====',
    'A===',
    'AA=A',
    '=AAA',
    'AA==AAAA',
    'ab-_',
    'AAA ',
    'AAAA\n',
    'AAA\u00e9',
  ];
  for (const text of good) assert.equal(isBase64(text), true, text);
  for (const text of bad) assert.equal(isBase64(text), false, text);
});

test('a long text needs no deep stack', () => {
  assert.equal(isBase64('A'.repeat(32 << 20)), true);
  assert.equal(isBase64(`${'A'.repeat(32 << 20)}AAA!`), false);
});
