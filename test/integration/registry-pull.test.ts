/** Pulling from the registry server people run, through connections that break. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Digest } from '../../src/bytes/units.ts';
import type { ImageSource } from '../../src/oci/image-source.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { parseMirrors } from '../../src/oci/registry/mirrors.ts';
import { type RegistryEvent, type RegistryOptions, registrySource } from '../../src/oci/registry/registry.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/types.ts';
import { type DockerRegistry, startDockerRegistry, TEST_PASSWORD, TEST_USER } from '../support/docker-registry.ts';
import { startFaultyProxy } from '../support/faulty-proxy.ts';
import {
  describe as descriptorOf,
  digestOf,
  OCI_INDEX,
  randomBytes,
  testImage,
  testIndex,
  writeLayout,
} from '../support/image.ts';
import { skipWithout } from '../support/tools.ts';

const skip = skipWithout('docker-registry', 'skopeo');
const LAYER = randomBytes(24 << 20, 3);
const BLOB = descriptorOf(LAYER, 'application/octet-stream');
const INDEX = testIndex([
  testImage([{ data: LAYER }]),
  testImage([{ data: LAYER }], { os: 'linux', architecture: 'arm64' }),
]);

/** Repeats are real, pauses are not. */
const clock = { now: () => performance.now(), sleep: async () => undefined };

async function pullLayer(source: ImageSource): Promise<Digest> {
  const opened = await source.blob(BLOB, 0);
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of opened.chunks) {
    hash.update(chunk);
    size += chunk.length;
  }
  assert.equal(size, LAYER.length);
  return `sha256:${hash.digest('hex')}` as Digest;
}

for (const basicAuth of [false, true]) {
  describe(`docker-registry ${basicAuth ? 'with htpasswd' : 'without login'}`, { skip }, () => {
    let registry: DockerRegistry;
    let platform: Platform;
    let directory: string;
    const options: RegistryOptions = { clock };

    before(async () => {
      directory = await mkdtemp(join(tmpdir(), 'bootwright-layout-'));
      registry = await startDockerRegistry({ basicAuth });
      await writeLayout(directory, { image: INDEX });
      await registry.push(directory, 'image', 'team/app', 'v1');
      platform = nodePlatform({ HOME: directory });
    });
    after(async () => {
      await platform?.close();
      await registry?.close();
      await rm(directory, { recursive: true });
    });

    /** The options under which an endpoint other than the registry's own address may see the login. */
    const login = (host: string): RegistryOptions =>
      basicAuth
        ? { ...options, credentials: { [host]: { kind: 'basic', user: TEST_USER, password: TEST_PASSWORD } } }
        : options;
    const sourceAt = (host: string, more: RegistryOptions = {}): ImageSource =>
      registrySource(platform, parseReference(`${host}/team/app`), { ...login(host), ...more });

    test('index, manifest, blob and the rest of a blob', async () => {
      const source = sourceAt(registry.host);
      const index = await source.manifest('v1');
      assert.equal(index.mediaType, OCI_INDEX);
      assert.equal(index.digest, digestOf(INDEX.manifest));
      for (const child of INDEX.children) {
        assert.equal((await source.manifest(digestOf(child.manifest))).digest, digestOf(child.manifest));
      }
      assert.equal(await pullLayer(source), BLOB.digest);
      const rest = await source.blob(BLOB, LAYER.length - 10);
      assert.equal(rest.from, LAYER.length - 10);
      const parts: Uint8Array[] = [];
      for await (const chunk of rest.chunks) parts.push(chunk);
      assert.deepEqual(Buffer.concat(parts), Buffer.from(LAYER.subarray(-10)));
    });

    test('what is not there', async () => {
      await assert.rejects(sourceAt(registry.host).manifest('v2'), {
        code: 'dependency',
        message: /not found \(404: MANIFEST_UNKNOWN/,
      });
      const missing = { ...BLOB, digest: digestOf('other') };
      await assert.rejects(sourceAt(registry.host).blob(missing, 0), {
        code: 'dependency',
        message: /not found \(404: BLOB_UNKNOWN/,
      });
    });

    test('a connection that breaks twice in a blob', async () => {
      const proxy = await startFaultyProxy(registry.host, {
        cutAfter: (index) => (index < 2 ? 10_000_000 : undefined),
      });
      try {
        assert.equal(await pullLayer(sourceAt(proxy.host)), BLOB.digest);
        assert.equal(proxy.connections(), 3);
      } finally {
        await proxy.close();
      }
    });

    test('a blob that never comes in one piece', async () => {
      const proxy = await startFaultyProxy(registry.host, { cutAfter: () => 3_000_000 });
      try {
        assert.equal(await pullLayer(sourceAt(proxy.host)), BLOB.digest);
        assert.ok(proxy.connections() > 8, 'more breaks than tries');
      } finally {
        await proxy.close();
      }
    });

    test('a connection that breaks in each ping and manifest once', async () => {
      const proxy = await startFaultyProxy(registry.host, { cutAfter: (index) => (index % 2 === 0 ? 40 : undefined) });
      try {
        assert.equal((await sourceAt(proxy.host).manifest('v1')).digest, digestOf(INDEX.manifest));
      } finally {
        await proxy.close();
      }
    });

    test('a mirror that dies in the middle of a blob', async () => {
      const proxy = await startFaultyProxy(registry.host, { cutAfter: (index) => (index === 0 ? 12_000_000 : 0) });
      try {
        const events: RegistryEvent[] = [];
        const mirrors = parseMirrors([`${registry.host}=http://${proxy.host}`]);
        const credentials = { ...login(registry.host).credentials, ...login(proxy.host).credentials };
        const source = sourceAt(registry.host, { mirrors, credentials, report: (event) => events.push(event) });
        assert.equal(await pullLayer(source), BLOB.digest);
        assert.equal(events[0]?.endpoint, proxy.host);
        assert.equal(events.at(-1)?.endpoint, registry.host);
      } finally {
        await proxy.close();
      }
    });

    if (!basicAuth) return;
    test('a wrong password', async () => {
      const credentials = { [registry.host]: { kind: 'basic', user: TEST_USER, password: 'wrong' } as const };
      await assert.rejects(sourceAt(registry.host, { credentials }).manifest('v1'), (error: Error) => {
        assert.match(error.message, /not authorized \(401: UNAUTHORIZED/);
        assert.doesNotMatch(error.message, /wrong/);
        return true;
      });
    });
  });
}
