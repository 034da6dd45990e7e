/** Builds from registries, held to rules about who must have signed what they take. */
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { imager, scratch } from '../support/command-line.ts';
import { digestOf, type TestImage } from '../support/image.ts';
import { assetFiles, assetImage } from '../support/pipeline.ts';
import { startRegistry } from '../support/registry.ts';
import { signatureTag, signingKey, startSigstore } from '../support/sigstore.ts';

const VERSION = 'v1.13.0';

const space = await scratch();
after(() => space[Symbol.asyncDispose]());
const image = await assetImage(assetFiles());
const other = await assetImage({ ...assetFiles(), 'etc/other': 'another image' });
const sigstore = await startSigstore();
const key = signingKey();
const strangeKey = signingKey();

await writeFile(space.path('root.json'), sigstore.trustedRoot);
await writeFile(space.path('key.pem'), key.publicKeyPem);
await writeFile(space.path('strange.pem'), strangeKey.publicKeyPem);

const KEY = ['--verify-key', space.path('key.pem')];
const IDENTITY = [
  ...['--verify-identity', sigstore.subject],
  ...['--verify-issuer', sigstore.issuer],
  ...['--trusted-root', space.path('root.json')],
];

interface Served {
  readonly host: string;
  serve(repository: string, tag: string, image: TestImage): void;
  close(): Promise<void>;
}

let runs = 0;

/** Builds a kernel, the smallest output, of an image that `fill` has signed, or not. */
async function buildFrom(
  fill: (registry: Served) => void | Promise<void>,
  args: readonly string[],
  options: { readonly store?: string; readonly serveImage?: boolean } = {},
): Promise<{ code: number; stderr: string; text: string; written: string[]; host: string }> {
  const registry = await startRegistry();
  runs += 1;
  const output = space.path(`out-${runs}`);
  try {
    if (options.serveImage !== false) registry.serve('team/imager', VERSION, image);
    await fill(registry);
    const { code, stderr, text } = await imager([
      ...['iso', '--output-kind', 'kernel', '--arch', 'arm64', '--talos-version', VERSION],
      ...['--imager-image', `registry.example/team/imager:${VERSION}`],
      ...['--mirror', `registry.example=http://${registry.host}`],
      ...['--store', options.store ?? space.path(`store-${runs}`), '-o', output],
      ...args,
    ]);
    const written = await readdir(output).catch(() => []);
    return { code, stderr, text, written, host: registry.host };
  } finally {
    await registry.close();
  }
}

const legacy = (signature: TestImage) => (registry: Served) =>
  registry.serve('team/imager', signatureTag(image, 'legacy'), signature);
const bundled = (signature: TestImage) => (registry: Served) =>
  registry.serve('team/imager', signatureTag(image, 'bundle'), signature);

const DIGEST = digestOf(image.manifest);

const GOOD: readonly (readonly [name: string, fill: (registry: Served) => void, args: readonly string[]])[] = [
  ['a legacy signature with a key', legacy(key.legacySignature(DIGEST)), KEY],
  ['a bundle with a key', bundled(key.bundle(DIGEST)), KEY],
  ['a legacy signature with an identity', legacy(await sigstore.legacySignature(DIGEST)), IDENTITY],
  ['a bundle with an identity', bundled(await sigstore.bundle(DIGEST)), IDENTITY],
  ['nothing, where that is allowed', () => undefined, ['--allow-unsigned', 'registry.example/team/*']],
];

for (const [name, fill, args] of GOOD) {
  test(`good: ${name}`, async () => {
    const { code, stderr, written } = await buildFrom(fill, args);
    assert.equal(code, 0, stderr);
    assert.equal(written.length, 1);
  });
}

const otherDigest = digestOf(other.manifest);

const REFUSED: readonly (readonly [
  name: string,
  fill: (registry: Served) => void,
  args: readonly string[],
  message: RegExp,
])[] = [
  ['no signature', () => undefined, KEY, /registry\.example\/team\/imager@sha256:\w+: no signature, wanted by/],
  ['another key', legacy(strangeKey.legacySignature(DIGEST)), KEY, /signature refused: signature: /],
  [
    'another identity',
    bundled(await sigstore.bundle(DIGEST)),
    [...IDENTITY, '--verify-identity', 'x'],
    /identity: signed by/,
  ],
  [
    'a signature of another image',
    legacy(key.legacySignature(otherDigest)),
    KEY,
    /signature refused: digest: signs sha256/,
  ],
  ['a root that knows nobody', bundled(await sigstore.bundle(DIGEST)), IDENTITY.slice(0, 4), /log-key: no trusted key/],
  ['nobody said who must sign', legacy(key.legacySignature(DIGEST)), [], /no rule says who must have signed it/],
];

for (const [name, fill, args, message] of REFUSED) {
  test(`refused: ${name}`, async () => {
    const { code, stderr, written } = await buildFrom(fill, args);
    assert.match(stderr, message);
    assert.equal(code, 5, stderr);
    assert.deepEqual(written, []);
  });
}

test('a registry that refuses signatures is a third thing', async () => {
  const { code, stderr } = await buildFrom(() => undefined, KEY, { serveImage: false });
  assert.equal(code, 5);
  assert.doesNotMatch(stderr, /signature/);
});

test('a policy file decides by the most specific rule', async () => {
  const policy = space.path('policy.yaml');
  const rules = [
    'rules:',
    '  - {pattern: "registry.example/*", allowUnsigned: true}',
    '  - {pattern: registry.example/team/*, keys: [key.pem]}',
  ];
  await writeFile(policy, `${rules.join('\n')}\n`);
  const unsigned = await buildFrom(() => undefined, ['--policy', policy]);
  assert.equal(unsigned.code, 5);
  assert.match(unsigned.stderr, /rule registry\.example\/team\/\* \(.*policy\.yaml:3\)/);
  const signed = await buildFrom(legacy(key.legacySignature(DIGEST)), ['--policy', policy]);
  assert.equal(signed.code, 0, signed.stderr);
});

test('a profile document names its policy; a flag goes before it', async () => {
  const allowing = space.path('allowing.yaml');
  await writeFile(allowing, 'rules:\n  - {pattern: "registry.example/*", allowUnsigned: true}\n');
  const demanding = space.path('demanding.yaml');
  await writeFile(demanding, 'rules:\n  - {pattern: "registry.example/*", keys: [key.pem]}\n');
  const registry = await startRegistry();
  try {
    registry.serve('team/imager', VERSION, image);
    const built = (policy: string, ...args: readonly string[]): ReturnType<typeof imager> => {
      const stdin = [
        `baseProfileName: iso\narch: arm64\nversion: ${VERSION}`,
        `input: {policy: ${policy}}`,
        'output: {kind: kernel, outFormat: raw}\n',
      ].join('\n');
      const reach = ['--mirror', `registry.example=http://${registry.host}`, '--store', space.path('store-profile')];
      const assets = ['--imager-image', `registry.example/team/imager:${VERSION}`, '-o', space.path('out-profile')];
      return imager(['-', ...assets, ...reach, ...args], { stdin });
    };
    assert.equal((await built(allowing)).code, 0);
    const refused = await built(demanding);
    assert.equal(refused.code, 5);
    assert.match(refused.stderr, /no signature, wanted by/);
    assert.equal((await built(demanding, '--policy', allowing)).code, 0);
    assert.equal((await built(space.path('nowhere.yaml'))).code, 6);
  } finally {
    await registry.close();
  }
});

test('an expression that matches more than it seems to is warned of, and counts', async () => {
  const policy = space.path('wide.yaml');
  const subject = sigstore.subject.replace(/.*@/, '@').replaceAll('.', '\\.');
  await writeFile(
    policy,
    [
      ...['rules:', '  - pattern: registry.example/team/*', '    identities:'],
      ...[`      - subjectRegExp: '${subject}'`, `        issuer: ${sigstore.issuer}`],
    ].join('\n'),
  );
  const { stderr, text } = await buildFrom(
    () => undefined,
    ['--policy', policy, '--trusted-root', space.path('root.json')],
  );
  assert.match(text + stderr, /wide\.yaml:4:\d+: .*has no \$ at its end/);
  assert.match(stderr, /rule registry\.example\/team\/\* \(.*wide\.yaml:2\)/);
});

test('mistakes in a policy file have their places', async () => {
  const policy = space.path('broken.yaml');
  await writeFile(
    policy,
    'rules:\n  - {pattern: a/*, allowUnsined: true}\n  - {pattern: b/*, identities: [{subject: x}]}\n',
  );
  const { code, stderr } = await buildFrom(() => undefined, ['--policy', policy]);
  assert.equal(code, 2);
  assert.match(stderr, /broken\.yaml:2:20: rules\[0\]\.allowUnsined: unknown key/);
  assert.match(stderr, /broken\.yaml:3:\d+: rules\[1\]\.identities\[0\]: identity without issuer/);
});

test('a name that leads elsewhere after it was verified does not matter', async () => {
  // The signature is looked for between the question for the name and that for the content: there the name is moved.
  const registry = await startRegistry({
    faults: [
      ({ url }) => {
        if (url.includes('.sig')) registry.serve('team/imager', VERSION, other);
        return undefined;
      },
    ],
  });
  try {
    registry.serve('team/imager', VERSION, image);
    registry.serve('team/imager', signatureTag(image, 'legacy'), key.legacySignature(DIGEST));
    const store = space.path('moved-store');
    const args = ['plan', 'iso', '--output-kind', 'kernel', '--arch', 'arm64', '--json', '--store', store, ...KEY];
    const { code, text, stderr } = await imager([
      ...args,
      ...[
        '--imager-image',
        `registry.example/team/imager:${VERSION}`,
        '--mirror',
        `registry.example=http://${registry.host}`,
      ],
    ]);
    assert.equal(code, 0, stderr);
    assert.equal(JSON.parse(text).inputs[0].digest, DIGEST);
  } finally {
    await registry.close();
  }
});

test('the plan says who vouches for what', async () => {
  const registry = await startRegistry();
  try {
    registry.serve('team/imager', VERSION, image);
    registry.serve('team/imager', signatureTag(image, 'bundle'), await sigstore.bundle(DIGEST));
    const common = ['--output-kind', 'kernel', '--arch', 'arm64', '--store', space.path('plan-store'), ...IDENTITY];
    const source = ['--imager-image', `registry.example/team/imager:${VERSION}`];
    const mirror = ['--mirror', `registry.example=http://${registry.host}`];
    const { code, text, stderr } = await imager(['plan', 'iso', '--json', ...common, ...source, ...mirror]);
    assert.equal(code, 0, stderr);
    const [verification] = JSON.parse(text).verifications;
    assert.equal(verification.image, 'registry.example/team/imager');
    assert.equal(verification.status, 'verified');
    assert.equal(verification.subject, sigstore.subject);
    assert.equal(verification.digest, DIGEST);
    const words = await imager(['plan', 'iso', ...common, ...source, ...mirror]);
    assert.match(
      words.text,
      /verification:\n {2}registry\.example\/team\/imager: signed by https:\/\/ci\.team\.example\/release/,
    );
  } finally {
    await registry.close();
  }
});

test('offline the kept signatures are judged again, by the rules of the day', async () => {
  const store = space.path('offline-store');
  const online = await buildFrom(legacy(key.legacySignature(DIGEST)), KEY, { store });
  assert.equal(online.code, 0, online.stderr);
  const again = await buildFrom(() => undefined, [...KEY, '--offline'], { store, serveImage: false });
  assert.equal(again.code, 0, again.stderr);
  const strange = ['--verify-key', space.path('strange.pem'), '--offline'];
  const refused = await buildFrom(() => undefined, strange, { store, serveImage: false });
  assert.equal(refused.code, 5);
  assert.match(refused.stderr, /signature refused: signature/);
});

test('what comes from this machine is used, and said not to be verified', async () => {
  const registry = await startRegistry();
  try {
    registry.serve('team/imager', VERSION, image);
    const { code, stderr } = await imager([
      ...['iso', '--output-kind', 'kernel', '--arch', 'arm64', '--store', space.path('loopback')],
      ...['--imager-image', `${registry.host}/team/imager:${VERSION}`, '--insecure', '-o', space.path('out-loopback')],
    ]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /warning: .*team\/imager: not verified, no rule says who must have signed it/);
  } finally {
    await registry.close();
  }
});
