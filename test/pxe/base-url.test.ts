// biome-ignore-all lint/suspicious/noTemplateCurlyInString: iPXE's settings look like that
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseBaseUrl } from '../../src/pxe/base-url.ts';

describe('URLs of a directory', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['http://h', 'http://h/'],
    ['http://h:8080/a', 'http://h:8080/a/'],
    ['https://user:secret@h/a/', 'https://user:secret@h/a/'],
    ['http://[fd00::1]/x', 'http://[fd00::1]/x/'],
    ['tftp://10.0.0.1/a', 'tftp://10.0.0.1/a/'],
    ['http://h/ü', 'http://h/%C3%BC/'],
  ];
  for (const [text, url] of cases) test(text, () => assert.equal(parseBaseUrl(text), url));
});

describe('anything else is refused', () => {
  for (const text of [
    '',
    'h/a',
    '/a',
    'file:///a',
    'http://',
    'http://h/a b',
    'http://h/${x}',
    'http://h/?a',
    'http://h/#a',
  ]) {
    test(text, () =>
      assert.throws(() => parseBaseUrl(text), { code: 'invalid-input', message: /^base URL ".*": want / }),
    );
  }
});
