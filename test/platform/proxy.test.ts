import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyChoice } from '../../src/platform/proxy.ts';
import { vectorLines } from '../support/vectors.ts';

const PROXY = 'http://proxy.test:3128';

function chosen(environment: Readonly<Record<string, string>>, url: string): string | undefined {
  return proxyChoice(environment)(new URL(url))?.href.replace(/\/$/, '');
}

interface Case {
  readonly HTTP_PROXY: string;
  readonly HTTPS_PROXY: string;
  readonly NO_PROXY: string;
  readonly chosen: Readonly<Record<string, string>>;
}

/** Go takes these for proxies and fails when it uses them; we say so at once. */
const NO_PROXIES: readonly string[] = ['ftp://proxy', 'http://', ':3128', 'http://pro xy'];
/** Go takes brackets without a port for a part of a name. */
const ADDRESS_IN_BRACKETS = '[fd00::1]';

test('the choice is that of Go', () => {
  let compared = 0;
  for (const { chosen: expected, ...environment } of vectorLines<Case>('proxy/httpproxy.jsonl.gz')) {
    for (const [url, want] of Object.entries(expected)) {
      const what = JSON.stringify({ ...environment, url });
      if (NO_PROXIES.includes(environment.HTTP_PROXY)) {
        assert.throws(() => chosen(environment, url), { code: 'invalid-input' }, what);
      } else if (environment.NO_PROXY === ADDRESS_IN_BRACKETS && url.includes(ADDRESS_IN_BRACKETS)) {
        assert.equal(chosen(environment, url), undefined, what);
      } else if (environment.HTTP_PROXY !== '//proxy') {
        assert.equal(chosen(environment, url) ?? '', want, what);
        compared++;
      }
    }
  }
  assert.ok(compared > 2000, String(compared));
});

test('each scheme has its variable', () => {
  const both = { HTTP_PROXY: 'http://plain.test', HTTPS_PROXY: 'http://tls.test' };
  assert.equal(chosen(both, 'http://a.test/'), 'http://plain.test');
  assert.equal(chosen(both, 'https://a.test/'), 'http://tls.test');
  assert.equal(chosen({ HTTP_PROXY: PROXY }, 'https://a.test/'), undefined);
  assert.equal(chosen({ https_proxy: PROXY }, 'https://a.test/'), PROXY);
  assert.equal(chosen({ https_proxy: 'http://small.test', HTTPS_PROXY: PROXY }, 'https://a.test/'), PROXY);
  assert.equal(chosen({ ALL_PROXY: PROXY }, 'https://a.test/'), undefined);
});

test('a proxy without a scheme is spoken to by plain HTTP', () => {
  assert.equal(chosen({ HTTPS_PROXY: 'proxy.test:3128' }, 'https://a.test/'), PROXY);
  assert.equal(chosen({ HTTPS_PROXY: '10.0.0.1' }, 'https://a.test/'), 'http://10.0.0.1');
});

test('what is no proxy is refused, without the value', () => {
  for (const value of ['ftp://secret.test', 'http://', 'http://user:secret@:80']) {
    assert.throws(
      () => chosen({ HTTPS_PROXY: value }, 'https://a.test/'),
      (error: Error) => {
        assert.match(error.message, /^HTTPS_PROXY: want http:/);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      },
    );
  }
});

test('this machine is never behind a proxy', () => {
  for (const host of ['localhost', 'localhost:5000', '127.0.0.1', '127.9.9.9:80', '[::1]:5000']) {
    assert.equal(chosen({ HTTP_PROXY: PROXY }, `http://${host}/`), undefined, host);
  }
  assert.equal(chosen({ HTTP_PROXY: PROXY }, 'http://a.localhost/'), PROXY);
});

/** The exception, a host, and whether it is excepted. */
const EXCEPTIONS: readonly (readonly [string, string, boolean])[] = [
  ['', 'a.test', false],
  ['*', 'a.test', true],
  ['*', '10.0.0.1', true],
  ['a.test', 'a.test', true],
  ['A.Test', 'a.test', true],
  ['a.test', 'b.a.test', true],
  ['a.test', 'ba.test', false],
  ['.a.test', 'a.test', false],
  ['.a.test', 'b.a.test', true],
  ['*.a.test', 'a.test', false],
  ['*.a.test', 'c.b.a.test', true],
  ['x.test, a.test ,y.test', 'a.test', true],
  ['a.test:443', 'a.test', true],
  ['a.test:5000', 'a.test', false],
  ['a.test:5000', 'a.test:5000', true],
  ['.a.test:5000', 'b.a.test:5000', true],
  ['10.0.0.1', '10.0.0.1', true],
  ['fe80::1%eth0', '[fe80::1]', true],
  ['fe80::1%eth0/64', '[fe80::2]', true],
  ['[fe80::1%eth0]:5000', '[fe80::1]', false],
  ['10.0.0.1:5000', '10.0.0.1', false],
  ['10.0.0.1:5000', '10.0.0.1:5000', true],
  ['10.0.0.0/8', '10.9.9.9', true],
  ['10.0.0.0/8', '11.0.0.1', false],
  ['10.0.0.0/8', 'ten.test', false],
  ['10.0.0.7/8', '10.1.1.1', true],
  ['10.0.0.0/33', '10.0.0.0', false],
  ['fd00::/8', '[fd00::1]', true],
  ['fd00::/8', '[fe80::1]', false],
  ['fd00::1', '[fd00::1]', true],
  ['[fd00::1]', '[fd00:0::1]', true],
  ['[fd00::1]:5000', '[fd00::1]:5000', true],
  ['[fd00::1]:5000', '[fd00::1]', false],
  [':5000', 'a.test:5000', false],
  ['.', 'a.test', false],
  ['b\u00fccher.test', 'b\u00fccher.test', true],
];

for (const [exception, host, isExcepted] of EXCEPTIONS) {
  test(`NO_PROXY=${exception} ${isExcepted ? 'excepts' : 'does not except'} ${host}`, () => {
    const environment = { HTTPS_PROXY: PROXY, NO_PROXY: exception };
    assert.equal(chosen(environment, `https://${host}/`), isExcepted ? undefined : PROXY);
    assert.equal(
      chosen({ https_proxy: PROXY, no_proxy: exception }, `https://${host}/`),
      isExcepted ? undefined : PROXY,
    );
  });
}
