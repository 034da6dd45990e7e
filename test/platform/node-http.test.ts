import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { describe, test } from 'node:test';
import { ImagerError } from '../../src/errors.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { selfSigned } from '../support/certificate.ts';
import { digestOf, randomBytes } from '../support/image.ts';
import { failing, startRegistry, type TestRegistry } from '../support/registry.ts';

const BLOB = randomBytes(100_000, 1);
const PATH = `/v2/a/b/blobs/${digestOf(BLOB)}`;

async function withServer(
  options: Parameters<typeof startRegistry>[0],
  run: (server: TestRegistry, url: string) => Promise<void>,
): Promise<void> {
  const server = await startRegistry(options);
  server.serveBlob(BLOB);
  try {
    await run(server, `${server.url}${PATH}`);
  } finally {
    await server.close();
  }
}

interface Proxied {
  readonly line: string;
  readonly authorization: string | undefined;
}

/** A proxy that answers plain requests itself, and makes every tunnel lead to this machine. */
async function withProxy(run: (url: string, seen: Proxied[]) => Promise<void>): Promise<void> {
  const seen: Proxied[] = [];
  const note = ({ method, url, headers }: IncomingMessage): void => {
    seen.push({ line: `${method} ${url}`, authorization: headers['proxy-authorization'] });
  };
  const proxy = createServer((request, response) => {
    note(request);
    response.writeHead(204).end();
  });
  proxy.on('connect', (request, client) => {
    note(request);
    const server = connect(Number(new URL(`http://${request.url}`).port), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connected\r\n\r\n');
      client.pipe(server).pipe(client);
    });
    server.on('error', () => client.destroy());
    client.on('error', () => server.destroy());
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  try {
    await run(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, seen);
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
}

describe('HTTP over undici', () => {
  test('a download stopped in its body is canceled, a broken one is not', async () => {
    const platform = nodePlatform({});
    for (const kind of ['stall', 'truncate'] as const) {
      await withServer({ faults: [failing(/blobs/, { kind, after: 1000 })] }, async (_, url) => {
        const controller = new AbortController();
        const { body } = await platform.http({ method: 'GET', url, signal: controller.signal });
        const read = async (): Promise<void> => {
          for await (const _chunk of body) if (kind === 'stall') controller.abort();
        };
        await assert.rejects(read(), { name: 'ImagerError', code: kind === 'stall' ? 'canceled' : 'dependency' });
      });
    }
    await platform.close();
  });

  test('discarding a body never fails', async () => {
    const platform = nodePlatform({});
    await withServer({ faults: [failing(/blobs/, { kind: 'truncate', after: 1000 })] }, async (_, url) => {
      const response = await platform.http({ method: 'GET', url });
      await response.discard();
    });
    await platform.close();
  });

  test('nobody waits for the rest of a body that was discarded', async () => {
    const platform = nodePlatform({});
    await withServer({ faults: [failing(/blobs/, { kind: 'stall', after: 1000 })] }, async (_, url) => {
      const response = await platform.http({
        method: 'GET',
        url,
        headers: { range: 'bytes=0-2000' },
        stallTimeout: 30_000,
      });
      const start = performance.now();
      await response.discard();
      assert.ok(performance.now() - start < 10_000, `${performance.now() - start} ms`);
    });
    await platform.close();
  });

  test('proxies come from the environment given, not from that of the process', async () => {
    const before = process.env.http_proxy;
    process.env.http_proxy = 'http://127.0.0.1:1';
    try {
      await withProxy(async (proxy, seen) => {
        const platform = nodePlatform({ HTTP_PROXY: proxy.replace('//', '//user:word@'), NO_PROXY: '.other.test' });
        const response = await platform.http({ method: 'GET', url: 'http://registry.test/v2/' });
        assert.equal(response.status, 204);
        await response.discard();
        const basic = `Basic ${Buffer.from('user:word').toString('base64')}`;
        assert.deepEqual(seen, [{ line: 'GET http://registry.test/v2/', authorization: basic }]);
        await assert.rejects(platform.http({ method: 'GET', url: 'http://registry.other.test/' }), ImagerError);
        assert.equal(seen.length, 1);
        await platform.close();
      });
      await withServer({}, async (_, url) => {
        for (const environment of [{}, { HTTP_PROXY: 'http://127.0.0.1:1' }]) {
          const platform = nodePlatform(environment);
          const response = await platform.http({ method: 'GET', url });
          assert.equal(response.status, 200, 'this machine is never behind a proxy');
          await response.discard();
          await platform.close();
        }
      });
    } finally {
      if (before === undefined) delete process.env.http_proxy;
      else process.env.http_proxy = before;
    }
  });

  test('HTTPS goes through a tunnel', async () => {
    await withServer({ tls: true }, async ({ certificate, host }) => {
      await withProxy(async (proxy, seen) => {
        const platform = nodePlatform({ HTTPS_PROXY: proxy });
        const url = `https://localhost.:${new URL(`https://${host}`).port}/v2/`;
        const response = await platform.http({ method: 'GET', url, ca: certificate!, insecureTls: true });
        assert.equal(response.status, 200);
        await response.discard();
        assert.deepEqual(
          seen.map(({ line }) => line.split(':')[0]),
          ['CONNECT localhost.'],
        );
        await platform.close();
      });
    });
  });

  test('a server that asks who is there is shown the certificate', async () => {
    const keys = selfSigned(['localhost', '127.0.0.1']);
    const server = createTlsServer(
      { ...keys, ca: keys.cert, requestCert: true, rejectUnauthorized: true },
      (_, response) => response.writeHead(204).end(),
    );
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const platform = nodePlatform({});
    try {
      await assert.rejects(platform.http({ method: 'GET', url, ca: keys.cert }), { code: 'dependency' });
      const clientCertificate = { certificate: keys.cert, key: keys.key };
      const response = await platform.http({ method: 'GET', url, ca: keys.cert, clientCertificate });
      assert.equal(response.status, 204);
      await response.discard();
    } finally {
      await platform.close();
      server.closeAllConnections();
      server.close();
    }
  });

  test('a certificate is checked against the bundle given, unless it need not be', async () => {
    const platform = nodePlatform({});
    await withServer({ tls: true }, async ({ certificate }, url) => {
      for (const trust of [{ ca: certificate! }, { insecureTls: true }]) {
        const response = await platform.http({ method: 'GET', url, ...trust });
        assert.equal(response.status, 200);
        await response.discard();
      }
      await assert.rejects(platform.http({ method: 'GET', url }), { code: 'dependency' });
    });
    await platform.close();
  });
});
