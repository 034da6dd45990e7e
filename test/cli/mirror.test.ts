/** Copies for sites without a network: to a registry and to a directory, with signatures of both forms, and builds from them. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { read } from '../../src/bytes/read.ts';
import type { Digest } from '../../src/bytes/units.ts';
import { layoutTar } from '../../src/formats/tar/layout-tar.ts';
import { treeOfLiterals } from '../../src/tree/tree.ts';
import { imager, scratch } from '../support/command-line.ts';
import { extensionImage, extensionTree } from '../support/extension-images.ts';
import { digestOf, type TestImage, testArtifact, testImage, testIndex } from '../support/image.ts';
import { assetFiles, assetImage } from '../support/pipeline.ts';
import { startPushRegistry } from '../support/push-registry.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { signatureTag, signingKey, startSigstore } from '../support/sigstore.ts';

const VERSION = 'v1.13.0';
const EXTENSIONS = ['one', 'two', 'three', 'four', 'five'];
const HOST = 'registry.example';

const space = await scratch();
after(() => space[Symbol.asyncDispose]());
const sigstore = await startSigstore();
const key = signingKey();
await writeFile(space.path('root.json'), sigstore.trustedRoot);
await writeFile(space.path('key.pem'), key.publicKeyPem);
await writeFile(
  space.path('policy.yaml'),
  `rules:
  - pattern: ${HOST}/team/imager
    identities: [{subject: "${sigstore.subject}", issuer: "${sigstore.issuer}"}]
  - pattern: ${HOST}/team/*
    keys: [key.pem]
trustedRoot: root.json
`,
);
await writeFile(
  space.path('profile.yaml'),
  `arch: arm64
platform: metal
version: ${VERSION}
input:
  systemExtensions:
${EXTENSIONS.map((name) => `    - imageRef: ${HOST}/team/${name}:v1\n`).join('')}output:
  kind: initramfs
  outFormat: raw
`,
);

const imagerImage = testIndex([
  await assetImage(assetFiles()),
  await assetImage({ ...assetFiles(), 'etc/other': 'x' }, 'amd64'),
]);
const images = new Map<string, TestImage>([['imager', imagerImage]]);
for (const name of EXTENSIONS) {
  const tree = extensionTree({ [`usr/local/bin/${name}`]: name }, { name });
  images.set(name, await extensionImage(tree));
}
const attestation = testArtifact(new TextEncoder().encode('about the image'), {
  artifactType: 'application/vnd.example.report',
  subject: imagerImage,
});
const aboutAttestation = testArtifact(new TextEncoder().encode('about the report'), {
  artifactType: 'application/vnd.example.review',
  subject: attestation,
});
const sbom = testArtifact(new TextEncoder().encode('what is in it'), { artifactType: 'application/spdx+json' });

/** Signed in both forms, the imager by an identity and the rest by a key. With `referrers` the registry lists referrers itself and has no tags for them. */
async function startSource({ lists = false } = {}): Promise<TestRegistry> {
  const registry = await startRegistry(lists ? { referrersPage: 1 } : {});
  for (const [name, image] of images) {
    const digest = digestOf(image.manifest);
    registry.serve(`team/${name}`, name === 'imager' ? VERSION : 'v1', image);
    const signer = name === 'imager' ? sigstore : key;
    const isBundle = EXTENSIONS.indexOf(name) % 2 === 1 || name === 'imager';
    const tag = signatureTag(image, isBundle ? 'bundle' : 'legacy');
    const signature = isBundle ? await signer.bundle(digest) : await signer.legacySignature(digest);
    if (lists && isBundle) registry.serve(`team/${name}`, 'unused', signature.children[0]!);
    else registry.serve(`team/${name}`, tag, signature);
  }
  registry.serve('team/imager', `${signatureTag(imagerImage, 'bundle')}.sbom`, sbom);
  if (lists) {
    registry.serve('team/imager', 'unused', attestation);
    registry.serve('team/imager', 'unused', aboutAttestation);
  } else {
    registry.serve('team/imager', `${signatureTag(imagerImage, 'bundle')}.att`, attestation);
    registry.serve('team/imager', signatureTag(attestation, 'bundle'), testIndex([aboutAttestation]));
  }
  return registry;
}

/** The registry itself, at another address: without one, each tag that is not there would be looked for in vain. */
async function reach(url: string): Promise<string[]> {
  const directory = space.path(`hosts-${url.replace(/\W/g, '-')}`);
  await mkdir(join(directory, HOST), { recursive: true });
  await writeFile(join(directory, HOST, 'hosts.toml'), `server = "${url}"\n`);
  return ['--hosts-dir', directory];
}

const imagerArguments = ['--imager-image', `${HOST}/team/imager:${VERSION}`];
const profile = await readFile(space.path('profile.yaml'), 'utf8');
let runs = 0;

/** The digest of the initramfs, built with verification on. */
async function built(mirror: readonly string[], more: readonly string[] = []): Promise<string> {
  runs += 1;
  const output = space.path(`out-${runs}`);
  const { code, stderr } = await imager(
    [
      ...['-', ...imagerArguments, '--policy', space.path('policy.yaml'), ...mirror, ...more],
      ...['--store', space.path(`store-${runs}`), '-o', output],
    ],
    { stdin: profile },
  );
  assert.equal(code, 0, stderr);
  assert.equal(stderr.match(/verified registry\.example/g)?.length, 1 + EXTENSIONS.length, stderr);
  const [name] = await readdir(output);
  return digestOf(await readFile(join(output, name!)));
}

async function mirrorArguments(source: TestRegistry, target: string, store: string): Promise<string[]> {
  return [
    ...['mirror', target, '--profile', space.path('profile.yaml'), ...imagerArguments],
    ...(await reach(source.url)),
    ...['--trusted-root', space.path('root.json')],
    ...['--store', space.path(store), '--insecure', '--json', '--quiet'],
  ];
}

interface Report {
  readonly images: readonly {
    readonly reference: string;
    readonly digest: Digest;
    readonly attached: readonly string[];
    readonly outcomes: { readonly present: number; readonly mounted: number; readonly copied: number };
  }[];
  readonly flags: readonly string[];
  readonly files: Readonly<Record<string, string>>;
}

async function mirrored(source: TestRegistry, target: string, store: string): Promise<Report> {
  const { code, text, stderr } = await imager(await mirrorArguments(source, target, store));
  assert.equal(code, 0, stderr);
  return JSON.parse(text) as Report;
}

const copiedBy = ({ images }: Report): number => images.reduce((sum, { outcomes }) => sum + outcomes.copied, 0);

const origin = await startSource();
/** What every copy has to lead to. */
const wanted = await built(await reach(origin.url));
await origin.close();

for (const lists of [false, true]) {
  describe(`from a registry that ${lists ? 'lists referrers' : 'knows tags alone'}`, () => {
    test('a directory, then builds from it with nothing else', async () => {
      const source = await startSource({ lists });
      const directory = space.path(`layout-${lists}`);
      try {
        const report = await mirrored(source, `oci:${directory}`, 'layout-store');
        assert.deepEqual(report.flags, ['--mirror', `${HOST}=oci:${directory}`]);
        for (const [index, image] of [...images.values()].entries()) {
          assert.equal(report.images[index]!.digest, digestOf(image.manifest));
          assert.ok(report.images[index]!.attached.length > 0);
        }
        assert.equal(copiedBy(await mirrored(source, `oci:${directory}`, 'layout-store')), 0);
      } finally {
        await source.close();
      }
      assert.equal(await built(['--mirror', `${HOST}=oci:${directory}`], ['--offline']), wanted);
      for (const each of [attestation, aboutAttestation, sbom]) await assertInLayout(directory, each, lists);
      const proof = await imager(['mirror', 'verify', `oci:${directory}`, '--policy', space.path('policy.yaml')]);
      assert.equal(proof.code, 0, proof.text + proof.stderr);
      assert.equal(proof.text.match(/^good /gm)?.length, images.size);
      assert.match(proof.text, new RegExp(`signed by ${sigstore.subject}`));
      const root = await readFile(join(directory, 'mirror/trusted-root.json'), 'utf8');
      assert.equal(root, await readFile(space.path('root.json'), 'utf8'));
    });

    for (const prefix of [lists ? '' : '/site/a']) {
      test(`a registry${prefix === '' ? '' : ' below a prefix'}, then builds from it`, async () => {
        const source = await startSource({ lists });
        await using target = await startPushRegistry();
        const config = space.path(`config-${lists}-${prefix.length}`);
        let report: Report;
        try {
          const args = await mirrorArguments(source, `${target.host}${prefix}`, 'registry-store');
          const { code, text, stderr } = await imager([...args, '--config', config]);
          assert.equal(code, 0, stderr);
          report = JSON.parse(text) as Report;
          assert.equal(copiedBy(await mirrored(source, `${target.host}${prefix}`, 'registry-store')), 0);
        } finally {
          await source.close();
        }
        const repository = `${prefix}/team/imager`.slice(1);
        for (const each of [imagerImage, attestation, aboutAttestation]) {
          const stored = target.manifests.get(`${repository} ${digestOf(each.manifest)}`);
          assert.deepEqual(stored?.data, Buffer.from(each.manifest));
        }
        assert.equal(await built([...report.flags, '--insecure']), wanted);
        const verify = ['mirror', 'verify', `${target.host}${prefix}`, '--insecure', ...imagerArguments];
        const given = ['--profile', space.path('profile.yaml'), '--policy', space.path('policy.yaml')];
        const proof = await imager([...verify, ...given]);
        assert.equal(proof.code, 0, proof.text + proof.stderr);
        const documents = report.files['talos-registry-mirrors.yaml']!;
        const url = `http://${target.host}${prefix === '' ? '' : `/v2${prefix}`}`;
        assert.match(documents, new RegExp(`kind: RegistryMirrorConfig\nname: ${HOST}\nendpoints:\n *- url: ${url}\n`));
        assert.equal(/overridePath: true/.test(documents), prefix !== '');
      });
    }
  });
}

/** As another program finds it: by its digest, and by the subject that says what it is about. */
async function assertInLayout(directory: string, { manifest }: TestImage, lists: boolean): Promise<void> {
  const name = digestOf(manifest).slice('sha256:'.length);
  assert.deepEqual(await readFile(join(directory, 'blobs/sha256', name)), Buffer.from(manifest));
  const { subject } = JSON.parse(Buffer.from(manifest).toString()) as {
    readonly subject?: { readonly digest: string };
  };
  if (!lists || subject === undefined) return;
  const { manifests } = JSON.parse(await readFile(join(directory, 'index.json'), 'utf8')) as {
    readonly manifests: readonly { readonly digest: string; readonly annotations: Record<string, string> }[];
  };
  const tag = subject.digest.replace(':', '-');
  const entry = manifests.find(({ annotations }) => annotations['org.opencontainers.image.ref.name'] === tag);
  const index = await readFile(join(directory, 'blobs/sha256', entry!.digest.slice('sha256:'.length)), 'utf8');
  assert.ok(index.includes(digestOf(manifest)));
}

test('a damaged copy is named', async () => {
  const source = await startSource();
  const directory = space.path('damaged');
  await mirrored(source, `oci:${directory}`, 'damaged-store');
  const layer = images.get('two')!.blobs[1]!;
  const path = join(directory, 'blobs/sha256', digestOf(layer).slice('sha256:'.length));
  const data = await readFile(path);
  data[100]! ^= 1;
  await writeFile(path, data);
  const args = ['mirror', 'verify', `oci:${directory}`, '--policy', space.path('policy.yaml')];
  const proof = await imager(args);
  assert.equal(proof.code, 5);
  assert.match(proof.text, /^WRONG registry\.example\/team\/two:v1\n.*its content has digest/m);
  assert.match(proof.stderr, /1 of 6 images/);
  // The next run puts it right.
  assert.ok((await mirrored(source, `oci:${directory}`, 'damaged-store')) !== undefined);
  await source.close();
  assert.equal((await imager(args)).code, 0);
});

test('a signature that the copy lacks is missed in it, not looked for elsewhere', async () => {
  const source = await startSource();
  const directory = space.path('unsigned');
  await mirrored(source, `oci:${directory}`, 'unsigned-store');
  await source.close();
  const index = join(directory, 'index.json');
  const document = JSON.parse(await readFile(index, 'utf8'));
  const tag = signatureTag(images.get('one')!, 'legacy');
  const isOther = ({ annotations }: { readonly annotations: Record<string, string> }): boolean =>
    !annotations['org.opencontainers.image.ref.name']!.endsWith(tag);
  await writeFile(index, JSON.stringify({ ...document, manifests: document.manifests.filter(isOther) }));
  const { code, stderr } = await imager(
    [
      ...['-', ...imagerArguments, '--policy', space.path('policy.yaml'), '-o', space.path('out-unsigned')],
      ...['--mirror', `${HOST}=oci:${directory}`, '--store', space.path('store-unsigned')],
    ],
    { stdin: profile },
  );
  assert.equal(code, 5);
  assert.match(stderr, /team\/one@sha256:\w+: no signature/);
});

describe('refused', () => {
  const refused = async (args: readonly string[], message: RegExp, code: number): Promise<void> => {
    const outcome = await imager(args);
    assert.match(outcome.stderr, message);
    assert.equal(outcome.code, code, outcome.stderr);
  };
  test('no destination', () => refused(['mirror'], /mirror: want where to/, 1));
  test('a word as destination', () =>
    refused(['mirror', 'here', '--image', 'a/b:v1'], /want oci:DIR or a registry/, 1));
  test('no images', () => refused(['mirror', `oci:${space.path('none')}`], /no images, want --image/, 1));
  test('a registry to verify without a list', () => refused(['mirror', 'verify', 'localhost:1'], /no images/, 1));
  test('a release nobody knows', () =>
    refused(['images', '--talos-version', 'v1.99.0'], /no list of its images, want 1\.8/, 3));
  test('a directory with something else in it', () =>
    refused(['mirror', `oci:${space.directory}`, '--image', 'localhost:1/a/b:v1'], /something else in it/, 2));

  test('two images that would have one name', async () => {
    await using target = await startPushRegistry();
    const [one, two] = [await startRegistry(), await startRegistry()];
    one.serve('team/a', 'v1', images.get('one')!);
    two.serve('team/a', 'v1', images.get('two')!);
    const given = ['--image', `${one.host}/team/a:v1`, '--image', `${two.host}/team/a:v1`];
    await refused(
      ['mirror', target.host, '--store', space.path('clash'), ...given],
      /team\/a:v1: stands for .* is another image/,
      2,
    );
    await Promise.all([one.close(), two.close()]);
  });
});

test('blobs that another repository of the mirror has are taken over there', async () => {
  await using target = await startPushRegistry();
  const source = await startRegistry();
  for (const name of ['team/a', 'team/b']) source.serve(name, 'v1', images.get('one')!);
  const given = ['--image', `${source.host}/team/a:v1`, '--image', `${source.host}/team/b:v1`];
  const { code, text, stderr } = await imager(['mirror', target.host, '--store', space.path('s'), '--json', ...given]);
  await source.close();
  assert.equal(code, 0, stderr);
  const [first, second] = (JSON.parse(text) as Report).images;
  assert.equal(first!.outcomes.mounted, 0);
  assert.equal(second!.outcomes.mounted, 2);
});

describe('a site that signs its copies itself', () => {
  const site = signingKey();
  const one = images.get('one')!;
  const digest = digestOf(one.manifest);
  const tags = [signatureTag(one, 'legacy'), signatureTag(one, 'bundle')];
  const reference = `${HOST}/team/one:v1`;

  const verified = async (from: readonly string[], pem: string): Promise<void> => {
    const { code, text, stderr } = await imager(['verify', reference, ...from, '--verify-key', pem]);
    assert.equal(code, 0, text + stderr);
  };

  test('in a registry: its signatures stay beside those that come, also the second time', async () => {
    await using target = await startPushRegistry();
    const source = await startSource();
    const other = key.bundle(digest);
    source.serve('team/one', signatureTag(one, 'bundle'), other);
    const given = ['--image', reference, '--store', space.path('own-registry'), '--json', '--quiet'];
    const run = async (): Promise<Report> => {
      const { code, text, stderr } = await imager(['mirror', target.host, ...given, ...(await reach(source.url))]);
      assert.equal(code, 0, stderr);
      return JSON.parse(text) as Report;
    };
    const put = (tag: string, { manifest, mediaType, children, blobs }: TestImage): void => {
      target.manifests.set(`team/one ${tag}`, { mediaType, data: manifest });
      target.manifests.set(`team/one ${digestOf(manifest)}`, { mediaType, data: manifest });
      for (const blob of blobs) target.blobs.set(`team/one ${digestOf(blob)}`, blob);
      for (const child of children) put(digestOf(child.manifest), child);
    };
    put(tags[0]!, site.legacySignature(digest));
    put(tags[1]!, site.bundle(digest));
    await writeFile(space.path('site.pem'), site.publicKeyPem);
    await run();
    const after = tags.map((tag) => Buffer.from(target.manifests.get(`team/one ${tag}`)!.data).toString());
    assert.equal(copiedBy(await run()), 0);
    await source.close();
    const mirror = await reach(`http://${target.host}`);
    for (const pem of ['site.pem', 'key.pem']) await verified(mirror, space.path(pem));
    const proof = await imager(['mirror', 'verify', target.host, '--insecure', '--image', reference]);
    assert.equal(proof.code, 0, proof.text);
    // Each form by itself has both.
    assert.equal(JSON.parse(after[0]!).layers.length, 2);
    assert.equal(JSON.parse(after[1]!).manifests.length, 2);
  });

  test('in a directory, under the name other tools give them', async () => {
    const source = await startSource();
    const directory = space.path('own-layout');
    await mirrored(source, `oci:${directory}`, 'own-layout-store');
    const { manifest, blobs, mediaType } = site.legacySignature(digest);
    for (const blob of [manifest, ...blobs]) {
      await writeFile(join(directory, 'blobs/sha256', digestOf(blob).slice('sha256:'.length)), blob);
    }
    const index = join(directory, 'index.json');
    const document = JSON.parse(await readFile(index, 'utf8'));
    const annotations = { 'org.opencontainers.image.ref.name': tags[0] };
    const isSame = (entry: { readonly annotations: Record<string, string> }): boolean =>
      entry.annotations['org.opencontainers.image.ref.name'] === tags[0];
    const manifests = [
      ...document.manifests.filter((entry: Parameters<typeof isSame>[0]) => !isSame(entry)),
      { mediaType, digest: digestOf(manifest), size: manifest.length, annotations },
    ];
    await writeFile(index, JSON.stringify({ ...document, manifests }));
    await writeFile(space.path('site.pem'), site.publicKeyPem);
    await mirrored(source, `oci:${directory}`, 'own-layout-store');
    await source.close();
    for (const pem of ['site.pem', 'key.pem']) await verified(['--from', `oci:${directory}`], space.path(pem));
    const proof = await imager(['mirror', 'verify', `oci:${directory}`, '--policy', space.path('policy.yaml')]);
    assert.equal(proof.code, 0, proof.text);
  });

  test('what cannot be joined is left as it is, and said', async () => {
    await using target = await startPushRegistry();
    const source = await startSource();
    const own = Buffer.from(imagerImage.manifest);
    target.manifests.set(`team/one ${tags[0]}`, { mediaType: imagerImage.mediaType, data: own });
    const given = ['--image', reference, '--store', space.path('own-clash'), ...(await reach(source.url))];
    const { code, stderr } = await imager(['mirror', target.host, ...given]);
    await source.close();
    assert.equal(code, 2);
    assert.match(stderr, /team\/one:sha256-\w+\.sig: holds something else there than here, want it moved/);
    assert.deepEqual(Buffer.from(target.manifests.get(`team/one ${tags[0]}`)!.data), own);
  });
});

describe('names of catalogs', () => {
  const lines = EXTENSIONS.map((name) => `${HOST}/team/${name}:v1@${digestOf(images.get(name)!.manifest)}`);
  const names = EXTENSIONS.slice(0, 2).flatMap((name) => ['--system-extension', `team/${name}`]);

  /** The catalog is signed like the rest, and asked for by its name. */
  async function startCatalogSource(): Promise<TestRegistry> {
    const registry = await startSource();
    const data = await read(layoutTar(treeOfLiterals({ 'image-digests': `${lines.join('\n')}\n` })));
    const catalog = testImage([{ data }]);
    registry.serve('team/catalog', 'v1', catalog);
    registry.serve('team/catalog', signatureTag(catalog, 'legacy'), key.legacySignature(digestOf(catalog.manifest)));
    return registry;
  }

  const catalogFlag = ['--extension-catalog', `${HOST}/team/catalog:v1`];
  const policy = ['--policy', space.path('policy.yaml')];

  const copy = async (
    source: TestRegistry,
    directory: string,
    more: readonly string[],
  ): Promise<{ readonly code: number; readonly stderr: string; readonly images: readonly string[] }> => {
    const { code, text, stderr } = await imager([
      ...['mirror', `oci:${directory}`, '--image', `${HOST}/team/imager:${VERSION}`, ...catalogFlag, ...more],
      ...(await reach(source.url)),
      ...['--store', space.path('catalog-store'), '--json'],
    ]);
    return {
      code,
      stderr,
      images: code === 0 ? (JSON.parse(text) as Report).images.map(({ reference }) => reference) : [],
    };
  };

  test('the catalog goes along with what they lead to, and a build resolves them from the copy alone', async () => {
    const source = await startCatalogSource();
    const directory = space.path('named');
    const { code, stderr, images: copied } = await copy(source, directory, [...names, ...policy]);
    await source.close();
    assert.equal(code, 0, stderr);
    assert.match(stderr, /verified registry\.example\/team\/catalog: signed by the key/);
    assert.deepEqual(copied, [`${HOST}/team/imager:${VERSION}`, `${HOST}/team/catalog:v1`, ...lines.slice(0, 2)]);
    const build = async (more: readonly string[]) =>
      imager([
        ...['iso', '--output-kind', 'initramfs', '--arch', 'arm64', '--talos-version', VERSION, ...imagerArguments],
        ...[...catalogFlag, ...policy, '--mirror', `${HOST}=oci:${directory}`, '--offline'],
        ...['--store', space.path(`named-store-${++runs}`), '-o', space.path(`named-out-${runs}`), ...more],
      ]);
    const good = await build(names);
    assert.equal(good.code, 0, good.stderr);
    assert.equal((await readdir(space.path(`named-out-${runs}`))).length, 1);
    const missing = await build(['--system-extension', 'team/five']);
    assert.equal(missing.code, 5);
    assert.match(missing.stderr, /team\/five.* is not in oci:/);
    const proof = await imager(['mirror', 'verify', `oci:${directory}`, ...policy]);
    assert.equal(proof.code, 0, proof.text + proof.stderr);
    assert.equal(proof.text.match(/^good /gm)?.length, 4);
  });

  test('a catalog that nobody vouches for is not believed', async () => {
    const source = await startCatalogSource();
    const { code, stderr } = await copy(source, space.path('unknown'), names);
    await source.close();
    assert.equal(code, 5);
    assert.match(stderr, /team\/catalog: no rule says who must have signed it/);
  });

  test('all of them, official ones too', async () => {
    const source = await startCatalogSource();
    const vendor = await startRegistry();
    const extension = images.get('three')!;
    const overlay = images.get('four')!;
    vendor.serve('siderolabs/gvisor', 'v1', extension);
    vendor.serve('siderolabs/sbc-x', 'v1', overlay);
    const gvisor = `ghcr.io/siderolabs/gvisor:v1@${digestOf(extension.manifest)}`;
    const sbc = `ghcr.io/siderolabs/sbc-x:v1`;
    const files = async (content: Readonly<Record<string, string>>): Promise<TestImage> =>
      testImage([{ data: await read(layoutTar(treeOfLiterals(content))) }]);
    vendor.serve('siderolabs/extensions', 'v1.13.9', await files({ 'image-digests': `${gvisor}\n` }));
    const list = `overlays:\n- name: x\n  image: ${sbc}\n  digest: ${digestOf(overlay.manifest)}\n`;
    vendor.serve('siderolabs/overlays', 'v1.13.9', await files({ 'overlays.yaml': list }));
    const hosts = space.path('both');
    for (const [host, { url }] of [[HOST, source] as const, ['ghcr.io', vendor] as const]) {
      await mkdir(join(hosts, host), { recursive: true });
      await writeFile(join(hosts, host, 'hosts.toml'), `server = "${url}"\n`);
    }
    const { code, text, stderr } = await imager([
      ...['mirror', `oci:${space.path('all')}`, '--all-extensions', '--all-overlays', ...catalogFlag, ...policy],
      ...['--allow-unsigned', 'ghcr.io/siderolabs/*', '--hosts-dir', hosts],
      ...['--store', space.path('all-store'), '--json'],
    ]);
    await Promise.all([source.close(), vendor.close()]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(
      (JSON.parse(text) as Report).images.map(({ reference }) => reference),
      [
        `${HOST}/team/catalog:v1`,
        'ghcr.io/siderolabs/extensions:v1.13.9',
        ...lines,
        gvisor,
        'ghcr.io/siderolabs/overlays:v1.13.9',
        `${sbc}@${digestOf(overlay.manifest)}`,
      ],
    );
  });
});
