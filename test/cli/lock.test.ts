/** `imager lock`, and builds with `--locked`. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { imager, scratch } from '../support/command-line.ts';
import { digestOf, testIndex } from '../support/image.ts';
import { assetFiles, assetImage } from '../support/pipeline.ts';
import { startRegistry } from '../support/registry.ts';
import { signatureTag, signingKey } from '../support/sigstore.ts';

const VERSION = 'v1.13.0';

const space = await scratch();
after(() => space[Symbol.asyncDispose]());
const image = await assetImage(assetFiles());
const moved = await assetImage({ ...assetFiles(), 'etc/moved': 'another image' });
const key = signingKey();
const KEY_FILE = space.path('key.pem');
await writeFile(KEY_FILE, key.publicKeyPem);

const registry = await startRegistry();
after(() => registry.close());

function serve(served: typeof image): void {
  registry.serve('team/imager', VERSION, served);
  registry.serve('team/imager', signatureTag(served, 'legacy'), key.legacySignature(digestOf(served.manifest)));
}

const LOCK = space.path('imager.lock');
const REFERENCE = `registry.example/team/imager:${VERSION}`;
const REACH = ['--mirror', `registry.example=http://${registry.host}`, '--verify-key', KEY_FILE];
const WISH = ['--output-kind', 'kernel', '--arch', 'arm64', '--imager-image', REFERENCE];

function stored(name: string): string[] {
  return ['--store', space.path(name)];
}

test('lock, build, move a name, refuse, update', async () => {
  serve(image);
  const lock = await imager(['lock', 'iso', ...WISH, ...REACH, ...stored('lock')]);
  assert.equal(lock.code, 0, lock.stderr);
  assert.match(lock.text, /^# What builds are made of\. /);
  assert.match(lock.text, /role: imager-image\n +from: registry\.example\/team\/imager:v1\.13\.0\n +digest: sha256:/);
  assert.match(lock.text, /image: registry\.example\/team\/imager\n.*\n +signedBy: the key\n/);
  const again = await imager(['lock', 'iso', ...WISH, ...REACH, ...stored('lock-2')]);
  assert.equal(again.text, lock.text);
  await writeFile(LOCK, lock.text);

  const locked = ['--locked', '--lock-file', LOCK];
  const good = await imager(['iso', ...WISH, ...REACH, ...stored('build'), ...locked, '-o', space.path('good')]);
  assert.equal(good.code, 0, good.stderr);

  const plan = ['plan', 'iso', ...WISH, ...REACH, ...locked];
  assert.equal((await imager([...plan, ...stored('plan')])).code, 0);

  serve(moved);
  const refusedPlan = await imager([...plan, ...stored('plan-2')]);
  assert.equal(refusedPlan.code, 5);
  assert.equal(refusedPlan.text, '');
  for (const blind of ['--no-resolve', '--hosts', '--yaml']) assert.equal((await imager([...plan, blind])).code, 1);
  const refused = await imager(['iso', ...WISH, ...REACH, ...stored('build'), ...locked, '-o', space.path('refused')]);
  assert.equal(refused.code, 5);
  assert.match(refused.stderr, new RegExp(`imager-image ${REFERENCE}: ${digestOf(moved.manifest)}, locked sha256:`));
  assert.deepEqual(await readdir(space.path('refused')).catch(() => []), []);

  const offline = ['iso', ...WISH, ...stored('build'), '--verify-key', KEY_FILE, ...locked, '--offline'];
  const kept = await imager([...offline, '-o', space.path('offline')]);
  // The store has learnt the new name by no build: the refused one fetched nothing.
  assert.equal(kept.code, 0, kept.stderr);

  const update = await imager(['lock', '--update', '--lock-file', LOCK, ...REACH, ...stored('update')]);
  assert.equal(update.code, 0, update.stderr);
  assert.match(update.stderr, /iso for arm64:\n {2}imager-image .*: sha256:\w+, locked sha256:\w+/);
  assert.notEqual(await readFile(LOCK, 'utf8'), lock.text);
  const unchanged = await imager(['lock', '--update', '--lock-file', LOCK, ...REACH, ...stored('update')]);
  assert.match(unchanged.stderr, /nothing changed\n$/);
  const accepted = await imager([
    'iso',
    ...WISH,
    ...REACH,
    ...stored('build'),
    ...locked,
    '-o',
    space.path('accepted'),
  ]);
  assert.equal(accepted.code, 0, accepted.stderr);
});

test('a lock for other profiles, none, or a broken one', async () => {
  serve(image);
  const lock = await imager(['lock', 'iso', ...WISH, ...REACH, ...stored('lock')]);
  const file = space.path('other.lock');
  await writeFile(file, lock.text);
  const build = (profile: string, path: string) =>
    imager([profile, ...WISH, ...REACH, ...stored('lock'), '--locked', '--lock-file', path, '-o', space.path('none')]);
  const other = await build('metal', file);
  assert.equal(other.code, 2);
  assert.match(other.stderr, /no lock of metal for arm64, it has iso for arm64/);
  const missing = await build('iso', space.path('missing.lock'));
  assert.equal(missing.code, 6);
  await writeFile(file, lock.text.replace(/digest: sha256:./, 'digest: md5:x'));
  const broken = await build('iso', file);
  assert.equal(broken.code, 2);
  assert.match(broken.stderr, /other\.lock:\d+:\d+: builds\[0\]\.inputs\[0\]\.digest: digest "md5:x/);
});

test('lock wants profiles', async () => {
  const { code, stderr } = await imager(['lock']);
  assert.equal(code, 2);
  assert.match(stderr, /want the profiles to lock, or --update/);
});

test('an image of several architectures, built from its lock: offline its signatures are still those of the index', async () => {
  const both = testIndex([image, await assetImage({ ...assetFiles(), 'etc/other': 'amd64' }, 'amd64')]);
  serve(both);
  const store = stored('index');
  const lock = await imager(['lock', 'iso', ...WISH, ...REACH, ...store]);
  assert.equal(lock.code, 0, lock.stderr);
  const file = space.path('index.lock');
  await writeFile(file, lock.text);
  const locked = ['iso', ...WISH, ...store, '--locked', '--lock-file', file, '-o', space.path('index-out')];
  const online = await imager([...locked, ...REACH]);
  assert.equal(online.code, 0, online.stderr);
  const offline = await imager([...locked, '--verify-key', KEY_FILE, '--offline']);
  assert.equal(offline.code, 0, offline.stderr);
});
