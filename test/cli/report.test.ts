/** `--report`: what builds say of themselves, for every kind of output and every way out. */
import assert from 'node:assert/strict';
import { createHash, createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { nodePlatform } from '../../src/platform/node.ts';
import { type Circumstances, imager, type Outcome, scratch } from '../support/command-line.ts';
import { baseInitramfs, extensionImage, extensionTree } from '../support/extension-images.ts';
import { digestOf, type TestImage, testIndex, writeLayout } from '../support/image.ts';
import { sha256OfFile } from '../support/imager-process.ts';
import { writeVectorLayout } from '../support/installer-vectors.ts';
import { assetFiles, assetImage } from '../support/pipeline.ts';
import { startPushRegistry } from '../support/push-registry.ts';
import { startRegistry } from '../support/registry.ts';
import { cycloneDxObjections, slsaObjections, spdxObjections } from '../support/report-judges.ts';
import { signatureTag, startSigstore } from '../support/sigstore.ts';
import { spdxDocument } from '../support/spdx-documents.ts';

const VERSION = 'v1.13.0';
const SECRETS = ['wireguard-private', 'hidden-token', 'hidden-password', 'hidden-config'];

const space = await scratch();
after(() => space[Symbol.asyncDispose]());
const registry = await startRegistry();
after(() => registry.close());

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const KEY = space.path('report.pem');

let image: TestImage;
let arm64: TestImage;
let subject = '';
let issuer = '';

before(async () => {
  const platform = nodePlatform({});
  const sbom = spdxDocument({ name: 'talos' });
  const initramfs = await baseInitramfs(platform, undefined, { 'usr/share/spdx/talos-arm64.spdx.json': sbom });
  const files = assetFiles();
  for (const arch of ['amd64', 'arm64']) files[`usr/install/${arch}/initramfs.xz`] = initramfs;
  arm64 = await assetImage(files);
  image = testIndex([await assetImage(files, 'amd64'), arm64]);
  const sigstore = await startSigstore();
  ({ subject, issuer } = sigstore);
  registry.serve('team/imager', VERSION, image);
  registry.serve('team/imager', signatureTag(image, 'bundle'), await sigstore.bundle(digestOf(image.manifest)));
  await writeFile(space.path('root.json'), sigstore.trustedRoot);
  const shipped = { 'usr/local/share/spdx/tool.spdx.json': spdxDocument({ name: 'tool' }), 'usr/local/bin/tool': 'x' };
  await writeLayout(space.path('tool'), { v1: await extensionImage(extensionTree(shipped, { name: 'tool' })) });
  const broken = extensionTree({ 'usr/local/share/spdx/broken.spdx.json': '{"spdxVersion": 1}' }, { name: 'broken' });
  await writeLayout(space.path('broken'), { v1: await extensionImage(broken) });
  await writeVectorLayout(space.directory, 'base1');
  await writeFile(KEY, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await platform.close();
});

function common(): string[] {
  return [
    ...['--talos-version', VERSION, '--imager-image', `registry.example/team/imager:${VERSION}`],
    ...['--mirror', `registry.example=http://${registry.host}`, '--store', space.path('store')],
    ...['--verify-identity', subject, '--verify-issuer', issuer, '--trusted-root', space.path('root.json'), '--quiet'],
  ];
}

/** For arm64, whose ISO needs no GRUB. */
function build(args: readonly string[], circumstances: Circumstances = {}): Promise<Outcome> {
  return imager([...args, ...common(), ...(args.includes('--arch') ? [] : ['--arch', 'arm64'])], circumstances);
}

function reports(...paths: readonly string[]): string[] {
  return paths.flatMap((path) => ['--report', space.path(path)]);
}

function text(path: string): Promise<string> {
  return readFile(space.path(path), 'utf8');
}

async function json(path: string): Promise<Record<string, never>> {
  return JSON.parse(await text(path)) as Record<string, never>;
}

interface Report {
  readonly builds: readonly {
    readonly kind: string;
    readonly architecture: string;
    readonly inputs: readonly {
      readonly role: string;
      readonly digest: string;
      readonly image?: { readonly verification?: Readonly<Record<string, unknown>> };
    }[];
  }[];
  readonly outputs: readonly {
    readonly name: string;
    readonly size: number;
    readonly digests: Readonly<Record<string, string>>;
  }[];
}

async function reportOf(path: string): Promise<Report> {
  return (await json(path)) as unknown as Report;
}

const ALL = [
  'build.json',
  'iso.intoto.json',
  'iso.intoto.jsonl',
  'iso.cdx.json',
  'iso.spdx.json',
  'SHA256SUMS',
  'SHA512SUMS',
];

function isoWith(directory: string): string[] {
  return [
    ...['iso', '-o', space.path(directory), '--system-extension-image', `oci:${space.path('tool')}`],
    ...['--meta', '12=wireguard-private', '--embedded-config-path', space.path('config.yaml'), '--no-validate'],
    ...['--extra-kernel-arg', 'siderolink.api=https://me:hidden-password@api.example/?jointoken=hidden-token'],
    ...reports(...ALL.map((name) => join(directory, name))),
    ...['--report-key', KEY, '--report-builder', 'https://ci.example/images'],
  ];
}

describe('an ISO with everything', () => {
  before(async () => {
    await writeFile(space.path('config.yaml'), 'machine:\n  token: hidden-config\n');
    const { code, stderr } = await build(isoWith('iso'));
    assert.equal(code, 0, stderr);
  });

  test('every report is there with its signature, and nothing else', async () => {
    const signed = ALL.flatMap((name) => [name, `${name}.sigstore.json`]);
    assert.deepEqual(await readdir(space.path('iso')), ['metal-arm64.iso', ...signed].sort());
  });

  test('inputs: digest, who signed, where that is logged and when', async () => {
    const { builds } = await reportOf('iso/build.json');
    const [{ inputs }] = builds as [Report['builds'][number]];
    assert.deepEqual(
      inputs.map(({ role }) => role),
      ['imager-image', 'system-extension'],
    );
    assert.equal(inputs[0]!.digest, digestOf(arm64.manifest));
    const { logIndex, signedAt, ...rest } = inputs[0]!.image!.verification!;
    assert.equal(rest.digest, digestOf(image.manifest));
    assert.equal(typeof logIndex, 'number');
    assert.match(String(signedAt), /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.equal(rest.subject, subject);
    assert.equal(rest.issuer, issuer);
    assert.equal(rest.mode, 'keyless');
  });

  test('outputs: the digests that were taken while it was written', async () => {
    const { outputs } = await reportOf('iso/build.json');
    const content = await readFile(space.path('iso/metal-arm64.iso'));
    assert.deepEqual(outputs, [
      {
        name: 'metal-arm64.iso',
        mediaType: 'application/vnd.efi-iso',
        size: content.length,
        digests: {
          sha256: createHash('sha256').update(content).digest('hex'),
          sha512: createHash('sha512').update(content).digest('hex'),
        },
      },
    ]);
    assert.equal(await text('iso/SHA256SUMS'), `${outputs[0]!.digests.sha256}  metal-arm64.iso\n`);
    assert.equal(await text('iso/SHA512SUMS'), `${outputs[0]!.digests.sha512}  metal-arm64.iso\n`);
  });

  test('public validators', async () => {
    assert.deepEqual(slsaObjections(await text('iso/iso.intoto.json')), []);
    assert.deepEqual(spdxObjections(await text('iso/iso.spdx.json')), []);
    assert.deepEqual(await cycloneDxObjections(await text('iso/iso.cdx.json')), []);
  });

  test('SBOMs hold what Talos and the extension ship', async () => {
    const { packages } = (await json('iso/iso.spdx.json')) as unknown as { packages: { name: string }[] };
    const { components } = (await json('iso/iso.cdx.json')) as unknown as { components: { name: string }[] };
    for (const names of [packages, components].map((list) => list.map(({ name }) => name))) {
      assert.ok(names.includes('github.com/example/talos-lib'), names.join());
      assert.ok(names.includes('github.com/example/tool-lib'), names.join());
    }
  });

  test('the envelope holds the statement', async () => {
    const envelope = (await json('iso/iso.intoto.jsonl')) as unknown as { payload: string };
    assert.equal(`${Buffer.from(envelope.payload, 'base64')}\n`, await text('iso/iso.intoto.json'));
  });

  test('signatures are of the files', async () => {
    const publicKey = createPublicKey(pair.publicKey.export({ type: 'spki', format: 'pem' }));
    for (const name of ALL) {
      const content = await readFile(space.path(`iso/${name}`));
      const bundle = (await json(`iso/${name}.sigstore.json`)) as unknown as {
        messageSignature: { signature: string };
      };
      const signature = Buffer.from(bundle.messageSignature.signature, 'base64');
      assert.ok(verify('sha256', content, publicKey, signature), name);
      assert.ok(!verify('sha256', Buffer.concat([content, Buffer.of(10)]), publicKey, signature), name);
    }
  });

  test('no secret is in any of them', async () => {
    for (const name of ALL) {
      const content = await text(`iso/${name}`);
      const payload = name.endsWith('l') ? Buffer.from(JSON.parse(content).payload, 'base64').toString() : content;
      for (const secret of SECRETS) {
        assert.ok(!payload.includes(secret), `${secret} is in ${name}`);
        const encoded = Buffer.from(secret).toString('base64').replaceAll('=', '');
        assert.ok(!payload.includes(encoded), `${secret} is in ${name}, encoded`);
      }
    }
  });

  test('another build says the same, byte for byte', async () => {
    const { code, stderr } = await build(isoWith('again'));
    assert.equal(code, 0, stderr);
    // Signatures have a random part.
    for (const name of ALL.filter((one) => !one.endsWith('l'))) {
      assert.equal(await text(`again/${name}`), await text(`iso/${name}`), name);
    }
  });
});

describe('ways out', () => {
  test('standard output', async () => {
    const { code, stdout, stderr } = await build(['iso', '-o', '-', ...reports('stdout/b.json', 'stdout/SHA256SUMS')]);
    assert.equal(code, 0, stderr);
    const digest = createHash('sha256').update(stdout).digest('hex');
    assert.equal(await text('stdout/SHA256SUMS'), `${digest}  metal-arm64.iso\n`);
    assert.deepEqual((await reportOf('stdout/b.json')).outputs[0]!.digests, { sha256: digest });
  });

  test('a tar on standard output has the reports in it', async () => {
    const { code, stderr } = await build(['iso', '-o', space.path('tar'), '--tar-to-stdout', ...reports('tar/b.json')]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(await readdir(space.path('tar')), ['b.json', 'metal-arm64.iso']);
    const { outputs } = await reportOf('tar/b.json');
    assert.equal(outputs[0]!.digests.sha256, await sha256OfFile(space.path('tar/metal-arm64.iso')));
  });

  test('a disk with holes, packed and not', async () => {
    for (const format of ['raw', 'zst']) {
      const directory = `disk-${format}`;
      const args = ['metal', '--image-disk-size', 'min', '--compression', format, '-o', space.path(directory)];
      const { code, stderr } = await build([...args, ...reports(`${directory}/b.json`)]);
      assert.equal(code, 0, stderr);
      const { outputs } = await reportOf(`${directory}/b.json`);
      assert.equal(outputs[0]!.digests.sha256, await sha256OfFile(space.path(`${directory}/${outputs[0]!.name}`)));
    }
  });

  for (const kind of ['kernel', 'initramfs', 'uki', 'cmdline']) {
    test(kind, async () => {
      const args = ['iso', '--output-kind', kind, '-o', space.path(kind)];
      const { code, stderr } = await build([...args, ...reports(`${kind}/b.json`, `${kind}/b.spdx.json`)]);
      assert.equal(code, 0, stderr);
      const { outputs } = await reportOf(`${kind}/b.json`);
      assert.equal(outputs[0]!.digests.sha256, await sha256OfFile(space.path(`${kind}/${outputs[0]!.name}`)));
      assert.deepEqual(spdxObjections(await text(`${kind}/b.spdx.json`)), []);
      const hasTalos = (await text(`${kind}/b.spdx.json`)).includes('github.com/example/talos-lib');
      assert.equal(hasTalos, kind === 'initramfs' || kind === 'uki');
    });
  }

  test('a directory for network boot', async () => {
    const args = ['pxe', space.path('pxe'), 'metal', ...reports('pxe.json', 'pxe.spdx.json', 'pxe.SHA256SUMS')];
    const { code, stderr } = await build(args);
    assert.equal(code, 0, stderr);
    const { builds, outputs } = await reportOf('pxe.json');
    assert.deepEqual(outputs.map(({ name }) => name).toSorted(), await readdir(space.path('pxe')));
    for (const { name, digests } of outputs)
      assert.equal(digests.sha256, await sha256OfFile(space.path(`pxe/${name}`)));
    for (const { inputs } of builds) for (const input of inputs) assert.ok(input.image?.verification, input.role);
    assert.match(await text('pxe.SHA256SUMS'), /^[0-9a-f]{64} {2}pxe\/boot\.ipxe$/m);
    assert.deepEqual(spdxObjections(await text('pxe.spdx.json')), []);
  });
});

describe('installers', () => {
  const base = (): string[] => ['--base-installer-image', `oci:${space.path('base1')}`];

  test('archives of both architectures', async () => {
    const args = ['installer', '--arch', 'amd64,arm64', '-o', space.path('archives'), ...base()];
    const { code, stderr } = await build([...args, ...reports('archives/b.json', 'archives/SHA256SUMS')]);
    assert.equal(code, 0, stderr);
    const { builds, outputs } = await reportOf('archives/b.json');
    assert.deepEqual(
      builds.map(({ architecture }) => architecture),
      ['amd64', 'arm64'],
    );
    for (const { name, digests } of outputs)
      assert.equal(digests.sha256, await sha256OfFile(space.path(`archives/${name}`)));
    assert.deepEqual(
      builds[0]!.inputs.map(({ role }) => role),
      ['imager-image', 'base-installer'],
    );
  });

  test('a layout and a push: by the digests of manifests', async () => {
    await using target = await startPushRegistry();
    const reference = `${target.host}/me/installer:v1`;
    const args = ['installer', '--arch', 'amd64,arm64', '-o', `oci:${space.path('layout')}:mine`, '--push', reference];
    const paths = reports('installer.json', 'installer.intoto.json', 'installer.cdx.json');
    const { code, text: printed, stderr } = await build([...args, ...base(), ...paths, '--json']);
    assert.equal(code, 0, stderr);
    const { images, pushed } = JSON.parse(printed) as { images: { digest: string }[]; pushed: { digest: string } };
    const { outputs } = await reportOf('installer.json');
    const expected = (name: string): string[][] => [
      [name, pushed.digest],
      ...images.map(({ digest }) => [`${name}@${digest}`, digest]),
    ];
    assert.deepEqual(
      outputs.map(({ name, digests }) => [name, `sha256:${digests.sha256}`]),
      [...expected(`oci:${space.path('layout')}:mine`), ...expected(reference)],
    );
    assert.deepEqual(slsaObjections(await text('installer.intoto.json')), []);
    assert.deepEqual(await cycloneDxObjections(await text('installer.cdx.json')), []);
  });
});

describe('what goes wrong', () => {
  async function fails(
    args: readonly string[],
    code: number,
    message: RegExp,
    more: Circumstances = {},
  ): Promise<void> {
    const outcome = await build(args, more);
    assert.equal(outcome.code, code, outcome.stderr);
    assert.match(outcome.stderr, message);
  }

  const iso = (directory: string): string[] => ['iso', '-o', space.path(directory)];

  test('flags that do not go together', async () => {
    await fails([...iso('no'), '--report', 'x'], 1, /flag --report "x": its name does not tell what to write/);
    await fails([...iso('no'), '--report-key', KEY], 1, /flag --report-key: want a --report it is for/);
    await fails([...iso('no'), '--report-builder', 'https://x'], 1, /flag --report-builder: want a --report/);
    await fails([...iso('no'), ...reports('x.json', 'x.json')], 1, /x\.json twice, want one report in a file/);
    await fails([...iso('no'), ...reports('x.intoto.jsonl')], 1, /an attestation is signed, want --report-key/);
    await fails([...iso('no'), ...reports('x.json'), '--report-builder', 'me'], 1, /--report-builder "me": want a URI/);
    await fails(
      [...iso('no'), '--report', `build=${space.path('no/metal-arm64.iso')}`],
      1,
      /the build writes that file itself/,
    );
    await fails(['pxe', space.path('no'), ...reports('no/SHA256SUMS')], 1, /the build writes that file itself/);
    await assert.rejects(readdir(space.path('no')));
  });

  test('keys that are none', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const encrypted = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'sesame' } as const;
    await writeFile(space.path('ed25519.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await writeFile(space.path('closed.pem'), pair.privateKey.export(encrypted));
    const withKey = (name: string): string[] => [
      ...iso('keys'),
      ...reports('keys/b.json'),
      '--report-key',
      space.path(name),
    ];
    await fails(withKey('missing.pem'), 6, /missing\.pem/);
    await fails(withKey('ed25519.pem'), 3, /a key of kind ed25519, want ECDSA P-256 or RSA/);
    await fails(withKey('closed.pem'), 2, /encrypted, and there is no passphrase.*\n.*COSIGN_PASSWORD/);
    await fails(withKey('closed.pem'), 2, /the passphrase does not open it/, {
      environment: { COSIGN_PASSWORD: 'wrong' },
    });
    await assert.rejects(readdir(space.path('keys')));
    const { code, stderr } = await build(withKey('closed.pem'), { environment: { COSIGN_PASSWORD: 'sesame' } });
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr + (await text('keys/b.json')), /sesame/);
  });

  test('a broken SBOM: nothing is built, and what was there stays', async () => {
    await mkdir(space.path('broken-out'));
    await writeFile(space.path('broken-out/old.spdx.json'), 'old');
    const args = [...iso('broken-out'), '--system-extension-image', `oci:${space.path('broken')}`];
    await fails(
      [...args, ...reports('broken-out/old.spdx.json')],
      5,
      /usr\/local\/share\/spdx\/broken\.spdx\.json: spdxVersion: 1: want text\n.*reports of other forms/,
    );
    assert.deepEqual(await readdir(space.path('broken-out')), ['old.spdx.json']);
    const other = await build([...args, ...reports('broken-out/b.json')]);
    assert.equal(other.code, 0, other.stderr);
  });

  test('a build that fails leaves no report', async () => {
    // In the way of the rename, when all is written.
    await mkdir(space.path('full/metal-arm64.iso/in-the-way'), { recursive: true });
    await fails([...iso('full'), ...reports('full/b.json', 'full/SHA256SUMS')], 6, /metal-arm64\.iso/);
    assert.deepEqual(await readdir(space.path('full')), ['metal-arm64.iso']);
  });

  test('a report that cannot be written takes the others with it, older ones too', async () => {
    const args = [...iso('half'), ...reports('half/a.json', 'half/b.spdx.json')];
    assert.equal((await build(args)).code, 0);
    await writeFile(space.path('file'), '');
    await fails([...args, ...reports('file/c.json')], 6, /file/);
    assert.deepEqual(await readdir(space.path('half')), ['metal-arm64.iso']);
  });

  test('a directory in the place of a report stays', async () => {
    await mkdir(space.path('own/b.json'), { recursive: true });
    await writeFile(space.path('own/b.json/mine'), '');
    await fails([...iso('own'), ...reports('own/a.json', 'own/b.json')], 6, /own\/b\.json/);
    assert.deepEqual(await readdir(space.path('own')), ['b.json', 'metal-arm64.iso']);
    assert.deepEqual(await readdir(space.path('own/b.json')), ['mine']);
  });

  test('an initramfs without an SBOM is told', async () => {
    registry.serve('team/plain', VERSION, await assetImage(assetFiles()));
    const args = [...iso('plain'), '--imager-image', `registry.example/team/plain:${VERSION}`];
    const { code, stderr } = await imager([
      ...[...args, ...common().filter((arg) => arg !== '--imager-image' && !arg.includes('team/imager'))],
      ...['--arch', 'arm64', '--allow-unsigned', 'registry.example/*', ...reports('plain/b.cdx.json')],
    ]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /warning: SBOM: initramfs: .*: what Talos v1\.13\.0 consists of is not listed/);
    const { compositions } = (await json('plain/b.cdx.json')) as unknown as { compositions: object[] };
    assert.deepEqual(compositions, [{ aggregate: 'unknown', assemblies: ['input-1'] }]);
  });
});
