/** The trusted root of a deployment of one's own, from its TUF repository: in builds, plans, `verify`, `trust refresh`, `mirror` and `doctor`. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { imager, scratch } from '../support/command-line.ts';
import { digestOf } from '../support/image.ts';
import { assetFiles, assetImage } from '../support/pipeline.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { signatureTag, startSigstore } from '../support/sigstore.ts';
import { startTufServer, type TufServer } from '../support/tuf-repository.ts';

const VERSION = 'v1.13.0';
const DAY = 86_400;
const NOW = Date.parse('2026-12-01T00:00:00Z') / 1000;

const space = await scratch();
const sigstore = await startSigstore();
let registry: TestRegistry;
let tuf: TufServer;
let runs = 0;

before(async () => {
  registry = await startRegistry();
  tuf = await startTufServer();
  const image = await assetImage(assetFiles());
  registry.serve('team/imager', VERSION, image);
  registry.serve('team/imager', signatureTag(image, 'bundle'), await sigstore.bundle(digestOf(image.manifest)));
  tuf.publish({ version: 1, target: sigstore.trustedRoot, expires: NOW + 40 * DAY });
  await writeFile(space.path('tuf-root.json'), tuf.initialRoot);
  await writeFile(space.path('root.json'), sigstore.trustedRoot);
});
after(async () => {
  await registry.close();
  await tuf.close();
  await space[Symbol.asyncDispose]();
});

const IMAGE = `registry.example/team/imager:${VERSION}`;
const reached = (): string[] => ['--mirror', `registry.example=${registry.url}`];
const identity = ['--verify-identity', sigstore.subject, '--verify-issuer', sigstore.issuer];
const own = (): string[] => ['--tuf-url', tuf.url, '--tuf-root', space.path('tuf-root.json')];
const freshStore = (): string[] => ['--store', space.path(`store-${++runs}`)];

const verify = (more: readonly string[], now: number) =>
  imager(['verify', IMAGE, ...reached(), ...identity, ...more], { now });

const iso = (more: readonly string[]): string[] => [
  ...['iso', '--output-kind', 'kernel', '--arch', 'arm64', '--talos-version', VERSION],
  ...['--imager-image', IMAGE, ...reached(), ...identity],
  ...more,
];

test('verify: fetched, its age told to people and programs, a failed refresh warned about', async () => {
  const store = freshStore();
  const first = await verify([...own(), ...store], NOW);
  assert.equal(first.code, 0, first.text + first.stderr);
  assert.match(first.text, /trusted root {2}from 127\.0\.0\.1:\d+, version 1, fetched 2026-12-01 \(.*\), 0 days old\n/);
  assert.equal(first.stderr, '');

  const second = await verify([...own(), ...store, '--json'], NOW + 20 * DAY);
  const report = JSON.parse(second.text);
  assert.equal(report.trustedRootAgeDays, 20);
  assert.match(report.trustedRoot, /fetched 2026-12-01/);

  const late = await verify([...own(), ...store, '--json'], NOW + 50 * DAY);
  assert.equal(late.code, 0, late.stderr);
  assert.match(
    late.stderr,
    /^warning: trusted root: could not be refreshed, .* 50 days old: timestamp\.json: .*expired\n$/,
  );
  assert.deepEqual(JSON.parse(late.text).warnings.length, 1);
});

test('verify with the public root: its age, and no host is asked where none may be', async () => {
  const image = `ghcr.io/siderolabs/imager@sha256:${'a'.repeat(64)}`;
  await writeFile(space.path('oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(space.path('index.json'), JSON.stringify({ schemaVersion: 2, manifests: [] }));
  const { text, code } = await imager(['verify', image, '--from', `oci:${space.directory}`, ...freshStore()], {
    now: NOW,
  });
  assert.equal(code, 5);
  assert.match(text, /trusted root {2}built in, of the public Sigstore instance, .*, 26 days old\n/);
});

test('a build fetches it when it has to, and goes on without a network from then on', async () => {
  const store = freshStore();
  const output = ['-o', space.path(`out-${runs}`)];
  const asked = tuf.requests.length;
  const built = await imager(iso([...own(), ...store, ...output]), { now: NOW });
  assert.equal(built.code, 0, built.stderr);
  assert.ok(tuf.requests.length > asked);
  const requests = tuf.requests.length + registry.requests.length;
  const offline = await imager(iso([...own(), ...store, ...output, '--offline']), { now: NOW + 100 * DAY });
  assert.equal(offline.code, 0, offline.stderr);
  assert.equal(tuf.requests.length + registry.requests.length, requests);
  // Without what was fetched the public root counts, which has not heard of these people.
  const stranger = await imager(iso([...store, ...output, '--offline']), { now: NOW });
  assert.equal(stranger.code, 5, stranger.stderr);
});

test('one warning for a refresh that fails, however many images are judged; the build is made', async () => {
  const store = freshStore();
  const args = (more: readonly string[]): string[] =>
    iso([...own(), ...store, '-o', space.path(`out-${runs}`), '--json', ...more]);
  assert.equal((await imager(args([]), { now: NOW })).code, 0);
  const late = await imager(args([]), { now: NOW + 50 * DAY });
  assert.equal(late.code, 0, late.stderr);
  assert.equal(late.stderr.match(/could not be refreshed/g)?.length, 1, late.stderr);
});

test('keys that came after the root: it is fetched anew, once a day, before anything is refused', async () => {
  const store = freshStore();
  const young = await startTufServer();
  const stranger = await startSigstore();
  young.publish({ version: 1, target: stranger.trustedRoot, expires: NOW + 40 * DAY });
  await writeFile(space.path('young.json'), young.initialRoot);
  const from = ['--tuf-url', young.url, '--tuf-root', space.path('young.json'), ...store];
  try {
    const before = await verify(from, NOW);
    assert.equal(before.code, 5, before.text);
    const asked = young.requests.length;
    young.publish({ version: 2, target: sigstore.trustedRoot, expires: NOW + 40 * DAY });
    assert.equal((await verify(from, NOW + DAY - 1)).code, 5);
    assert.equal(young.requests.length, asked, 'not twice a day');
    const output = ['-o', space.path(`out-${runs}`)];
    const offline = await imager(iso([...from, ...output, '--offline']), { now: NOW + DAY });
    assert.equal(offline.code, 5);
    assert.equal(young.requests.length, asked, 'not offline');
    const built = await imager(iso([...from, ...output]), { now: NOW + DAY });
    assert.equal(built.code, 0, built.stderr);
    assert.ok(young.requests.length > asked);
    const known = young.requests.length;
    const after = await verify(from, NOW + DAY + 1);
    assert.equal(after.code, 0, after.text);
    assert.match(after.text, /fetched 2026-12-02/);
    assert.equal(young.requests.length, known);
  } finally {
    await young.close();
  }
});

const HOSTS: readonly (readonly [name: string, more: () => readonly string[], isAsked: boolean])[] = [
  ['an identity', own, true],
  ['a copy of the public repository', () => ['--tuf-url', tuf.url], true],
  ['a root in a file', () => [...own(), '--trusted-root', space.path('root.json')], false],
  ['offline', () => [...own(), '--offline'], false],
  ['an image nobody needs to have signed', () => [...own(), '--allow-unsigned', 'registry.example/*'], false],
];

for (const [name, more, isAsked] of HOSTS) {
  test(`plan --hosts: ${name}`, async () => {
    const args = ['plan', '--hosts', '--no-resolve', ...iso([...more(), ...freshStore()])];
    const { code, text, stderr } = await imager(args, { now: NOW });
    assert.equal(code, 0, stderr);
    assert.equal(text.split('\n').includes(tuf.host), isAsked, text);
  });
}

test('plan --hosts of the vendor’s images names the public repository', async () => {
  const { text } = await imager(['plan', '--hosts', '--no-resolve', 'iso', '--arch', 'arm64']);
  assert.deepEqual(text.split('\n'), ['ghcr.io', 'tuf-repo-cdn.sigstore.dev', '']);
});

test('trust refresh: fetched now; what cannot be had or is wrong is an error', async () => {
  const store = freshStore();
  const good = await imager(['trust', 'refresh', ...own(), ...store], { now: NOW });
  assert.equal(good.code, 0, good.stderr);
  assert.match(
    good.text,
    /^trusted root from 127\.0\.0\.1:\d+, version 1, fetched 2026-12-01 .*: good for \d+ days\n$/,
  );
  const json = await imager(['trust', 'refresh', ...own(), ...store, '--json'], { now: NOW + 1 });
  assert.equal(JSON.parse(json.text).fetched, NOW + 1);
  const late = await imager(['trust', 'refresh', ...own(), ...store], { now: NOW + 50 * DAY });
  assert.equal(late.code, 5);
  assert.match(late.stderr, /trusted root from 127\.0\.0\.1:\d+: timestamp\.json: the repository shows an old state/);
});

const WRONG: readonly (readonly [args: readonly string[], code: number, message: RegExp])[] = [
  [['trust'], 1, /trust: want refresh/],
  [['trust', 'renew'], 1, /trust renew: want refresh/],
  [['trust', 'refresh', '--tuf-root', 'x'], 1, /--tuf-root: want --tuf-url with it/],
  [['trust', 'refresh', '--tuf-url', 'ftp://x'], 2, /want a URL like/],
  [['trust', 'refresh', '--tuf-url', 'https://me:secret@x'], 2, /^imager: TUF repository: want a URL like [^@]*$/m],
  [['trust', 'refresh', '--tuf-url', 'https://x', '--tuf-root', 'ROOT'], 2, /want the root\.json of a TUF repository/],
];

for (const [args, wanted, message] of WRONG) {
  test(args.join(' '), async () => {
    const { code, stderr } = await imager(args.map((arg) => (arg === 'ROOT' ? space.path('root.json') : arg)));
    assert.match(stderr, message);
    assert.equal(code, wanted);
  });
}

test('a mirror takes the fetched root along', async () => {
  const target = space.path('mirror');
  const args = ['mirror', `oci:${target}`, '--image', IMAGE, ...reached(), ...own(), ...freshStore()];
  const { code, stderr } = await imager(args, { now: NOW });
  assert.equal(code, 0, stderr);
  assert.equal(await readFile(`${target}/mirror/trusted-root.json`, 'utf8'), sigstore.trustedRoot);
});

test('doctor: how old the root is', async () => {
  const { text } = await imager(['doctor', ...freshStore()], { now: NOW });
  assert.match(text, /\nok {4}trusted root +built in, of the public .*, 26 days old\n/);
  const late = await imager(['doctor', ...freshStore()], { now: NOW + 400 * DAY });
  assert.match(late.text, /\nnote {2}trusted root +built in, .*, 426 days old: .* imager trust refresh renews it/);
});
