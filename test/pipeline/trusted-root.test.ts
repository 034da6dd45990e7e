/** Trusted roots from TUF repositories on loopback: fetched, kept, renewed, and every way to be cheated. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ImagerError } from '../../src/errors.ts';
import type { RootWishes } from '../../src/pipeline/root-finder.ts';
import { findRoot, REFRESH_AFTER, RETRY_AFTER, refreshRoot, TOO_OLD } from '../../src/pipeline/trusted-root.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { PUBLIC_GOOD_RELEASE, publicGoodDocument, publicGoodOrigin } from '../../src/trust/public-good.ts';
import { parseTrustedRoot } from '../../src/trust/trusted-root.ts';
import { testWorkplace, untouchablePlatform } from '../support/pipeline.ts';
import { makeKeys, startTufServer, type TufServer } from '../support/tuf-repository.ts';

/** Seconds since 1970. */
const NOW = Date.parse('2026-12-01T00:00:00Z') / 1000;
const DAY = 86_400;
const LATER = NOW + REFRESH_AFTER + DAY;

/** Two roots that differ, and are what a sigstore root is. */
const FIRST = publicGoodDocument();
const SECOND = `${FIRST}\n`;

interface Setting {
  readonly server: TufServer;
  readonly wishes: RootWishes;
  readonly store: string;
  at(now: number, more?: Partial<RootWishes>): RootWishes;
}

async function setting(t: TestContext, options: Parameters<typeof startTufServer>[0] = {}): Promise<Setting> {
  const server = await startTufServer(options);
  const workplace = await testWorkplace();
  t.after(async () => {
    await server.close();
    await workplace[Symbol.asyncDispose]();
  });
  const { platform, store } = workplace;
  const repository = { url: server.url, initialRoot: server.initialRoot };
  const at = (now: number, more: Partial<RootWishes> = {}): RootWishes => ({
    ...{ platform, store, offline: false, now, repository },
    ...more,
  });
  return { server, store, at, wishes: at(NOW) };
}

test('fetched once, kept, asked again after a month, also over new keys', async (t) => {
  const { server, wishes, at } = await setting(t);
  server.publish({ version: 1, target: FIRST, expires: NOW + DAY });
  const found = await findRoot(wishes);
  const { document, warnings } = found;
  assert.equal(document, FIRST);
  assert.equal(found.date, NOW);
  assert.ok(parseTrustedRoot(document, 'root').material.tlogs.length > 0);
  assert.match(
    found.origin,
    /^from 127\.0\.0\.1:\d+, version 1, fetched 2026-12-01 \(to be renewed before 2100-01-01\)$/,
  );
  assert.deepEqual(warnings, []);
  assert.deepEqual(server.requests.slice(0, 4), ['2.root.json', 'timestamp.json', '1.snapshot.json', '1.targets.json']);

  const asked = server.requests.length;
  assert.equal((await findRoot(at(NOW + REFRESH_AFTER))).date, NOW);
  assert.equal((await findRoot(at(LATER, { offline: true }))).date, NOW);
  assert.equal(server.requests.length, asked, 'nobody was asked');

  server.rotate();
  server.rotate();
  server.publish({ version: 2, target: SECOND, expires: LATER + DAY });
  const renewed = await findRoot(at(LATER));
  assert.equal(renewed.document, SECOND);
  assert.match(renewed.origin, /version 3, fetched 2027-01-01/);
  assert.deepEqual(renewed.warnings, []);
});

test('the same state once more: only what changes is asked for', async (t) => {
  const { server, wishes, at } = await setting(t);
  server.publish({ version: 1, target: FIRST, expires: LATER + DAY });
  await findRoot(wishes);
  server.requests.length = 0;
  assert.equal((await refreshRoot(at(NOW + 5))).date, NOW + 5);
  assert.deepEqual(server.requests, ['2.root.json', 'timestamp.json']);
});

test('a repository that keeps only the last state, under plain names', async (t) => {
  const { server, wishes, at } = await setting(t, { consistentSnapshot: false });
  server.publish({ version: 1, target: FIRST, expires: NOW + DAY });
  assert.equal((await findRoot(wishes)).document, FIRST);
  const names = ['2.root.json', 'timestamp.json', 'snapshot.json', 'targets.json', 'targets/trusted_root.json'];
  assert.deepEqual(server.requests, names);
  server.publish({ version: 2, target: SECOND, expires: LATER + DAY });
  assert.equal((await findRoot(at(LATER))).document, SECOND);
});

test('a copy of the public repository that is none: the built-in root, with its age', async (t) => {
  const { server, at } = await setting(t);
  server.files.set('timestamp.json', Buffer.from('{}'));
  const { repository } = at(NOW);
  const mirror = at(LATER, { repository: { url: repository!.url } });
  const { origin, warnings, document } = await findRoot(mirror);
  assert.equal(document, publicGoodDocument());
  assert.match(origin, /^built in/);
  assert.match(
    warnings.join(),
    /^trusted root: could not be refreshed, going on with that of 2026-11-05, 57 days old: timestamp\.json: /,
  );
});

type Attack = (server: TufServer) => void;

const good = (version: number): { version: number; target: string; expires: number } => ({
  version,
  target: SECOND,
  expires: LATER + DAY,
});

const ATTACKS: readonly (readonly [name: string, attack: Attack, warning: RegExp])[] = [
  [
    'a state from before',
    (server) => server.publish({ ...good(4), target: FIRST }),
    /timestamp\.json: rolled back: New timestamp version 4 is less than current version 5/,
  ],
  [
    'a snapshot from before under a new timestamp',
    (server) => {
      server.publish(good(4));
      const old = server.files.get('4.snapshot.json')!;
      server.publish(good(6));
      server.files.set('6.snapshot.json', old);
    },
    /6\.snapshot\.json: (?:Expected (?:length|hash)|more than)/,
  ],
  [
    'a timestamp that has run out',
    (server) => server.publish({ ...good(6), expires: LATER - 1 }),
    /timestamp\.json: the repository shows an old state: Final timestamp\.json is expired/,
  ],
  ['the state of last time, run out', () => undefined, /old state: .*expired/],
  [
    'a root that has run out',
    (server) => {
      server.rotate({ expires: LATER - 1 });
      server.publish(good(6));
    },
    /the repository shows an old state: Final root\.json is expired/,
  ],
  ...(['timestamp', 'snapshot', 'targets'] as const).map(
    (role) =>
      [
        `${role} by a stranger`,
        (server: TufServer) => server.publish({ ...good(6), signedBy: { [role]: makeKeys()[role] } }),
        new RegExp(`${role}\\.json: .*was signed by 0/1 keys`),
      ] as const,
  ),
  [
    'a new root that the old one has not signed',
    (server) => {
      server.rotate({ signedByOld: false });
      server.publish(good(6));
    },
    /2\.root\.json: root was signed by 0\/1 keys/,
  ],
  [
    'another trusted root than the listed one',
    (server) => {
      server.publish(good(6));
      const path = [...server.files.keys()].findLast((name) => name.startsWith('targets/'))!;
      server.files.set(path, Buffer.from(`${SECOND.slice(0, -1)} `));
    },
    /targets\/\w+\.trusted_root\.json: Expected hash/,
  ],
  [
    'a trusted root that is none',
    (server) => server.publish({ ...good(6), target: '{}' }),
    /trusted_root\.json: media type/,
  ],
  [
    'a timestamp without end',
    (server) => server.files.set('timestamp.json', Buffer.alloc(20_000, ' ')),
    /timestamp\.json: more than 16384 bytes/,
  ],
  [
    'a root without end',
    (server) =>
      server.files.set('2.root.json', (response) => {
        response.writeHead(200);
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536, ' ')));
        };
        response.on('drain', more);
        more();
      }),
    /2\.root\.json: more than 512000 bytes/,
  ],
  [
    'no end of silence',
    (server) => server.files.set('timestamp.json', (response) => void response.writeHead(200).write('{')),
    /127\.0\.0\.1:\d+: not done after 0\.5 s/,
  ],
  [
    'an answer that is none',
    (server) => server.files.set('timestamp.json', (response) => void response.writeHead(503).end()),
    /timestamp\.json: answered with status 503, want 200/,
  ],
  ['damage', (server) => server.files.set('timestamp.json', Buffer.from('{"signed":')), /timestamp\.json: .*JSON/],
  [
    'depth',
    (server) => server.files.set('2.root.json', Buffer.from(`${'['.repeat(200_000)}${']'.repeat(200_000)}`)),
    /2\.root\.json: /,
  ],
  ['nothing', (server) => server.files.clear(), /timestamp\.json: the repository has none/],
  [
    'a way into the network here',
    (server) =>
      server.files.set(
        'timestamp.json',
        (response) => void response.writeHead(302, { location: 'http://10.0.0.1/timestamp.json' }).end(),
      ),
    /redirects into a private network/,
  ],
];

for (const [name, attack, warning] of ATTACKS) {
  test(`told, and without effect: ${name}`, async (t) => {
    const { server, wishes, at } = await setting(t);
    server.publish({ version: 5, target: FIRST, expires: NOW + DAY });
    await findRoot(wishes);
    attack(server);
    const budget = name === 'no end of silence' ? 500 : 10_000;
    const found = await findRoot(at(LATER, { budget }));
    assert.equal(found.document, FIRST);
    assert.equal(found.date, NOW);
    assert.match(
      found.warnings.join(),
      /^trusted root: could not be refreshed, going on with that of 2026-12-01, 31 days old: /,
    );
    assert.match(found.warnings.join(), warning);
    // Not again for a day, and not forgotten.
    const asked = server.requests.length;
    const again = await findRoot(at(LATER + RETRY_AFTER - 1));
    assert.match(again.warnings.join(), warning);
    assert.equal(server.requests.length, asked);
    // Who asks for it gets an error.
    await assert.rejects(
      refreshRoot(at(LATER + 1, { budget })),
      (error: unknown) =>
        error instanceof ImagerError &&
        ['verification', 'dependency', 'invalid-input'].includes(error.code) &&
        warning.test(error.message),
    );
  });
}

test('after a failure the next day brings it', async (t) => {
  const { server, wishes, at } = await setting(t);
  server.publish({ version: 1, target: FIRST, expires: NOW + DAY });
  await findRoot(wishes);
  assert.equal((await findRoot(at(LATER))).warnings.length, 1);
  server.publish({ version: 2, target: SECOND, expires: LATER + 3 * DAY });
  const found = await findRoot(at(LATER + RETRY_AFTER));
  assert.equal(found.document, SECOND);
  assert.deepEqual(found.warnings, []);
});

test('without anything to go on with there is an error, offline too', async (t) => {
  const { server, wishes, at } = await setting(t);
  await assert.rejects(findRoot(at(NOW, { offline: true })), /not in the store, and offline there is no other place/);
  await assert.rejects(findRoot(wishes), /^ImagerError: trusted root from 127\.0\.0\.1:\d+: timestamp\.json: the rep/);
  server.publish({ version: 1, target: FIRST, expires: NOW + DAY });
  assert.equal((await findRoot(wishes)).document, FIRST);
  await assert.rejects(refreshRoot(at(NOW, { offline: true })), /offline, and a refresh contacts its repository/);
});

test('what is kept of one root is nothing to another; damage counts as nothing', async (t) => {
  const { server, wishes, store, at } = await setting(t);
  server.publish({ version: 1, target: FIRST, expires: NOW + DAY });
  await findRoot(wishes);
  const other = await startTufServer();
  t.after(() => other.close());
  const stranger = { url: server.url, initialRoot: other.initialRoot };
  await assert.rejects(findRoot(at(NOW, { repository: stranger })), /was signed by 0\/1 keys/);
  const directory = join(store, 'trusted-roots');
  const [name = ''] = await readdir(directory);
  const whole = await readFile(join(directory, name), 'utf8');
  for (const text of ['', '[]', whole.slice(0, 500), whole.replace(/"target":"[^"]*"/, '"target":"e30="')]) {
    await writeFile(join(directory, name), text);
    assert.equal((await findRoot(wishes)).document, FIRST);
    assert.equal(await readFile(join(directory, name), 'utf8'), whole, 'fetched again');
  }
});

test('the built-in root: good for a month, then asked about, and too old after half a year', async () => {
  const date = Date.parse(PUBLIC_GOOD_RELEASE.date) / 1000;
  const real = nodePlatform({});
  const { http } = untouchablePlatform();
  const at = (now: number): RootWishes => ({
    platform: { ...real, http },
    store: '/dev/null/store',
    offline: true,
    now,
  });
  // Or when its publisher had promised a newer one.
  const end = Math.min(date + TOO_OLD, publicGoodOrigin().expires);
  assert.deepEqual((await findRoot(at(end))).warnings, []);
  const { warnings, origin } = await findRoot(at(end + 1));
  assert.match(warnings.join(), /^trusted root: that of 2026-11-05, 1\d\d days old, may lack newer keys/);
  assert.match(origin, /^built in, of the public Sigstore instance, version \d+ of 2026-11-05 \(to be renewed/);
  // A clock that is behind, as of boards without a battery, is no reason to ask.
  assert.deepEqual((await findRoot({ ...at(0), offline: false })).warnings, []);
});

test('the date of the built-in root is that of the release it comes from', async () => {
  const { version } = createRequire(import.meta.url)('@sigstore/tuf/package.json') as { readonly version: string };
  assert.equal(
    version,
    PUBLIC_GOOD_RELEASE.version,
    'a new release of the library has a new date: see its registry page',
  );
});
