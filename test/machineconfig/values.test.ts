import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatAddress,
  formatPrefix,
  isLinkLocal,
  isMistake,
  parseAddress,
  parsePrefix,
  prefixContains,
} from '../../src/machineconfig/address.ts';
import { formatDuration, parseDuration } from '../../src/machineconfig/duration.ts';
import { isHostPort } from '../../src/machineconfig/endpoint.ts';
import { lenientHardwareAddress, parseHardwareAddress } from '../../src/machineconfig/hardware-address.ts';
import { formatQuery, formatUrl, parseQuery, parseUrl, splitHostPort } from '../../src/machineconfig/url.ts';
import { vectorLines } from '../support/vectors.ts';

interface ValueCase {
  readonly kind: 'addr' | 'prefix' | 'dur' | 'url';
  readonly text: string;
  readonly error?: true;
  readonly r?: string;
  readonly host?: string;
  readonly path?: string;
  readonly q?: string;
  readonly hn?: string;
  readonly port?: string;
  readonly scheme?: string;
}

/** The canonical form, or `undefined` when the text is refused. */
function canonical(kind: ValueCase['kind'], text: string): string | undefined {
  if (kind === 'dur') {
    const duration = parseDuration(text);
    return duration === undefined ? undefined : formatDuration(duration);
  }
  if (kind === 'addr') {
    const address = parseAddress(text);
    return isMistake(address) ? undefined : formatAddress(address);
  }
  if (kind === 'prefix') {
    const prefix = parsePrefix(text);
    return isMistake(prefix) ? undefined : formatPrefix(prefix);
  }
  const url = parseUrl(text);
  return isMistake(url) ? undefined : formatUrl(url);
}

test('durations, addresses, prefixes and URLs are taken and written as Go does', () => {
  for (const { kind, text, r } of vectorLines<ValueCase>('machine-config/go-values.jsonl.gz')) {
    assert.equal(canonical(kind, text), r, `${kind} ${JSON.stringify(text)}`);
  }
});

test('the parts of a URL are those Go finds', () => {
  const decode = (bytes: string): string => Buffer.from(bytes, 'latin1').toString();
  for (const one of vectorLines<ValueCase>('machine-config/go-values.jsonl.gz')) {
    if (one.kind !== 'url' || one.error) continue;
    const url = parseUrl(one.text);
    assert.ok(!isMistake(url));
    const { name, port } = splitHostPort(url.host);
    const parts = [
      url.scheme,
      decode(url.host),
      decode(url.path),
      formatQuery(parseQuery(url.query)),
      decode(name),
      port,
    ];
    assert.deepEqual(parts, [one.scheme, one.host, one.path, one.q, one.hn, one.port], one.text);
  }
});

test('a prefix contains what shares its leading bits, in its family', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['10.0.0.5/8', '10.255.0.1', true],
    ['10.0.0.5/9', '10.128.0.1', false],
    ['0.0.0.0/0', '1.2.3.4', true],
    ['0.0.0.0/0', '::1', false],
    ['192.168.1.10/32', '192.168.1.11', false],
    ['2001:db8::/33', '2001:db8:7fff::1', true],
    ['2001:db8::/33', '2001:db8:8000::1', false],
  ];
  for (const [prefixText, addressText, expected] of cases) {
    const prefix = parsePrefix(prefixText);
    const address = parseAddress(addressText);
    assert.ok(!isMistake(prefix) && !isMistake(address));
    assert.equal(prefixContains(prefix, address), expected, `${prefixText} ${addressText}`);
  }
});

test('link-local is fe80::/10', () => {
  for (const [text, expected] of [
    ['fe80::1', true],
    ['febf::1', true],
    ['fec0::1', false],
    ['169.254.0.1', false],
  ] as const) {
    const address = parseAddress(text);
    assert.ok(!isMistake(address));
    assert.equal(isLinkLocal(address), expected, text);
  }
});

test('hardware addresses: pairs, with or without colons, of a length that exists', () => {
  for (const text of ['02:00:5e:10:00:01', '02005E100001', '02:00:00:00:00:00:00:01']) {
    assert.ok(!isMistake(parseHardwareAddress(text)), text);
  }
  for (const text of [
    '',
    '2:0:0:0:0:1',
    '02-00-5e-10-00-01',
    '0200.5e10.0001',
    '02:00',
    '020',
    '02:00:5e:10:00:0g',
    ':020000000001',
  ]) {
    assert.ok(isMistake(parseHardwareAddress(text)), text);
  }
  assert.equal(lenientHardwareAddress('2:0:0:0:0:1'), '20:00:01');
  assert.equal(lenientHardwareAddress('02:0'), undefined);
});

test('endpoints are host and port', () => {
  for (const text of ['a:1', '1.2.3.4:65535', '[::1]:80', 'a.b:080']) assert.ok(isHostPort(text), text);
  for (const text of ['a', 'a:', ':80', '::1:80', '[]:80', 'a:0', 'a:65536', 'a:b', 'http://a:1', '']) {
    assert.ok(!isHostPort(text), text);
  }
});
