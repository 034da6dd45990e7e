/** The registry server people run, behind what companies put before it, reached as containerd's configuration says. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { read } from '../../src/bytes/read.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { referrersOf, referrersTag } from '../../src/oci/referrers.ts';
import { examineEndpoints } from '../../src/oci/registry/examine.ts';
import { readHostsDirectory } from '../../src/oci/registry/hosts-directory.ts';
import { registrySource } from '../../src/oci/registry/registry.ts';
import { openStore } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/types.ts';
import { fileAt } from '../../src/tree/tree.ts';
import { type KeyPair, selfSigned } from '../support/certificate.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { startFaultyProxy } from '../support/faulty-proxy.ts';
import { digestOf, OCI_LAYER, randomBytes, testArtifact, testImage, testIndex, writeLayout } from '../support/image.ts';
import { tar } from '../support/tar.ts';
import { startTlsProxy, type TlsProxy } from '../support/tls-proxy.ts';
import { skipWithout } from '../support/tools.ts';

const ACCOUNT = { user: 'pilot', password: 'open:sesame' };
const CONTENT = randomBytes(9 << 20, 5);
const LAYER = { data: gzipSync(tar([{ name: 'large', data: CONTENT }])), mediaType: `${OCI_LAYER}+gzip` };
const IMAGE = testIndex([testImage([LAYER])]);
const SIGNATURE = testArtifact(randomBytes(50, 6), { artifactType: 'application/vnd.example', subject: IMAGE });
const AMD64 = { os: 'linux', architecture: 'amd64' };

/** Repeats are real, pauses are not. */
const clock = { now: () => performance.now(), sleep: async () => undefined };

describe('docker-registry behind TLS and a login', { skip: skipWithout('docker-registry', 'skopeo') }, () => {
  let registry: DockerRegistry;
  let open: TlsProxy;
  let guarded: TlsProxy;
  let platform: Platform;
  let directory: string;
  let client: KeyPair;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bootwright-tls-'));
    registry = await startDockerRegistry();
    const tag = referrersTag(digestOf(IMAGE.manifest));
    await writeLayout(join(directory, 'images'), { image: IMAGE, signatures: testIndex([SIGNATURE]) });
    await registry.push(join(directory, 'images'), 'image', 'team/app', 'v1');
    await registry.push(join(directory, 'images'), 'signatures', 'team/app', tag);
    client = selfSigned(['client.example']);
    open = await startTlsProxy(registry.host, ACCOUNT);
    guarded = await startTlsProxy(registry.host, { ...ACCOUNT, clientAuthority: client.cert });
    platform = nodePlatform({ HOME: directory });
    const auth = Buffer.from(`${ACCOUNT.user}:${ACCOUNT.password}`).toString('base64');
    const hosts = [open, guarded].map(({ host }) => host);
    await mkdir(join(directory, '.docker'));
    const config = { auths: Object.fromEntries(hosts.map((host) => [host, { auth }])) };
    await writeFile(join(directory, '.docker/config.json'), JSON.stringify(config));
  });
  after(async () => {
    await Promise.all([platform?.close(), open?.close(), guarded?.close(), registry?.close()]);
    await rm(directory, { recursive: true });
  });

  /** A directory of hosts in which the registry has these settings. */
  async function hostsFor(name: string, host: string, lines: readonly string[]): Promise<string> {
    const root = join(directory, name);
    const own = join(root, host.replace(/:(\d+)$/, '_$1_'));
    await mkdir(own, { recursive: true });
    await writeFile(join(own, 'ca.pem'), [open, guarded].map(({ certificate }) => certificate).join('\n'));
    await writeFile(join(own, 'client.pem'), `${client.cert}\n${client.key}`);
    await writeFile(join(own, 'hosts.toml'), lines.join('\n'));
    return root;
  }

  test('an image comes whole, and what refers to it is found behind the tag', async () => {
    const mirrors = await readHostsDirectory(platform.files, await hostsFor('ca', open.host, ['ca = "ca.pem"']));
    const source = registrySource(platform, parseReference(`${open.host}/team/app`), { mirrors, clock });
    const store = await openStore(platform, join(directory, 'store'));
    const { tree, digest } = await store.pull(source, 'v1', { platform: AMD64 });
    assert.equal(digest, digestOf(IMAGE.manifest));
    assert.equal(digestOf(await read(fileAt(tree, 'large')!)), digestOf(CONTENT));
    const [found, ...others] = await referrersOf(source, digest, { artifactType: 'application/vnd.example' });
    assert.equal(found?.digest, digestOf(SIGNATURE.manifest));
    assert.deepEqual(others, []);
    assert.ok(open.admitted() >= 6);
  });

  test('without its authority it is not trusted, and says what to do', async () => {
    const source = registrySource(platform, parseReference(`${open.host}/team/app`), { clock });
    await assert.rejects(source.manifest('v1'), { code: 'dependency', message: /self-signed certificate/ });
  });

  test('who must show a certificate shows it, from one file', async () => {
    const bare = await hostsFor('bare', guarded.host, ['ca = "ca.pem"']);
    const reference = parseReference(`${guarded.host}/team/app:v1`);
    const refused = { mirrors: await readHostsDirectory(platform.files, bare), clock, tries: 1 };
    await assert.rejects(registrySource(platform, reference, refused).manifest('v1'), { code: 'dependency' });
    const root = await hostsFor('client', guarded.host, ['ca = "ca.pem"', 'client = "client.pem"']);
    const mirrors = await readHostsDirectory(platform.files, root);
    const { digest } = await registrySource(platform, reference, { mirrors }).manifest('v1');
    assert.equal(digest, digestOf(IMAGE.manifest));
    const [finding] = await examineEndpoints(platform, reference, { mirrors, contact: true });
    assert.deepEqual(finding?.settings, ['authorities', 'client-certificate']);
    assert.equal(finding?.credential.kind, 'found');
    assert.equal(finding?.answer?.kind, 'serves');
  });

  test('connections that break within TLS are taken up again', async () => {
    const broken = await startFaultyProxy(open.host, {
      cutAfter: (index) => (index % 2 === 0 ? 3_000_000 : undefined),
    });
    try {
      const lines = [`server = "https://${broken.host}"`, 'ca = "ca.pem"'];
      const mirrors = await readHostsDirectory(platform.files, await hostsFor('broken', 'ghcr.io', lines));
      const login = { [broken.host]: { kind: 'basic', ...ACCOUNT } as const };
      const options = { mirrors, clock, credentials: login };
      const source = registrySource(platform, parseReference('ghcr.io/team/app'), options);
      const store = await openStore(platform, join(directory, 'other-store'));
      const { tree } = await store.pull(source, 'v1', { platform: AMD64 });
      assert.equal(digestOf(await read(fileAt(tree, 'large')!)), digestOf(CONTENT));
      assert.ok(broken.connections() > 1);
    } finally {
      await broken.close();
    }
  });
});
