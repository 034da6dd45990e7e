/** The os-release text beyond what the UKI vectors hold. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatOsRelease } from '../../src/boot/os-release.ts';

const lineOf = (name: string, key: string): string | undefined =>
  formatOsRelease({ name, version: 'v1' })
    .split('\n')
    .find((line) => line.startsWith(`${key}=`));

test('eight lines, the version verbatim', () => {
  const text = formatOsRelease({ name: '', version: 'v1.14.0-rc.1' });
  assert.equal(text.split('\n').length, 9);
  assert.match(text, /^NAME="Talos"\nID=talos\nVERSION_ID=v1\.14\.0-rc\.1\nPRETTY_NAME="Talos \(v1\.14\.0-rc\.1\)"\n/);
});

test('identifiers are lower case one character at a time, as Go does it', () => {
  assert.equal(lineOf('My  Linux', 'ID'), 'ID=my__linux');
  assert.equal(lineOf('ΟΔΟΣ', 'ID'), 'ID=οδοσ', 'no final sigma');
  assert.equal(lineOf('İx', 'ID'), 'ID=ix', 'no combining dot');
});

test('a line break would make a ninth line', () => {
  assert.throws(() => formatOsRelease({ name: 'a\nb', version: 'v1' }), {
    message: 'os-release name "a\\nb": control characters, want one line of text',
  });
  assert.throws(() => formatOsRelease({ name: 'a', version: 'v1\r' }), /os-release version/);
});
