import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ImagerError } from '../../src/errors.ts';
import type { ImageSource } from '../../src/oci/image-source.ts';
import { TokenCache } from '../../src/oci/registry/authorization.ts';
import { type Endpoint, parseMirrors } from '../../src/oci/registry/mirrors.ts';
import { type RegistryEvent, type RegistryOptions, registrySource } from '../../src/oci/registry/registry.ts';
import { openSession } from '../../src/oci/registry/session.ts';
import type { Clock } from '../../src/oci/registry/transport.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/types.ts';
import { describe as descriptorOf, digestOf, OCI_INDEX, randomBytes, testImage, testIndex } from '../support/image.ts';
import {
  type Fault,
  failing,
  failingAtRandom,
  startRegistry,
  type TestRegistry,
  type TestRegistryOptions,
} from '../support/registry.ts';

const LAYER = randomBytes(300_000, 1);
const LAYER_BLOB = descriptorOf(LAYER, 'application/octet-stream');
const IMAGE = testImage([{ data: LAYER }]);
const INDEX = testIndex([IMAGE]);

let platform: Platform;
before(() => {
  platform = nodePlatform({ HOME: '/nonexistent' });
});
after(() => platform.close());

/** Time that passes at once; `pauses` lists what was waited for. */
function fakeClock(): Clock & { readonly pauses: number[] } {
  const pauses: number[] = [];
  let now = 0;
  return {
    pauses,
    now: () => now,
    sleep: async (milliseconds) => {
      pauses.push(milliseconds);
      now += milliseconds;
    },
  };
}

interface Setup {
  readonly registry: TestRegistry;
  readonly clock: ReturnType<typeof fakeClock>;
  source(options?: RegistryOptions): ImageSource;
}

async function withRegistry(options: TestRegistryOptions, run: (setup: Setup) => Promise<void>): Promise<void> {
  const registry = await startRegistry(options);
  registry.serve('a/b', 'v1', INDEX);
  const clock = fakeClock();
  try {
    await run({
      registry,
      clock,
      source: (more = {}) =>
        registrySource(platform, { registry: registry.host, repository: 'a/b' }, { clock, random: () => 0.5, ...more }),
    });
  } finally {
    await registry.close();
  }
}

async function readAll(source: ImageSource, from = 0, signal?: AbortSignal): Promise<Buffer> {
  const opened = await source.blob(LAYER_BLOB, from, signal);
  const parts: Uint8Array[] = [];
  for await (const part of opened.chunks) parts.push(part);
  const data = Buffer.concat(parts);
  assert.deepEqual(data, Buffer.from(LAYER.subarray(opened.from)));
  return data;
}

function paths(registry: TestRegistry): string[] {
  return registry.requests.map(({ method, url }) => `${method} ${url.replace(/sha256:[0-9a-f]{64}/, 'DIGEST')}`);
}

async function messageOf(promise: Promise<unknown>, code = 'dependency'): Promise<string> {
  const error: unknown = await promise.then(
    () => assert.fail('want an error'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ImagerError, String(error));
  assert.equal(error.code, code, error.message);
  return error.message;
}

describe('pulling', () => {
  test('a manifest by tag and by digest, and a blob', async () => {
    await withRegistry({}, async ({ registry, source }) => {
      const one = source();
      assert.equal(one.label, `${registry.host}/a/b`);
      const byTag = await one.manifest('v1');
      assert.deepEqual(byTag, {
        digest: digestOf(INDEX.manifest),
        mediaType: OCI_INDEX,
        raw: new Uint8Array(INDEX.manifest),
      });
      assert.deepEqual(await one.manifest(byTag.digest), byTag);
      await readAll(one);
      assert.deepEqual(paths(registry), [
        'GET /v2/',
        'GET /v2/a/b/manifests/v1',
        'GET /v2/a/b/manifests/DIGEST',
        'GET /v2/a/b/blobs/DIGEST',
      ]);
      const { accept, 'user-agent': agent } = registry.requests[1]!.headers;
      assert.equal(agent, 'bootwright');
      assert.match(accept!, /oci\.image\.index.*oci\.image\.manifest.*manifest\.list\.v2.*manifest\.v2/);
    });
  });

  test('the rest of a blob', async () => {
    await withRegistry({}, async ({ registry, source }) => {
      assert.equal((await readAll(source(), 299_999)).length, 1);
      assert.equal(registry.requests.at(-1)!.headers.range, 'bytes=299999-');
      const requests = registry.requests.length;
      const opened = await source().blob(LAYER_BLOB, LAYER.length);
      assert.equal(opened.from, LAYER.length);
      for await (const _ of opened.chunks) assert.fail('no bytes are left');
      assert.equal(registry.requests.length, requests);
      await messageOf(source().blob(LAYER_BLOB, LAYER.length + 1), 'invalid-input');
    });
  });

  test('an endpoint without ranges gives the whole blob', async () => {
    await withRegistry({ faults: [failing(/blobs/, { kind: 'ignore-range' })] }, async ({ source }) => {
      assert.equal((await readAll(source(), 1000)).length, LAYER.length);
    });
    for (const range of [
      'bytes 999-299999/300000',
      'bytes 1000-299999/300001',
      'bytes 1000-5000/300000',
      'items 1-2/3',
    ]) {
      const headers = { 'content-range': range };
      await withRegistry({ faults: [failing(/blobs/, { kind: 'headers', headers }, 1)] }, async ({ source }) => {
        assert.equal((await readAll(source(), 1000)).length, LAYER.length, range);
      });
    }
  });

  test('identifiers that are no tag and no digest never become a URL', async () => {
    await withRegistry({}, async ({ registry, source }) => {
      for (const identifier of ['../../x', 'a/b', '', 'a b', 'sha256:x', 'v1?x', `sha512:${'a'.repeat(128)}`]) {
        await messageOf(source().manifest(identifier), 'invalid-input');
      }
      assert.deepEqual(registry.requests, []);
    });
  });
});

describe('what a registry may not do', () => {
  const refusals: readonly (readonly [string, RegExp, Fault, RegExp, string?])[] = [
    [
      'other bytes than the digest asked for',
      /manifests/,
      { kind: 'corrupt', at: 20 },
      /manifest a\/b@sha256:\w+: served bytes have digest sha256:/,
      'verification',
    ],
    ['a manifest of 5 MiB', /manifests/, { kind: 'resize', by: 5 << 20 }, /answer of \d+ bytes, want at most 4194304/],
    [
      'a schema 1 manifest',
      /manifests/,
      {
        kind: 'headers',
        headers: { 'content-type': 'application/vnd.docker.distribution.manifest.v1+prettyjws; charset=utf-8' },
      },
      /schema 1/,
      'unsupported',
    ],
    ['a status that is no success', /manifests/, { kind: 'status', status: 204 }, /unexpected answer \(204\)/],
    [
      'a ping answered with 403',
      /\/v2\/$/,
      { kind: 'status', status: 403, body: '<html><b>Go away</b>' },
      /ping: forbidden \(403: Go away\)/,
    ],
    ['a redirect that never ends', /manifests/, { kind: 'redirect', to: (path) => path }, /more than 10 redirects/],
    [
      'a redirect to another scheme',
      /manifests/,
      { kind: 'redirect', to: () => 'file:///etc/passwd' },
      /redirects to file:\/\/, want https:\/\//,
    ],
    [
      'a redirect into another network',
      /manifests/,
      { kind: 'redirect', to: () => 'http://169.254.169.254/latest' },
      /redirects into a private network: 169\.254\.169\.254/,
    ],
    ['a redirect to nonsense', /manifests/, { kind: 'redirect', to: () => 'http://[' }, /redirects to no valid URL/],
  ];
  for (const [name, pattern, fault, message, code] of refusals) {
    test(name, async () => {
      await withRegistry({ faults: [failing(pattern, fault)] }, async ({ source }) => {
        assert.match(await messageOf(source().manifest(digestOf(INDEX.manifest)), code), message);
      });
    });
  }

  test('a blob longer or shorter than its descriptor', async () => {
    for (const by of [1, -1, 1000]) {
      await withRegistry({ faults: [failing(/blobs/, { kind: 'resize', by })] }, async ({ source }) => {
        assert.match(await messageOf(readAll(source())), /answer of \d+ bytes, want 300000/);
      });
    }
    const chunked = failing(/blobs/, { kind: 'headers', headers: { 'content-length': undefined } });
    await withRegistry({ faults: [chunked] }, async ({ source }) => {
      const read = async (size: number): Promise<number> => {
        let got = 0;
        for await (const part of (await source().blob({ ...LAYER_BLOB, size }, 0)).chunks) got += part.length;
        return got;
      };
      assert.equal(await read(300_000), 300_000);
      assert.match(await messageOf(read(299_999)), /more than its 299999 bytes were sent/);
    });
  });

  test('an unlimited error page', async () => {
    const fault: Fault = { kind: 'status', status: 404, body: 'x'.repeat(200_000) };
    await withRegistry({ faults: [failing(/manifests/, fault)] }, async ({ source }) => {
      const message = await messageOf(source().manifest('v1'));
      assert.match(message, /not found \(404/);
      assert.ok(message.length < 1000);
    });
  });

  test('another announced digest is reported, the computed one counts', async () => {
    const announced = `sha256:${'0'.repeat(64)}`;
    const headers = { 'docker-content-digest': announced };
    await withRegistry(
      { faults: [failing(/manifests/, { kind: 'headers', headers })] },
      async ({ registry, source }) => {
        const events: RegistryEvent[] = [];
        const { digest } = await source({ report: (event) => events.push(event) }).manifest('v1');
        assert.equal(digest, digestOf(INDEX.manifest));
        const what = 'manifest a/b:v1';
        assert.deepEqual(
          events.filter(({ kind }) => kind !== 'failed'),
          [
            { kind: 'digest-differs', what, endpoint: registry.host, announced },
            { kind: 'served', what, endpoint: registry.host },
          ],
        );
      },
    );
  });

  test('a manifest damaged on its way is asked for again', async () => {
    await withRegistry({ faults: [failing(/manifests/, { kind: 'corrupt', at: 77 }, 1)] }, async ({ source }) => {
      assert.equal((await source().manifest('v1')).digest, digestOf(INDEX.manifest));
    });
  });
});

describe('errors', () => {
  test('say what was asked, of whom, and what the registry said', async () => {
    await withRegistry({}, async ({ registry, source }) => {
      assert.equal(
        await messageOf(source().manifest('v2')),
        `${registry.host}: manifest a/b:v2: not found (404: MANIFEST_UNKNOWN: manifest unknown)`,
      );
      const missing = { ...LAYER_BLOB, digest: digestOf('other') };
      assert.match(
        await messageOf(source().blob(missing, 0)),
        /blob a\/b@sha256:\w{64}: not found \(404: BLOB_UNKNOWN/,
      );
    });
  });

  test('tell how many requests are allowed, where the registry says so', async () => {
    const headers = { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '0;w=21600', 'retry-after': '7200' };
    const fault: Fault = { kind: 'status', status: 429, headers, body: '{"errors":[{"code":"TOOMANYREQUESTS"}]}' };
    await withRegistry({ faults: [failing(/manifests/, fault)] }, async ({ registry, source }) => {
      await assert.rejects(source().manifest('v1'), {
        message: `${registry.host}: manifest a/b:v1: too many requests (429: TOOMANYREQUESTS, limit 100;w=21600)`,
        hint: 'log in, or try again after 7200',
      });
      assert.equal(registry.requests.length, 2, 'nobody waits for two hours');
    });
  });

  test('a login that is missing comes with a hint', async () => {
    await withRegistry({ auth: { kind: 'basic', user: 'u', password: 'p' } }, async ({ registry, source }) => {
      await assert.rejects(source().manifest('v1'), {
        code: 'dependency',
        message: `${registry.host}: manifest a/b:v1: not authorized (401: UNAUTHORIZED: authentication required)`,
        hint: `log in with \`docker login ${registry.host}\`, or give a credential helper in the docker configuration`,
      });
    });
  });

  test('rate limits and request numbers', async () => {
    const fault: Fault = {
      kind: 'status',
      status: 429,
      headers: { 'retry-after': '3600', 'x-request-id': 'abc-1' },
      body: '{"errors":[{"code":"TOOMANYREQUESTS","message":"slow\\ndown"}]}',
    };
    await withRegistry({ faults: [failing(/manifests/, fault)] }, async ({ registry, clock, source }) => {
      await assert.rejects(source().manifest('v1'), {
        message: `${registry.host}: manifest a/b:v1: too many requests (429: TOOMANYREQUESTS: slow down, request abc-1)`,
        hint: 'log in, or try again after 3600',
      });
      assert.deepEqual(clock.pauses, []);
    });
  });
});

describe('trying again', () => {
  test('passing statuses, with growing pauses', async () => {
    for (const status of [408, 429, 500, 502, 503, 504]) {
      await withRegistry(
        { faults: [failing(/manifests/, { kind: 'status', status }, 2)] },
        async ({ clock, source }) => {
          await source().manifest('v1');
          assert.deepEqual(clock.pauses, [1000, 3000]);
        },
      );
    }
  });

  test('by chance sooner or later', async () => {
    for (const [random, pause] of [
      [0, 500],
      [0.999, 1499],
    ] as const) {
      const faults = [failing(/manifests/, { kind: 'status', status: 503 }, 1)];
      await withRegistry({ faults }, async ({ clock, source }) => {
        await source({ random: () => random }).manifest('v1');
        assert.deepEqual(clock.pauses.map(Math.floor), [pause]);
      });
    }
  });

  test('not beyond the time budget', async () => {
    const faults = [failing(/manifests/, { kind: 'status', status: 503 })];
    await withRegistry({ faults }, async ({ clock, source }) => {
      assert.match(await messageOf(source({ budget: 2500, tries: 9 }).manifest('v1')), /503/);
      assert.deepEqual(clock.pauses, [1000]);
    });
  });

  test('an endpoint that never answers ends with the time budget', async () => {
    await withRegistry({ faults: [failing(/manifests/, { kind: 'stall', after: 0 })] }, async ({ registry }) => {
      const name = { registry: registry.host, repository: 'a/b' };
      const started = performance.now();
      const message = await messageOf(registrySource(platform, name, { budget: 200 }).manifest('v1'));
      assert.match(message, /manifest a\/b:v1: no answer in 1 s/);
      assert.ok(performance.now() - started < 2000);
    });
  });

  test('gives up after the tries', async () => {
    await withRegistry(
      { faults: [failing(/manifests/, { kind: 'status', status: 503 })] },
      async ({ registry, source }) => {
        assert.match(await messageOf(source().manifest('v1')), /the server failed \(503/);
        assert.equal(registry.requests.length, 4);
      },
    );
  });

  test('never on what will not pass', async () => {
    for (const status of [400, 401, 403, 404, 501]) {
      await withRegistry(
        { faults: [failing(/manifests/, { kind: 'status', status })] },
        async ({ registry, source }) => {
          await messageOf(source().manifest('v1'));
          assert.equal(registry.requests.length, 2);
        },
      );
    }
  });

  test('waits as long as the server asks, in seconds or until a date', async () => {
    const date = (at: number): string => new Date(Date.UTC(2026, 0, 1, 12, 0, at)).toUTCString();
    for (const headers of [{ 'retry-after': '7' }, { 'retry-after': date(8), date: date(1) }]) {
      const fault: Fault = { kind: 'status', status: 429, headers };
      await withRegistry({ faults: [failing(/manifests/, fault, 1)] }, async ({ clock, source }) => {
        await source().manifest('v1');
        assert.deepEqual(clock.pauses, [7000]);
      });
    }
  });

  test('a connection that breaks before or in the answer', async () => {
    for (const fault of [{ kind: 'reset' }, { kind: 'truncate', after: 10 }] satisfies Fault[]) {
      await withRegistry({ faults: [failing(/manifests/, fault, 2)] }, async ({ clock, source }) => {
        await source().manifest('v1');
        assert.deepEqual(clock.pauses, [1000, 3000]);
      });
    }
  });

  test('a blob goes on where it broke', async () => {
    await withRegistry(
      { faults: [failing(/blobs/, { kind: 'truncate', after: 100_000 }, 2)] },
      async ({ registry, source }) => {
        await readAll(source());
        const ranges = registry.requests.filter(({ url }) => url.includes('blobs')).map(({ headers }) => headers.range);
        assert.equal(ranges.length, 3);
        assert.equal(ranges[0], undefined);
        assert.ok(
          ranges.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range!)),
          ranges.join(),
        );
      },
    );
  });

  test('a blob goes on although the endpoint starts over', async () => {
    const faults = [
      failing(/blobs/, { kind: 'truncate', after: 200_000 }, 1),
      failing(/blobs/, { kind: 'ignore-range' }),
    ];
    await withRegistry({ faults }, async ({ source }) => {
      await readAll(source());
    });
  });

  test('a blob that always breaks is given up', async () => {
    await withRegistry(
      { faults: [failing(/blobs/, { kind: 'truncate', after: 10 })] },
      async ({ registry, source }) => {
        await messageOf(readAll(source()));
        assert.equal(registry.requests.filter(({ url }) => url.includes('blobs')).length, 3);
      },
    );
  });

  test('a connection that stalls', async () => {
    await withRegistry({ faults: [failing(/blobs/, { kind: 'stall', after: 100_000 }, 1)] }, async ({ source }) => {
      await readAll(source({ stallTimeout: 300 }));
    });
  });
});

test('whatever breaks, the outcome is the right bytes or an ImagerError, after few requests', async () => {
  const anything: readonly Fault[] = [
    { kind: 'status', status: 503 },
    { kind: 'status', status: 401, headers: { 'www-authenticate': 'Bearer realm="http://127.0.0.1:1/",Basic' } },
    { kind: 'reset' },
    { kind: 'truncate', after: 0 },
    { kind: 'truncate', after: 123_456 },
    { kind: 'resize', by: -5 },
    { kind: 'resize', by: 5 },
    { kind: 'ignore-range' },
    { kind: 'redirect', to: (path) => path },
    { kind: 'headers', headers: { 'content-length': undefined, 'content-type': undefined } },
    { kind: 'headers', headers: { 'content-range': 'bytes 0-0/1', 'docker-content-digest': 'sha256:x' } },
  ];
  const outcomes = { good: 0, bad: 0 };
  for (let seed = 1; seed <= 40; seed++) {
    await withRegistry({ faults: [failingAtRandom(seed, 0.5, /v2/, anything)] }, async ({ registry, source }) => {
      try {
        const one = source();
        await one.manifest(digestOf(INDEX.manifest));
        await readAll(one, seed);
        outcomes.good++;
      } catch (error) {
        assert.ok(error instanceof ImagerError, String(error));
        outcomes.bad++;
      }
      assert.ok(registry.requests.length < 60, `${registry.requests.length} requests`);
    });
  }
  assert.ok(outcomes.good > 5 && outcomes.bad > 5, JSON.stringify(outcomes));
});

describe('stopping', () => {
  test('one request does not take the ping of another with it', async () => {
    await withRegistry({ faults: [failing(/v2\/$/, { kind: 'stall', after: 0 }, 1)] }, async ({ source }) => {
      const one = source();
      const stopped = one.manifest('v1', AbortSignal.timeout(50));
      const other = one.manifest('v1');
      await messageOf(stopped, 'canceled');
      await other;
    });
  });

  test('before, during and while waiting', async () => {
    await withRegistry({ faults: [failing(/blobs/, { kind: 'stall', after: 1000 })] }, async ({ registry, source }) => {
      const gone = AbortSignal.abort();
      await messageOf(source().manifest('v1', gone), 'canceled');
      assert.deepEqual(registry.requests, []);
      const controller = new AbortController();
      const reading = readAll(source(), 0, controller.signal);
      setTimeout(() => controller.abort(), 100);
      await messageOf(reading, 'canceled');
    });
    const registry = await startRegistry({ faults: [failing(/manifests/, { kind: 'status', status: 503 })] });
    const source = registrySource(platform, { registry: registry.host, repository: 'a/b' });
    const started = performance.now();
    await messageOf(source.manifest('v1', AbortSignal.timeout(100)), 'canceled');
    assert.ok(performance.now() - started < 900);
    await registry.close();
  });

  test('a reader that leaves early frees the connection', async () => {
    await withRegistry({ faults: [failing(/blobs/, { kind: 'stall', after: 1000 })] }, async ({ source }) => {
      for await (const part of (await source().blob(LAYER_BLOB, 0)).chunks) {
        assert.ok(part.length > 0);
        break;
      }
    });
  });
});

describe('authorization', () => {
  const user = { kind: 'basic', user: 'u', password: 'p:q' } as const;

  test('basic, on every request to the registry', async () => {
    await withRegistry({ auth: { kind: 'basic', user: 'u', password: 'p:q' } }, async ({ registry, source }) => {
      const one = source({ credentials: { [registry.host]: user } });
      await one.manifest('v1');
      await readAll(one);
      assert.equal(registry.requests[0]!.headers.authorization, undefined);
      assert.ok(registry.requests.slice(1).every(({ headers }) => headers.authorization === 'Basic dTpwOnE='));
    });
  });

  test('one token for all requests, anonymous or for a user', async () => {
    for (const credential of [undefined, user]) {
      const login = credential === undefined ? {} : { user: 'u', password: 'p:q' };
      await withRegistry({ auth: { kind: 'bearer', ...login } }, async ({ registry, source }) => {
        const one = source(credential === undefined ? {} : { credentials: { [registry.host]: credential } });
        await one.manifest('v1');
        await Promise.all([readAll(one), readAll(one), readAll(one)]);
        const tokens = registry.requests.filter(({ url }) => url.startsWith('/token'));
        assert.deepEqual(
          tokens.map(({ url }) => url),
          ['/token?scope=repository%3Aa%2Fb%3Apull&service=test'],
        );
      });
    }
  });

  test('an identity token is exchanged, with and without POST', async () => {
    for (const noPost of [false, true]) {
      await withRegistry({ auth: { kind: 'bearer', identityToken: 'IDT', noPost } }, async ({ registry, source }) => {
        const credentials = { [registry.host]: { kind: 'identity-token', user: '', token: 'IDT' } as const };
        await source({ credentials }).manifest('v1');
        const tokens = registry.requests.filter(({ url }) => url.startsWith('/token')).map(({ method }) => method);
        assert.deepEqual(tokens, noPost ? ['POST', 'GET'] : ['POST']);
      });
    }
  });

  test('a registry token is shown as it is', async () => {
    await withRegistry({ auth: { kind: 'bearer' } }, async ({ registry, source }) => {
      const credentials = { [registry.host]: { kind: 'registry-token', token: 'RT' } as const };
      await messageOf(source({ credentials }).manifest('v1'));
      assert.deepEqual(paths(registry), ['GET /v2/', 'GET /v2/a/b/manifests/v1']);
      assert.equal(registry.requests[1]!.headers.authorization, 'Bearer RT');
    });
  });

  test('a token refused in use is replaced, once per request', async () => {
    await withRegistry({ auth: { kind: 'bearer', expiresAfter: 2 } }, async ({ registry, source }) => {
      const one = source();
      for (let round = 0; round < 6; round++) await one.manifest('v1');
      assert.equal(registry.requests.filter(({ url }) => url.startsWith('/token')).length, 3);
    });
    await withRegistry({ auth: { kind: 'bearer', expiresAfter: 0 } }, async ({ registry, source }) => {
      assert.match(await messageOf(source().manifest('v1')), /not authorized \(401/);
      assert.equal(registry.requests.filter(({ url }) => url.startsWith('/token')).length, 2);
    });
  });

  test('a token is replaced before it ends', async () => {
    await withRegistry({ auth: { kind: 'bearer', expiresIn: 60 } }, async ({ registry, clock, source }) => {
      const one = source();
      await one.manifest('v1');
      await clock.sleep(51_000);
      await one.manifest('v1');
      assert.equal(registry.requests.filter(({ url }) => url.startsWith('/token')).length, 2);
    });
  });

  test('a wrong password is told as such, without it', async () => {
    await withRegistry({ auth: { kind: 'bearer', user: 'u', password: 'x' } }, async ({ registry, source }) => {
      const message = await messageOf(source({ credentials: { [registry.host]: user } }).manifest('v1'));
      assert.match(
        message,
        /token for repository:a\/b:pull: not authorized \(401: UNAUTHORIZED: wrong user or password\)/,
      );
      assert.doesNotMatch(message, /p:q|dTpwOnE/);
    });
  });

  test('bad token answers', async () => {
    for (const [body, wish] of [
      ['{}', /answer without a token/],
      ['no json', /answer without a token/],
      ['{"token":"a\\r\\nX-Evil: 1"}', /token of characters no header takes/],
      ['x'.repeat(70_000), /answer of 70000 bytes, want at most 65536/],
    ] as const) {
      const fault: Fault = { kind: 'status', status: 200, body };
      await withRegistry({ auth: { kind: 'bearer' }, faults: [failing(/token/, fault)] }, async ({ source }) => {
        assert.match(await messageOf(source().manifest('v1')), wish);
      });
    }
  });

  test('nothing is shown to another host, not even another port', async () => {
    const storage = await startRegistry();
    storage.serve('a/b', 'v1', INDEX);
    const fault: Fault = { kind: 'redirect', to: (path) => `${storage.url}${path}?X-Signature=s` };
    for (const auth of [{ kind: 'basic', user: 'u', password: 'p:q' }, { kind: 'bearer' }] as const) {
      await withRegistry({ auth, faults: [failing(/blobs/, fault)] }, async ({ registry, source }) => {
        await readAll(source({ credentials: { [registry.host]: user } }), 100);
        const last = storage.requests.at(-1)!;
        assert.match(last.url, /X-Signature=s$/);
        assert.equal(last.headers.authorization, undefined);
        assert.equal(last.headers.range, 'bytes=100-');
      });
    }
    await storage.close();
  });
});

describe('mirrors', () => {
  async function twoRegistries(
    options: readonly [TestRegistryOptions, TestRegistryOptions],
    run: (mirror: TestRegistry, origin: Setup, events: RegistryEvent[], source: ImageSource) => Promise<void>,
  ): Promise<void> {
    const mirror = await startRegistry(options[0]);
    mirror.serve('a/b', 'v1', INDEX);
    try {
      await withRegistry(options[1], async (origin) => {
        const mirrors = parseMirrors([`${origin.registry.host}=${mirror.url}`]);
        const events: RegistryEvent[] = [];
        await run(mirror, origin, events, origin.source({ mirrors, report: (event) => events.push(event) }));
      });
    } finally {
      await mirror.close();
    }
  }

  test('serve first, told which registry they stand for', async () => {
    await twoRegistries([{}, {}], async (mirror, { registry }, events, source) => {
      await source.manifest('v1');
      await readAll(source);
      assert.deepEqual(registry.requests, []);
      const ns = encodeURIComponent(registry.host);
      assert.deepEqual(paths(mirror), [
        'GET /v2/',
        `GET /v2/a/b/manifests/v1?ns=${ns}`,
        `GET /v2/a/b/blobs/DIGEST?ns=${ns}`,
      ]);
      assert.deepEqual(
        events.map((event) => [event.kind, event.endpoint]),
        [
          ['served', mirror.host],
          ['served', mirror.host],
        ],
      );
    });
  });

  test('any refusal asks the next one, which then serves the blobs too', async () => {
    for (const fault of [
      { kind: 'status', status: 404 },
      { kind: 'status', status: 503 },
      { kind: 'corrupt', at: 9 },
    ] satisfies Fault[]) {
      await twoRegistries([{ faults: [failing(/manifests/, fault)] }, {}], async (mirror, _, events, source) => {
        await source.manifest(digestOf(INDEX.manifest));
        await readAll(source);
        assert.equal(events[0]?.kind, 'failed');
        assert.ok(paths(mirror).every((path) => !path.includes('blobs')));
      });
    }
  });

  test('a blob broken on one goes on at the other', async () => {
    const faults = [
      failing(/blobs/, { kind: 'truncate', after: 100_000 }, 1),
      failing(/blobs/, { kind: 'status', status: 404 }),
    ];
    await twoRegistries([{ faults }, {}], async (_, { registry }, __, source) => {
      await readAll(source);
      assert.match(registry.requests.at(-1)!.headers.range ?? '', /^bytes=\d+-$/);
    });
  });

  test('a damaged manifest of a tag is not taken where another endpoint has it right', async () => {
    await twoRegistries(
      [{ faults: [failing(/manifests/, { kind: 'corrupt', at: 77 })] }, {}],
      async (_, __, ___, source) => {
        assert.equal((await source.manifest('v1')).digest, digestOf(INDEX.manifest));
      },
    );
  });

  test('a page for people is no manifest', async () => {
    const portal: Fault = { kind: 'status', status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' };
    await twoRegistries([{ faults: [failing(/manifests/, portal)] }, {}], async (_, __, events, source) => {
      assert.equal((await source.manifest('v1')).digest, digestOf(INDEX.manifest));
      assert.match(events[0]?.kind === 'failed' ? events[0].reason : '', /page for people/);
    });
  });

  for (const [title, fault] of [
    ['breaks each time', { kind: 'truncate', after: 70_000 }],
    ['stalls', { kind: 'stall', after: 70_000 }],
    ['sends next to nothing', { kind: 'trickle', piece: 5, pause: 10 }],
    ['sends too much', { kind: 'headers', headers: { 'content-length': undefined } }],
    ['does not answer', { kind: 'stall', after: 0 }],
  ] as const) {
    test(`a blob comes from the next endpoint where the first ${title}`, async () => {
      const more = title === 'sends too much' ? [failing(/blobs/, { kind: 'resize', by: 7 })] : [];
      await twoRegistries([{ faults: [...more, failing(/blobs/, fault)] }, {}], async (mirror, { registry }) => {
        const mirrors = parseMirrors([`${registry.host}=${mirror.url}`]);
        const options = { mirrors, stallTimeout: 200, budget: 3000 };
        await readAll(registrySource(platform, { registry: registry.host, repository: 'a/b' }, options));
      });
    });
  }

  test('wrong bytes are rejected with who sent them', async () => {
    await twoRegistries(
      [{ faults: [failing(/blobs/, { kind: 'corrupt', at: 9 })] }, {}],
      async (_, __, ___, source) => {
        await assert.rejects(readAll(source));
        assert.equal(source.reject!(LAYER_BLOB.digest), true);
        await readAll(source);
        assert.equal(source.reject!(LAYER_BLOB.digest), false);
        await assert.rejects(readAll(source), { code: 'dependency', message: /every endpoint has sent it wrong/ });
      },
    );
  });

  test('where parts of several came out wrong, all must come from one', async () => {
    const mirror = [failing(/blobs/, { kind: 'truncate', after: 100_000 }, 1)];
    const origin = [failing(/blobs/, { kind: 'corrupt', at: 9 })];
    await twoRegistries([{ faults: mirror }, { faults: origin }], async (_, { registry }, __, source) => {
      await assert.rejects(readAll(source), { code: 'ERR_ASSERTION' });
      assert.equal(source.reject!(LAYER_BLOB.digest), true);
      const asked = registry.requests.length;
      await readAll(source);
      assert.equal(registry.requests.length, asked, 'the mirror had it right');
    });
  });

  test('when all fail, each one is listed with its reason', async () => {
    await twoRegistries(
      [{ faults: [failing(/manifests/, { kind: 'status', status: 502 })] }, {}],
      async (mirror, { registry }, _, source) => {
        await mirror.close();
        const message = await messageOf(source.manifest('v2'));
        const [first, second, third] = message.split('\n');
        assert.equal(first, `${registry.host}/a/b: manifest a/b:v2: not served by any of 2 endpoints:`);
        assert.match(second!, new RegExp(`^  ${mirror.host}: .*ECONNREFUSED`));
        assert.equal(third, `  ${registry.host}: manifest a/b:v2: not found (404: MANIFEST_UNKNOWN: manifest unknown)`);
      },
    );
  });

  test('credentials are those of the endpoint', async () => {
    const auth = { kind: 'basic', user: 'u', password: 'p' } as const;
    const mirror = await startRegistry({ auth });
    mirror.serve('a/b', 'v1', INDEX);
    const options = { mirrors: parseMirrors([`ghcr.io=${mirror.url}`]), tries: 1 };
    const login = { kind: 'basic', user: 'u', password: 'p' } as const;
    const name = { registry: 'ghcr.io', repository: 'a/b' };
    /** The registry itself is out of reach here. */
    const offline: Platform = {
      ...platform,
      http: (request) =>
        request.url.startsWith(mirror.url)
          ? platform.http(request)
          : Promise.reject(new ImagerError('dependency', 'ghcr.io: unreachable')),
    };
    await registrySource(offline, name, { ...options, credentials: { [mirror.host]: login } }).manifest('v1');
    await messageOf(registrySource(offline, name, { ...options, credentials: { 'ghcr.io': login } }).manifest('v1'));
    await mirror.close();
  });

  test('a path of its own is used as written, and not pinged', async () => {
    await withRegistry({}, async ({ registry }) => {
      registry.serve('proxy/a/b', 'v1', INDEX);
      const endpoints = [{ url: `${registry.url}/v2/proxy`, overridePath: true }];
      const mirrors = { 'ghcr.io': { endpoints, skipFallback: true } };
      const source = registrySource(platform, { registry: 'ghcr.io', repository: 'a/b' }, { mirrors });
      await source.manifest('v1');
      assert.deepEqual(paths(registry), ['GET /v2/proxy/a/b/manifests/v1?ns=ghcr.io']);
    });
  });

  test('an entry without endpoints and fallback is an error before any request', async () => {
    const mirrors = { 'ghcr.io': { endpoints: [], skipFallback: true } };
    const source = registrySource(platform, { registry: 'ghcr.io', repository: 'a/b' }, { mirrors });
    await messageOf(source.manifest('v1'), 'invalid-input');
  });
});

describe('TLS', () => {
  test('an unknown certificate is refused with a hint, and taken when the registry is marked', async () => {
    await withRegistry({ tls: true }, async ({ registry, source }) => {
      await assert.rejects(source().manifest('v1'), (error) => {
        assert.ok(error instanceof ImagerError && error.code === 'dependency');
        assert.match(error.hint ?? '', /CA bundle/);
        return true;
      });
      assert.deepEqual(registry.requests, []);
      await source({ insecure: true }).manifest('v1');
      assert.deepEqual(paths(registry), ['GET /v2/', 'GET /v2/a/b/manifests/v1']);
    });
  });

  test('what is meant for the endpoint alone is not shown where it redirects to', async () => {
    const storage = await startRegistry();
    storage.serveBlob(LAYER);
    const fault: Fault = { kind: 'redirect', to: (path) => `${storage.url}${path}` };
    await withRegistry({ faults: [failing(/blobs/, fault)] }, async ({ registry }) => {
      const shown: (readonly [string, boolean, boolean])[] = [];
      const watching: Platform = {
        ...platform,
        http: (request) => {
          const { url, clientCertificate, headers, ca } = request;
          shown.push([new URL(url).host, clientCertificate !== undefined, headers?.['x-key'] !== undefined]);
          assert.equal(ca, 'CA', 'authorities are trusted all the way');
          const { clientCertificate: _, ca: __, ...rest } = request;
          return platform.http(rest);
        },
      };
      const clientCertificate = { certificate: 'CERT', key: 'KEY' };
      const self = { clientCertificate, headers: { 'x-key': 'hidden' }, ca: 'CA' };
      const mirrors = { [registry.host]: { endpoints: [{ url: registry.url, ...self }], skipFallback: true } };
      await readAll(registrySource(watching, { registry: registry.host, repository: 'a/b' }, { mirrors }));
      assert.deepEqual(shown, [
        [registry.host, true, true],
        [registry.host, true, true],
        [storage.host, false, false],
      ]);
    });
    await storage.close();
  });

  test('what is meant for the endpoint is shown to it where it is written with the port of its scheme', async () => {
    const shown: [string, boolean, boolean, number | undefined][] = [];
    const answering: Pick<Platform, 'http'> = {
      async http({ url, clientCertificate, headers, stallTimeout }) {
        shown.push([url, clientCertificate !== undefined, headers?.['x-key'] !== undefined, stallTimeout]);
        return { status: 200, headers: {}, body: (async function* () {})(), discard: async () => undefined };
      },
    };
    const settings = { clientCertificate: { certificate: 'CERT', key: 'KEY' }, headers: { 'x-key': 'hidden' } };
    const endpoint: Endpoint = {
      schemes: ['https'],
      host: 'r.example:443',
      path: '/v2',
      mirrorOf: undefined,
      settings,
    };
    const session = openSession(
      answering,
      endpoint,
      'a/b',
      { scheme: 'https', challenge: undefined },
      {
        insecure: false,
        tries: 1,
        clock: fakeClock(),
        random: () => 0,
        budget: 1000,
        tokens: new TokenCache(fakeClock()),
        stallTimeout: 90_000,
        userAgent: 'test',
        credential: async () => undefined,
      },
    );
    await session.send({ method: 'GET', url: session.url('manifests/v1') });
    await session.send({ method: 'PUT', url: session.url('blobs/uploads/1'), stallTimeout: 600_000 });
    await session.send({ method: 'GET', url: 'https://r.example:444/v2/' });
    assert.deepEqual(shown, [
      ['https://r.example/v2/a/b/manifests/v1', true, true, 90_000],
      ['https://r.example/v2/a/b/blobs/uploads/1', true, true, 600_000],
      ['https://r.example:444/v2/', false, false, 90_000],
    ]);
  });

  test('only a marked registry may redirect to plain HTTP', async () => {
    const storage = await startRegistry();
    storage.serveBlob(LAYER);
    const fault: Fault = { kind: 'redirect', to: (path) => `${storage.url}${path}` };
    await withRegistry({ tls: true, faults: [failing(/blobs/, fault)] }, async ({ registry, source }) => {
      await readAll(source({ insecure: true }));
      const trusting: Platform = {
        ...platform,
        http: (request) => platform.http({ ...request, ca: registry.certificate! }),
      };
      const name = { registry: registry.host, repository: 'a/b' };
      await assert.rejects(registrySource(trusting, name).blob(LAYER_BLOB, 0), {
        message: `${registry.host}: redirects to plain HTTP on ${storage.host}, want https://`,
        hint: `mark ${registry.host} with --insecure if that is meant`,
      });
    });
    await storage.close();
  });

  test('a name of no loopback address is never asked over plain HTTP unless marked', async () => {
    const urls: string[] = [];
    const deaf: Platform = {
      ...platform,
      http: (request) => {
        urls.push(request.url);
        return Promise.reject(new ImagerError('dependency', 'deaf'));
      },
    };
    for (const insecure of [false, true]) {
      const name = { registry: '10.5.0.1:5000', repository: 'a/b' };
      await messageOf(registrySource(deaf, name, { insecure, tries: 1 }).manifest('v1'));
    }
    assert.deepEqual(urls, ['https://10.5.0.1:5000/v2/', 'https://10.5.0.1:5000/v2/', 'http://10.5.0.1:5000/v2/']);
  });
});
