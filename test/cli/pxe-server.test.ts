import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { ofText } from '../../src/bytes/bytes.ts';
import { type PxeServer, parseListenAddress, startPxeServer } from '../../src/cli/pxe-server.ts';

const FILES = [
  { name: 'boot.ipxe', mediaType: 'text/plain; charset=utf-8', bytes: ofText('#!ipxe\n'), sha256: '01', sha512: '11' },
  { name: 'a-uki.efi', mediaType: 'application/efi', bytes: ofText('0123456789'), sha256: '02', sha512: '12' },
];

describe('a server of a network boot', () => {
  let server: PxeServer;
  let base = '';
  const log: string[] = [];
  before(async () => {
    server = await startPxeServer(FILES, { host: '127.0.0.1', port: 0 }, (line) => log.push(line));
    base = server.urls[0]!;
  });
  after(() => server.close());

  test('gives whole files with their type', async () => {
    const answer = await fetch(`${base}a-uki.efi`, { redirect: 'error' });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'application/efi');
    assert.equal(answer.headers.get('content-length'), '10');
    assert.equal(await answer.text(), '0123456789');
    const script = await fetch(`${base}boot.ipxe`);
    assert.equal(script.headers.get('content-type'), 'text/plain; charset=utf-8');
    assert.equal(await script.text(), '#!ipxe\n');
  });

  test('gives ranges, and refuses those outside', async () => {
    const part = await fetch(`${base}a-uki.efi`, { headers: { range: 'bytes=2-4' } });
    assert.deepEqual([part.status, part.headers.get('content-range'), await part.text()], [206, 'bytes 2-4/10', '234']);
    const outside = await fetch(`${base}a-uki.efi`, { headers: { range: 'bytes=10-' } });
    assert.deepEqual([outside.status, outside.headers.get('content-range')], [416, 'bytes */10']);
  });

  test('answers HEAD without a body, and knows what has not changed', async () => {
    const head = await fetch(`${base}a-uki.efi`, { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers.get('content-length'), await head.text()], [200, '10', '']);
    const same = await fetch(`${base}a-uki.efi`, { headers: { 'if-none-match': '"02"' } });
    assert.equal(same.status, 304);
  });

  test('has no other files and no other methods', async () => {
    for (const path of ['', 'a', '..%2fpackage.json', '%zz', 'a-uki.efi/']) {
      const answer = await fetch(base + path, { redirect: 'manual' });
      assert.equal(answer.status, 404, path);
    }
    assert.equal((await fetch(`${base}boot.ipxe`, { method: 'POST', body: 'x' })).status, 405);
  });

  test('takes a query and a whole URL as what they name', async () => {
    assert.equal((await fetch(`${base}boot.ipxe?mac=1`)).status, 200);
    assert.match(await raw(new URL(base), `GET ${base}boot.ipxe HTTP/1.0\r\n\r\n`), /^HTTP\/1\.1 200 .*#!ipxe\n$/s);
  });

  test('goes on after somebody leaves in the middle', async () => {
    await raw(new URL(base), 'GET /a-uki.efi HT');
    assert.equal((await fetch(`${base}boot.ipxe`)).status, 200);
  });

  test('says what it was asked', () => {
    assert.ok(log.includes('127.0.0.1 GET /a-uki.efi 206'), log.join('\n'));
  });

  test('an address that is taken is said', async () => {
    const port = Number(new URL(base).port);
    const second = startPxeServer(FILES, { host: '127.0.0.1', port }, () => undefined);
    await assert.rejects(second, { code: 'io', message: /^address 127\.0\.0\.1:\d+: .*EADDRINUSE/ });
  });
});

test('a wildcard is shown as addresses', async () => {
  const server = await startPxeServer(FILES, { host: '0.0.0.0', port: 0 }, () => undefined);
  await server.close();
  assert.ok(server.urls.length > 0);
  for (const url of server.urls) assert.doesNotMatch(url, /0\.0\.0\.0/);
});

describe('addresses to listen at', () => {
  const good: readonly (readonly [string, string, number])[] = [
    ['0.0.0.0', '0.0.0.0', 8080],
    ['10.0.0.1:80', '10.0.0.1', 80],
    ['localhost:0', 'localhost', 0],
    ['[::1]:8000', '::1', 8000],
    ['[::]', '::', 8080],
    ['fd00::1', 'fd00::1', 8080],
  ];
  for (const [text, host, port] of good) test(text, () => assert.deepEqual(parseListenAddress(text), { host, port }));
  for (const text of ['', ':80', 'h:', 'h:65536', 'h:x', 'http://h', '[::1', 'a b']) {
    test(`not ${text}`, () => assert.throws(() => parseListenAddress(text), { code: 'usage' }));
  }
});

function raw({ hostname, port }: URL, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), hostname, () => socket.end(request));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', reject).on('close', () => resolve(text));
  });
}
