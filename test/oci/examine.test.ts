import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseReference } from '../../src/oci/reference.ts';
import { examineEndpoints } from '../../src/oci/registry/examine.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/types.ts';
import { digestOf, randomBytes, testImage } from '../support/image.ts';
import { failing, startRegistry, type TestRegistry } from '../support/registry.ts';

const IMAGE = testImage([{ data: randomBytes(100, 1) }]);
const AUTH = { kind: 'basic', user: 'pilot', password: 'open:sesame' } as const;

async function home(t: TestContext, config: unknown): Promise<{ platform: Platform; path: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'examine-'));
  const platform = nodePlatform({ HOME: directory, PATH: `${directory}:${process.env.PATH}` });
  t.after(async () => {
    await platform.close();
    await rm(directory, { recursive: true });
  });
  await mkdir(join(directory, '.docker'));
  const path = join(directory, '.docker/config.json');
  await writeFile(path, JSON.stringify(config));
  await writeFile(
    join(directory, 'docker-credential-empty'),
    '#!/bin/sh\necho credentials not found in native keychain; exit 1\n',
  );
  await writeFile(join(directory, 'docker-credential-broken'), '#!/bin/sh\necho locked >&2; exit 2\n');
  for (const name of ['empty', 'broken']) await chmod(join(directory, `docker-credential-${name}`), 0o755);
  return { platform, path };
}

async function serving(t: TestContext, options: Parameters<typeof startRegistry>[0] = {}): Promise<TestRegistry> {
  const registry = await startRegistry(options);
  t.after(() => registry.close());
  registry.serve('a/b', 'v1', IMAGE);
  return registry;
}

test('each endpoint with its answer and the source of its credential, never the secret', async (t) => {
  const good = await serving(t, { auth: AUTH });
  const failed = await serving(t, { faults: [failing(/manifests/, { kind: 'status', status: 404 })] });
  const helped = await serving(t);
  const broken = await serving(t);
  const auth = Buffer.from(`${AUTH.user}:${AUTH.password}`).toString('base64');
  const { platform, path } = await home(t, {
    auths: { [good.host]: { auth } },
    credHelpers: { [helped.host]: 'empty', [broken.host]: 'broken' },
  });
  const endpoints = [failed, helped, broken].map(({ url }) => ({ url, headers: { 'x-key': 'hidden' } }));
  const mirrors = { [good.host]: { endpoints, self: { capabilities: ['pull', 'resolve'] as const } } };
  const findings = await examineEndpoints(platform, parseReference(`${good.host}/a/b:v1`), { mirrors, contact: true });
  assert.deepEqual(
    findings.map(({ endpoint, isMirror, credential, answer }) => [endpoint, isMirror, credential.kind, answer?.kind]),
    [
      [failed.host, true, 'none', 'fails'],
      [helped.host, true, 'empty', 'serves'],
      [broken.host, true, 'failed', 'serves'],
      [good.host, false, 'found', 'serves'],
    ],
  );
  const last = findings.at(-1)!;
  assert.deepEqual(last.credential, { kind: 'found', source: { kind: 'file', path } });
  assert.deepEqual(last.answer, { kind: 'serves', digest: digestOf(IMAGE.manifest) });
  assert.deepEqual(findings[0]!.settings, ['headers']);
  assert.match(JSON.stringify(findings[2]), /docker-credential-broken: exit 2.*locked/);
  assert.doesNotMatch(JSON.stringify(findings), new RegExp(`hidden|sesame|${auth}`));
});

test('nothing is contacted unless asked for', async (t) => {
  const registry = await serving(t);
  const { platform } = await home(t, {});
  const mirrors = { 'ghcr.io': { endpoints: [{ url: `${registry.url}/cache`, capabilities: ['pull'] as const }] } };
  const findings = await examineEndpoints(platform, parseReference('ghcr.io/a/b:v1'), { mirrors, insecure: true });
  assert.deepEqual(
    findings.map(({ url, withheld, settings, answer }) => ({ url, withheld, settings, answer })),
    [
      { url: `${registry.url}/cache/v2`, withheld: ['resolve'], settings: ['unchecked-tls'], answer: undefined },
      { url: 'https://ghcr.io/v2', withheld: [], settings: ['unchecked-tls'], answer: undefined },
    ],
  );
  assert.deepEqual(registry.requests, []);
});
