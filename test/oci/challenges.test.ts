import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { maySendTo, nearRangeOf } from '../../src/oci/registry/address.ts';
import { TokenCache } from '../../src/oci/registry/authorization.ts';
import { chooseChallenge, parseChallenges } from '../../src/oci/registry/challenge.ts';
import { type Credential, parseAuth } from '../../src/oci/registry/docker-config.ts';
import { registrySource } from '../../src/oci/registry/registry.ts';
import type { Token } from '../../src/oci/registry/token.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { HttpRequest, HttpResponse } from '../../src/platform/types.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

interface Case {
  readonly id: string;
  readonly headers: readonly string[];
  readonly host: string;
  readonly status: number;
  readonly token: string;
  readonly repository: string;
  readonly creds?: Readonly<Record<'username' | 'password' | 'identitytoken' | 'registrytoken' | 'auth', string>>;
  readonly upstream: {
    readonly ping: {
      readonly scheme?: string;
      readonly parameters?: Readonly<Record<string, string>> | null;
      readonly error?: string;
    };
    readonly requests: readonly {
      readonly method: string;
      readonly url: string;
      readonly authorization?: string;
      readonly body?: string;
    }[];
    readonly transport?: { readonly error: string };
  };
}

const CASES = vectorLines<Case>('oci/challenges.jsonl.gz');

/** Challenges we read otherwise than upstream. The requests that follow are the same. */
const READ_DIFFERENTLY: Readonly<Record<string, string>> = {
  'ch-negotiate-basic-one-line': 'several challenges in one header are split',
  'ch-bearer-unquoted': 'an unquoted URL is broken, what follows its comma is not',
  'ch-bearer-empty-realm': 'a parameter with an empty value is one, and does not end the list',
};

/** Where we stop earlier than upstream. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  'ch-bearer-realm-localhost': /token realm "https:\/\/localhost\/token": want no address of a private network/,
};

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly authorization?: string;
  readonly body?: string;
}

function answer(status: number, headers: Readonly<Record<string, readonly string[]>>, text = ''): HttpResponse {
  return {
    status,
    headers,
    body: (async function* () {
      yield new TextEncoder().encode(text);
    })(),
    discard: async () => undefined,
  };
}

function credentialOf(creds: Case['creds']): Credential | undefined {
  if (creds === undefined) return undefined;
  if (creds.registrytoken !== undefined) return { kind: 'registry-token', token: creds.registrytoken };
  if (creds.identitytoken !== undefined)
    return { kind: 'identity-token', user: creds.username, token: creds.identitytoken };
  if (creds.auth !== undefined) return parseAuth(creds.auth, 'auth');
  return { kind: 'basic', user: creds.username, password: creds.password };
}

/** Pulls `a/b:latest` from a registry that answers as the case says, and lists the requests. */
async function pull(one: Case): Promise<{ readonly requests: Seen[]; readonly error: unknown }> {
  const requests: Seen[] = [];
  const http = async (request: HttpRequest): Promise<HttpResponse> => {
    const { method, url, headers, body } = request;
    requests.push({
      method,
      url,
      ...(headers?.authorization === undefined ? {} : { authorization: headers.authorization }),
      ...(body === undefined ? {} : { body: new TextDecoder().decode(body as Uint8Array) }),
    });
    const { host, pathname } = new URL(url);
    if (host === one.host && pathname === '/v2/') return answer(one.status, { 'www-authenticate': one.headers });
    if (host === one.host && pathname.startsWith('/v2/')) return answer(200, {}, '{}');
    return answer(200, {}, one.token);
  };
  const credential = credentialOf(one.creds);
  const source = registrySource(
    { ...nodePlatform({ HOME: '/nonexistent' }), http },
    { registry: one.host, repository: one.repository },
    { tries: 1, ...(credential === undefined ? {} : { credentials: { [one.host]: credential } }) },
  );
  const error = await source.manifest('latest').then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { requests, error };
}

describe('challenges as upstream answers them', () => {
  for (const one of CASES) {
    test(one.id, async () => {
      const { ping, transport } = one.upstream;
      const chosen = chooseChallenge(parseChallenges(one.headers));
      if (ping.scheme === 'bearer' || ping.scheme === 'basic') {
        if (one.id in READ_DIFFERENTLY) assert.notDeepEqual(chosen?.parameters, ping.parameters);
        else assert.deepEqual({ ...chosen }, { scheme: ping.scheme, parameters: ping.parameters });
      } else if (one.status === 401) {
        assert.equal(chosen?.scheme, one.id in READ_DIFFERENTLY ? 'basic' : undefined);
      }

      const { requests, error } = await pull(one);
      const refused = REFUSED[one.id];
      const expected = one.upstream.requests.map(({ url, body, ...rest }) => ({
        ...rest,
        // A fragment never reaches a server.
        url: url.replace(/#.*/, ''),
        ...(body === undefined ? {} : { body: body.replace('go-containerregistry', 'bootwright') }),
      }));
      assert.deepEqual(requests, refused === undefined ? expected : expected.slice(0, 1));
      if (refused !== undefined) assert.match(String(error), refused);
      else assert.equal(error !== undefined, transport !== undefined || ping.error !== undefined, String(error));
      if (error !== undefined) assert.equal((error as { code?: unknown }).code, 'dependency');
    });
  }
});

describe('parseChallenges', () => {
  test('splits several challenges in one header, with and without parameters', () => {
    const header =
      'Negotiate, Digest realm="a, b", nonce="n\\"q", Custom abc==, Bearer realm = "https://h/t" , service=s,Basic realm="x"';
    assert.deepEqual(parseChallenges([header]), [
      { scheme: 'negotiate', parameters: {} },
      { scheme: 'digest', parameters: { realm: 'a, b', nonce: 'n"q' } },
      { scheme: 'custom', parameters: {} },
      { scheme: 'bearer', parameters: { realm: 'https://h/t', service: 's' } },
      { scheme: 'basic', parameters: { realm: 'x' } },
    ]);
  });

  test('a parameter may have any name', () => {
    const [challenge] = parseChallenges(['Bearer __proto__="x",constructor="y",realm="z"']);
    assert.deepEqual(Object.entries(challenge!.parameters), [
      ['__proto__', 'x'],
      ['constructor', 'y'],
      ['realm', 'z'],
    ]);
  });

  test('any header is read, in time that grows with its length', () => {
    const pieces = [
      'Bearer',
      'Basic',
      'realm',
      '=',
      '"',
      '\\',
      ',',
      ' ',
      '\t',
      'a',
      '==',
      'https://h/t',
      '\u0000',
      'ü',
    ];
    const header = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.array(fc.constantFrom(...pieces), { maxLength: 30 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(fc.array(header, { maxLength: 3 }), (headers) => {
        for (const { scheme, parameters } of parseChallenges(headers)) {
          assert.match(scheme, /^[!#$%&'*+.^_`|~0-9a-z-]+$/);
          for (const name of Object.keys(parameters)) assert.equal(name, name.toLowerCase());
        }
      }),
      { numRuns: FUZZ_RUNS, seed: 7 },
    );
    const started = performance.now();
    for (const piece of ['a', 'a ', 'a=', 'a,', '"', '\\"', '=', ' ', 'a="', 'a=b,', 'Basic a '])
      parseChallenges([piece.repeat(100_000)]);
    assert.ok(performance.now() - started < 1000);
  });
});

test('addresses: what is on this machine or its network', () => {
  const ranges: Readonly<Record<string, string | undefined>> = {
    localhost: 'loopback',
    'a.localhost': 'loopback',
    'localhost.': 'loopback',
    '127.0.0.1': 'loopback',
    '127.9.9.9': 'loopback',
    '[::1]': 'loopback',
    '10.0.0.1': 'private',
    '172.16.0.1': 'private',
    '172.31.255.255': 'private',
    '192.168.1.1': 'private',
    '100.64.0.1': 'private',
    '[fd00::1]': 'private',
    '[fc12::]': 'private',
    '169.254.169.254': 'link-local',
    '[fe80::1]': 'link-local',
    '[febf::1]': 'link-local',
    '0.0.0.0': 'reserved',
    '255.255.255.255': 'reserved',
    '224.0.0.1': 'reserved',
    '[::]': 'reserved',
    '[ff02::1]': 'reserved',
    '[::ffff:7f00:1]': 'loopback',
    '[::ffff:a00:1]': 'private',
    '[64:ff9b::a9fe:a9fe]': 'link-local',
    '[::7f00:1]': 'loopback',
    '8.8.8.8': undefined,
    '172.32.0.1': undefined,
    '172.15.0.1': undefined,
    '100.128.0.1': undefined,
    '[2001:db8::1]': undefined,
    '[::ffff:808:808]': undefined,
    '[fec0::1]': undefined,
    'example.com': undefined,
    'localhost.example': undefined,
    '10.example': undefined,
  };
  for (const [hostname, range] of Object.entries(ranges)) assert.equal(nearRangeOf(hostname), range, hostname);
  // `URL` turns every other spelling into one of these.
  for (const spelling of ['0x7f.1', '2130706433', '017700000001', '[0:0::1]', '[::127.0.0.1]', 'LOCALHOST']) {
    assert.equal(nearRangeOf(new URL(`https://${spelling}/`).hostname), 'loopback', spelling);
  }
});

test('a registry sends us into a special range only from the same one', () => {
  const may = (from: string, to: string): boolean => maySendTo(new URL(from), new URL(to));
  assert.ok(may('https://r.example', 'https://cdn.example'));
  assert.ok(may('http://10.5.0.1:6000', 'http://10.9.0.1:9000'));
  assert.ok(may('http://localhost:5000', 'http://127.0.0.1:5001'));
  assert.ok(!may('https://r.example', 'https://10.5.0.1'));
  assert.ok(!may('https://r.example', 'https://localhost'));
  assert.ok(!may('http://10.5.0.1:6000', 'http://127.0.0.1:6000'));
  assert.ok(!may('http://10.5.0.1:6000', 'http://169.254.169.254'));
  assert.ok(!may('http://127.0.0.1:5000', 'http://10.5.0.1'));
});

describe('TokenCache', () => {
  const time = { at: 0 };
  const clock = { now: () => time.at, sleep: async () => undefined };
  const counting = (lifetime: number): { readonly fetch: () => Promise<Token>; calls: number } => {
    const counter = {
      calls: 0,
      fetch: async () => ({ value: `t${++counter.calls}`, lifetime }),
    };
    return counter;
  };

  test('one token serves until shortly before its end', async () => {
    time.at = 0;
    const cache = new TokenCache(clock);
    const server = counting(60);
    assert.equal(await cache.get('a', server.fetch), 't1');
    time.at = 49_000;
    assert.equal(await cache.get('a', server.fetch), 't1');
    time.at = 51_000;
    assert.equal(await cache.get('a', server.fetch), 't2');
    assert.equal(await cache.get('b', server.fetch), 't3');
  });

  test('requests at the same time share one fetch, also when a token was refused', async () => {
    time.at = 0;
    const cache = new TokenCache(clock);
    const server = counting(60);
    const same = await Promise.all([1, 2, 3, 4].map(() => cache.get('a', server.fetch)));
    assert.deepEqual(same, ['t1', 't1', 't1', 't1']);
    const renewed = await Promise.all([1, 2, 3, 4].map(() => cache.get('a', server.fetch, 't1')));
    assert.deepEqual(renewed, ['t2', 't2', 't2', 't2']);
    assert.equal(server.calls, 2);
  });

  test('a failed fetch is reported to its own request only, and the next one tries again', async () => {
    const cache = new TokenCache(clock);
    const failing = cache.get('a', async () => {
      throw new Error('down');
    });
    const server = counting(60);
    const waiting = cache.get('a', server.fetch);
    await assert.rejects(failing, /down/);
    assert.equal(await waiting, 't1');
  });
});
