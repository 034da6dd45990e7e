import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ImagerError } from '../../src/errors.ts';
import { nodePlatform } from '../../src/platform/node.ts';
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

  test('proxies come from the environment given, not from that of the process', async () => {
    const before = process.env.http_proxy;
    process.env.http_proxy = 'http://127.0.0.1:1';
    try {
      await withServer({}, async (_, url) => {
        for (const environment of [{}, { HTTPS_PROXY: 'http://127.0.0.1:1' }]) {
          const platform = nodePlatform(environment);
          const response = await platform.http({ method: 'GET', url });
          assert.equal(response.status, 200);
          await response.discard();
          await platform.close();
        }
        const proxied = nodePlatform({ HTTP_PROXY: 'http://127.0.0.1:1' });
        await assert.rejects(proxied.http({ method: 'GET', url }), (error) => error instanceof ImagerError);
        const excepted = nodePlatform({ HTTP_PROXY: 'http://127.0.0.1:1', NO_PROXY: '127.0.0.1' });
        const response = await excepted.http({ method: 'GET', url });
        assert.equal(response.status, 200);
        await response.discard();
        await Promise.all([proxied.close(), excepted.close()]);
      });
    } finally {
      if (before === undefined) delete process.env.http_proxy;
      else process.env.http_proxy = before;
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
