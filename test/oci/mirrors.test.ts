import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DOCKER_HUB, parseReference } from '../../src/oci/reference.ts';
import { endpointsOf, hostsOf, type Mirrors, parseMirrors, registryItself } from '../../src/oci/registry/mirrors.ts';
import { vectorLines } from '../support/vectors.ts';

interface Judged {
  readonly scheme: string;
  readonly host: string;
  readonly path: string;
}

interface Case {
  readonly id: string;
  readonly mirrors: Mirrors;
  readonly hosts: readonly string[];
  readonly upstream: { readonly endpoints: Readonly<Record<string, readonly Judged[] | { readonly error: string }>> };
}

/**
 * `upstream.hostsDirectories` are compared in hosts-directory.test.ts. The hub is asked as
 * `index.docker.io`, where upstream's imager asks it; nodes use its other name.
 */
const CASES = vectorLines<Case>('oci/mirrors.jsonl.gz');
const NODE_NAME_OF_HUB = 'registry-1.docker.io';

describe('endpoints as a Talos node asks them', () => {
  for (const { id, mirrors, hosts, upstream } of CASES) {
    test(id, () => {
      for (const host of hosts) {
        const registry = host === 'docker.io' ? DOCKER_HUB : host;
        const expected = upstream.endpoints[host]!;
        if ('error' in expected) {
          assert.throws(() => endpointsOf(registry, mirrors), { code: 'invalid-input' });
          continue;
        }
        const found = endpointsOf(registry, mirrors);
        assert.deepEqual(
          found.map(({ schemes, host, path }) => ({
            scheme: schemes[0],
            host: host === DOCKER_HUB ? NODE_NAME_OF_HUB : host,
            path,
          })),
          expected,
        );
        for (const { host: name, mirrorOf } of found) assert.equal(mirrorOf, name === registry ? undefined : host);
      }
    });
  }
});

test('the registry itself is what its entry makes of it, whatever mirrors it has', () => {
  const settings = { skipVerify: true };
  const plain = { schemes: ['https'], host: 'r.example', path: '/v2', mirrorOf: undefined };
  assert.deepEqual(registryItself('r.example'), plain);
  assert.deepEqual(
    registryItself('r.example', { '*': { endpoints: [{ url: 'https://m' }], skipFallback: true } }),
    plain,
  );
  const named = { 'r.example': { endpoints: [{ url: 'https://m' }], self: settings } };
  assert.deepEqual(registryItself('r.example', named), { ...plain, settings });
  const served = { 'r.example': { endpoints: [{ url: 'http://r.example', ...settings }], skipFallback: true } };
  assert.deepEqual(registryItself('r.example', served), { ...plain, schemes: ['http'], settings });
});

describe('parseMirrors', () => {
  test('several endpoints of one host keep their order, and the registry comes last', () => {
    const mirrors = parseMirrors([
      'ghcr.io=http://10.5.0.1:6000/',
      'docker.io=cache.example:5000',
      'ghcr.io=https://h.example/ghcr',
    ]);
    assert.deepEqual(endpointsOf('ghcr.io', mirrors), [
      { schemes: ['http'], host: '10.5.0.1:6000', path: '/v2', mirrorOf: 'ghcr.io' },
      { schemes: ['https'], host: 'h.example', path: '/ghcr/v2', mirrorOf: 'ghcr.io' },
      { schemes: ['https'], host: 'ghcr.io', path: '/v2', mirrorOf: undefined },
    ]);
    assert.deepEqual(hostsOf(parseReference('siderolabs/app:v1'), mirrors), ['cache.example:5000', 'index.docker.io']);
    assert.deepEqual(hostsOf(parseReference('quay.io/app/b'), mirrors), ['quay.io']);
  });

  test('every name of Docker Hub is the same host', () => {
    for (const name of ['docker.io', 'index.docker.io', 'registry-1.docker.io']) {
      const mirrors = parseMirrors([`${name}=m.example`]);
      assert.deepEqual(hostsOf(parseReference('library/app'), mirrors), ['m.example', 'index.docker.io']);
    }
  });

  test('plain HTTP only by URL, on this machine, or where the user marked the registry', () => {
    const mirrors = parseMirrors([
      'ghcr.io=localhost:5000',
      'ghcr.io=m.example',
      'ghcr.io=https://n.example',
      'ghcr.io=http://o.example',
    ]);
    const schemes = (insecure: boolean): unknown =>
      endpointsOf('ghcr.io', mirrors, insecure).map((one) => one.schemes.join());
    assert.deepEqual(schemes(false), ['https,http', 'https', 'https', 'http', 'https']);
    assert.deepEqual(schemes(true), ['https,http', 'https,http', 'https', 'http', 'https,http']);
  });

  test('a host that is part of another one, or a key of an object, is no mirror', () => {
    const mirrors = parseMirrors(['example.com=m.example']);
    for (const host of ['a.example.com', 'example.com:5000', 'constructor', 'tostring']) {
      assert.deepEqual(hostsOf({ registry: host }, mirrors), [host]);
    }
  });

  test('errors say what is wanted and hold no password', () => {
    const messages: readonly (readonly [string, string])[] = [
      ['ghcr.io', 'mirror "ghcr.io": want host=endpoint'],
      ['ghcr.io=', 'mirror "ghcr.io=": want host=endpoint'],
      ['=m.example', 'mirror "=m.example": want host=endpoint'],
      ['https://ghcr.io=m.example', 'mirror for "https://ghcr.io": port "//ghcr.io": want 1..65535'],
      ['ghcr.io=ftp://m.example', 'mirror endpoint "ftp://m.example": want https:// or http://'],
      ['ghcr.io=m.example/path', 'mirror endpoint "m.example/path": want a host name or address'],
      [
        'ghcr.io=https://me:hunter2@m.example',
        'mirror endpoint "https://...@m.example": want it without user and password',
      ],
      ['ghcr.io=me:hunter2@m.example', 'mirror endpoint "...@m.example": want a URL or host[:port]'],
      ['me:hunter2@ghcr.io', 'mirror "...@ghcr.io": want host=endpoint'],
    ];
    for (const [option, message] of messages) {
      assert.throws(() => parseMirrors([option]), { code: 'invalid-input', message }, option);
    }
  });
});
