import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { Descriptor, ImageSource } from '../../src/oci/image-source.ts';
import { openLayout } from '../../src/oci/local/layout.ts';
import { MAX_REFERRERS, referrersOf, referrersTag } from '../../src/oci/referrers.ts';
import { parseMirrors } from '../../src/oci/registry/mirrors.ts';
import { type RegistryOptions, registrySource } from '../../src/oci/registry/registry.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/types.ts';
import {
  describe as descriptorOf,
  digestOf,
  OCI_MANIFEST,
  randomBytes,
  type TestImage,
  testArtifact,
  testImage,
  testIndex,
  writeLayout,
} from '../support/image.ts';
import { failing, startRegistry, type TestRegistry, type TestRegistryOptions } from '../support/registry.ts';

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const SBOM = 'application/spdx+json';

const IMAGE = testImage([{ data: randomBytes(100, 1) }]);
const OTHER = testImage([{ data: randomBytes(100, 2) }]);
const DIGEST = digestOf(IMAGE.manifest);
const TAG = referrersTag(DIGEST);

const signature = testArtifact(randomBytes(10, 3), { artifactType: BUNDLE, subject: IMAGE, annotations: { a: 'b' } });
const bill = testArtifact(randomBytes(10, 4), { artifactType: SBOM, subject: IMAGE });
const untyped = testArtifact(randomBytes(10, 5), { subject: IMAGE });
const unrelated = testArtifact(randomBytes(10, 6), { artifactType: BUNDLE, subject: OTHER });

let platform: Platform;
before(() => {
  platform = nodePlatform({ HOME: '/nonexistent' });
});
after(() => platform.close());

async function serving(t: TestContext, options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const registry = await startRegistry(options);
  t.after(() => registry.close());
  registry.serve('a/b', 'v1', IMAGE);
  return registry;
}

function sourceAt({ host }: Pick<TestRegistry, 'host'>, options: RegistryOptions = {}): ImageSource {
  const clock = { now: () => 0, sleep: async () => undefined };
  return registrySource(platform, { registry: host, repository: 'a/b' }, { clock, ...options });
}

/** Artifacts have no tags; any will do. */
function attach(registry: TestRegistry, ...artifacts: readonly TestImage[]): void {
  for (const artifact of artifacts) registry.serve('a/b', `tag-${digestOf(artifact.manifest).slice(7, 20)}`, artifact);
}

function digests(list: readonly Pick<Descriptor, 'digest'>[]): string[] {
  return list.map(({ digest }) => digest).sort();
}

const digestsOf = (...images: readonly TestImage[]): string[] =>
  images.map(({ manifest }) => digestOf(manifest) as string).sort();

describe('a registry that keeps account', () => {
  test('lists what names the image as its subject', async (t) => {
    const registry = await serving(t, { referrersPage: 100 });
    attach(registry, signature, bill, unrelated);
    const found = await referrersOf(sourceAt(registry), DIGEST);
    assert.deepEqual(digests(found), digestsOf(signature, bill));
    const listed = found.find(({ artifactType }) => artifactType === BUNDLE);
    assert.deepEqual(
      { ...listed, annotations: { ...listed?.annotations } },
      {
        ...descriptorOf(signature.manifest, OCI_MANIFEST),
        artifactType: BUNDLE,
        annotations: { a: 'b' },
      },
    );
    assert.ok(
      registry.requests.every(({ url }) => !url.includes(TAG)),
      'the tag is not needed',
    );
  });

  test('is asked for one type, which is looked at whether it filters or not', async (t) => {
    for (const referrersPage of [1, 100]) {
      const registry = await serving(t, { referrersPage });
      attach(registry, signature, bill);
      const found = await referrersOf(sourceAt(registry), DIGEST, { artifactType: BUNDLE });
      assert.deepEqual(digests(found), digestsOf(signature));
      const query = new URL(registry.requests[1]!.url, registry.url).searchParams;
      assert.equal(query.get('artifactType'), BUNDLE);
    }
  });

  test('lists in pages', async (t) => {
    const registry = await serving(t, { referrersPage: 2 });
    const many = Array.from({ length: 7 }, (_, n) =>
      testArtifact(randomBytes(9, n), { artifactType: SBOM, subject: IMAGE }),
    );
    attach(registry, ...many);
    assert.deepEqual(digests(await referrersOf(sourceAt(registry), DIGEST)), digestsOf(...many));
  });

  test('does not list for ever', async (t) => {
    const registry = await serving(t, { referrersPage: 100 });
    const link = `</v2/a/b/referrers/${DIGEST}?again>; rel="next"`;
    registry.fail(failing(/referrers/, { kind: 'headers', headers: { link } }));
    attach(registry, signature);
    await assert.rejects(referrersOf(sourceAt(registry), DIGEST), { code: 'dependency', message: /does not end/ });
  });

  test('does not send us to another host for the next page', async (t) => {
    const registry = await serving(t, { referrersPage: 100 });
    const link = '<http://169.254.169.254/latest>; rel="next"';
    registry.fail(failing(/referrers/, { kind: 'headers', headers: { link } }));
    attach(registry, signature);
    await assert.rejects(referrersOf(sourceAt(registry), DIGEST), { code: 'dependency', message: /another host/ });
  });

  test('may have been upgraded after clients wrote their own list', async (t) => {
    const registry = await serving(t, { referrersPage: 100 });
    const old = testArtifact(randomBytes(10, 7), { artifactType: BUNDLE });
    registry.serve('a/b', TAG, testIndex([old]));
    attach(registry, bill);
    assert.deepEqual(digests(await referrersOf(sourceAt(registry), DIGEST, { artifactType: BUNDLE })), digestsOf(old));
  });

  test('refuses: that is no empty list', async (t) => {
    const registry = await serving(t, { referrersPage: 100 });
    registry.fail(failing(/referrers/, { kind: 'status', status: 403 }));
    await assert.rejects(referrersOf(sourceAt(registry), DIGEST), { code: 'dependency', message: /forbidden \(403/ });
  });

  test('lists more than anybody needs', async (t) => {
    const registry = await serving(t, { referrersPage: 5000 });
    const entries = Array.from({ length: MAX_REFERRERS + 1 }, (_, n) => ({
      ...descriptorOf(new TextEncoder().encode(String(n)), OCI_MANIFEST),
      artifactType: SBOM,
    }));
    const body = JSON.stringify({ schemaVersion: 2, manifests: entries });
    const headers = { 'content-type': 'application/vnd.oci.image.index.v1+json' };
    registry.fail(failing(/referrers/, { kind: 'status', status: 200, headers, body }));
    await assert.rejects(referrersOf(sourceAt(registry), DIGEST), { code: 'invalid-input', message: /1025 referrers/ });
  });
});

describe('a registry without the referrers API', () => {
  for (const status of [400, 404, 405, 406]) {
    test(`answers ${status}: the tag tells`, async (t) => {
      const registry = await serving(t);
      registry.fail(failing(/referrers/, { kind: 'status', status }));
      registry.serve('a/b', TAG, testIndex([signature, bill]));
      assert.deepEqual(digests(await referrersOf(sourceAt(registry), DIGEST)), digestsOf(signature, bill));
    });
  }

  test('answers with a page for people', async (t) => {
    const registry = await serving(t);
    const headers = { 'content-type': 'text/html' };
    registry.fail(failing(/referrers/, { kind: 'status', status: 200, headers, body: '<html>' }));
    registry.serve('a/b', TAG, testIndex([signature]));
    assert.deepEqual(digests(await referrersOf(sourceAt(registry), DIGEST)), digestsOf(signature));
  });

  test('has no such tag: nothing refers to the image', async (t) => {
    assert.deepEqual(await referrersOf(sourceAt(await serving(t)), DIGEST), []);
  });

  test('the tag leads to one manifest without a list', async (t) => {
    const registry = await serving(t);
    registry.serve('a/b', TAG, signature);
    const [found] = await referrersOf(sourceAt(registry), DIGEST);
    assert.equal(found?.digest, digestOf(signature.manifest));
    assert.equal(found?.artifactType, BUNDLE);
  });

  test('the tag leads to one manifest about something else', async (t) => {
    const registry = await serving(t);
    registry.serve('a/b', TAG, unrelated);
    assert.deepEqual(await referrersOf(sourceAt(registry), DIGEST), []);
  });

  test('the list leaves types out: the manifests have them', async (t) => {
    const registry = await serving(t);
    registry.serve('a/b', TAG, testIndex([signature, untyped]));
    const found = await referrersOf(sourceAt(registry), DIGEST);
    assert.deepEqual(found.map(({ artifactType }) => artifactType).sort(), [
      BUNDLE,
      'application/vnd.oci.empty.v1+json',
    ]);
    assert.deepEqual(
      digests(await referrersOf(sourceAt(registry), DIGEST, { artifactType: BUNDLE })),
      digestsOf(signature),
    );
  });
});

describe('mirrors', () => {
  async function twoRegistries(
    t: TestContext,
  ): Promise<{ mirror: TestRegistry; origin: TestRegistry; source: ImageSource }> {
    const [mirror, origin] = [await serving(t), await serving(t, { referrersPage: 100 })];
    const mirrors = parseMirrors([`${origin.host}=${mirror.url}`]);
    return { mirror, origin, source: sourceAt(origin, { mirrors }) };
  }

  test('that copied the image alone do not hide its signatures', async (t) => {
    const { origin, source } = await twoRegistries(t);
    attach(origin, signature);
    assert.deepEqual(digests(await referrersOf(source, DIGEST)), digestsOf(signature));
  });

  test('that have the signatures are enough', async (t) => {
    const { mirror, origin, source } = await twoRegistries(t);
    await origin.close();
    mirror.serve('a/b', TAG, testIndex([signature]));
    assert.deepEqual(digests(await referrersOf(source, DIGEST)), digestsOf(signature));
  });

  test('decide where the registry itself is out of reach', async (t) => {
    const { origin, source } = await twoRegistries(t);
    await origin.close();
    assert.deepEqual(await referrersOf(source, DIGEST), []);
  });

  test('do not decide where it answers with a failure', async (t) => {
    const { origin, source } = await twoRegistries(t);
    origin.fail(failing(/referrers/, { kind: 'status', status: 503 }));
    await assert.rejects(referrersOf(source, DIGEST), { code: 'dependency', message: /503/ });
  });

  test('that fail do not matter where the registry itself answers', async (t) => {
    const { mirror, source } = await twoRegistries(t);
    mirror.fail(failing(/referrers|manifests/, { kind: 'status', status: 500 }));
    assert.deepEqual(await referrersOf(source, DIGEST), []);
  });
});

describe('a layout', () => {
  async function layoutOf(
    t: TestContext,
    images: Readonly<Record<string, TestImage>>,
  ): Promise<{ source: ImageSource; directory: string }> {
    const directory = await mkdtemp(join(tmpdir(), 'referrers-'));
    t.after(() => rm(directory, { recursive: true }));
    await writeLayout(directory, images);
    return { source: await openLayout(platform, directory), directory };
  }

  test('is searched for manifests with the subject, through indexes, without the image', async (t) => {
    const { source } = await layoutOf(t, { one: testIndex([testIndex([signature]), unrelated]), two: bill });
    assert.deepEqual(digests(await referrersOf(source, DIGEST)), digestsOf(signature, bill));
    assert.deepEqual(digests(await referrersOf(source, DIGEST, { artifactType: SBOM })), digestsOf(bill));
    assert.deepEqual(digests(await referrersOf(source, digestOf(OTHER.manifest))), digestsOf(unrelated));
    assert.deepEqual(await referrersOf(source, digestOf('nothing')), []);
  });

  test('may have the tag of clients', async (t) => {
    const old = testArtifact(randomBytes(10, 7), { artifactType: BUNDLE });
    const { source } = await layoutOf(t, { v1: IMAGE, [TAG]: testIndex([old]) });
    assert.deepEqual(digests(await referrersOf(source, DIGEST)), digestsOf(old));
  });

  test('tells a missing name and a missing manifest from others', async (t) => {
    const { source } = await layoutOf(t, { v1: IMAGE });
    assert.equal(await source.findManifest('v2'), undefined);
    assert.equal(await source.findManifest(digestOf('nothing')), undefined);
    assert.equal((await source.findManifest('v1'))?.digest, DIGEST);
    assert.equal((await source.findManifest(DIGEST))?.digest, DIGEST);
  });

  test('may lack what it lists, and list what is no image', async (t) => {
    const { source, directory } = await layoutOf(t, { one: signature, two: bill });
    const blob = (image: TestImage): string => join(directory, 'blobs/sha256', digestOf(image.manifest).slice(7));
    await rm(blob(bill));
    assert.deepEqual(digests(await referrersOf(source, DIGEST)), digestsOf(signature));
  });

  test('with a damaged referrer is refused', async (t) => {
    const { source, directory } = await layoutOf(t, { one: signature });
    const text = new TextDecoder().decode(signature.manifest).replace('"b"', '"c"');
    await writeFile(join(directory, 'blobs/sha256', digestOf(signature.manifest).slice(7)), text);
    await assert.rejects(referrersOf(source, DIGEST), { code: 'verification' });
  });
});
