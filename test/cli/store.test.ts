/** `imager store ls | verify | prune` over a store that a build has filled. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { imager, scratch } from '../support/command-line.ts';
import { writeLayout } from '../support/image.ts';
import { assetFiles, assetImage } from '../support/pipeline.ts';

const DAY = 86_400;

const space = await scratch();
after(() => space[Symbol.asyncDispose]());
await writeLayout(space.path('layout'), { 'v1.13.0': await assetImage(assetFiles()) });

async function filledStore(name: string): Promise<string> {
  const store = space.path(name);
  const args = [
    'iso',
    '--output-kind',
    'kernel',
    '--arch',
    'arm64',
    '--imager-image',
    `oci:${space.path('layout')}:v1.13.0`,
  ];
  const { code, stderr } = await imager([...args, '--store', store, '-o', space.path(`out-${name}`)]);
  assert.equal(code, 0, stderr);
  return store;
}

test('ls shows images, and how large the store is', async () => {
  const store = await filledStore('listed');
  const { code, text } = await imager(['store', 'ls', '--store', store]);
  assert.equal(code, 0);
  const [image, total, ...rest] = text.split('\n');
  assert.match(image!, /^\d{4}-\d\d-\d\d \d\d:\d\d +\d+\.\d [KM]iB {2}linux\/arm64 {2}oci:.*layout:v1\.13\.0$/);
  assert.match(total!, /^1 image, \d+\.\d [KM]iB in .*listed$/);
  assert.deepEqual(rest, ['']);

  const json = JSON.parse((await imager(['store', 'ls', '--store', store, '--json'])).text);
  assert.equal(json.directory, store);
  assert.equal(json.images.length, 1);
  assert.equal(json.images[0].platform.architecture, 'arm64');
  assert.match(json.images[0].manifestDigest, /^sha256:/);
});

test('ls of a store that is not there yet', async () => {
  const { code, text } = await imager(['store', 'ls'], { environment: { XDG_CACHE_HOME: space.path('cache') } });
  assert.equal(code, 0);
  assert.equal(text, `0 images, 0 B in ${space.path('cache')}/bootwright\n`);
});

test('verify finds damage, takes it away, and exits 6', async () => {
  const store = await filledStore('verified');
  const good = await imager(['store', 'verify', '--store', store]);
  assert.equal(good.code, 0);
  assert.match(good.text, /^\d+ files, .*: all good\n$/);

  const blobs = join(store, 'blobs/sha256');
  const [victim] = await readdir(blobs);
  const data = await readFile(join(blobs, victim!));
  data[0] = data[0]! ^ 1;
  await writeFile(join(blobs, victim!), data);
  const bad = await imager(['store', 'verify', '--store', store, '--json']);
  assert.equal(bad.code, 6);
  const { damage } = JSON.parse(bad.text);
  assert.ok(damage.some(({ path }: { readonly path: string }) => path.endsWith(victim!)));
  assert.ok(!(await readdir(blobs)).includes(victim!));
  assert.match((await imager(['store', 'verify', '--store', store])).text, /all good\n$/);
});

test('prune removes what was not used since', async () => {
  const store = await filledStore('pruned');
  const now = Date.now() / 1000;
  const young = await imager(['store', 'prune', '--store', store], { now });
  assert.equal(young.code, 0);
  assert.match(young.text, /^removed 0 images, /);
  const old = await imager(['store', 'prune', '--store', store, '--older-than', '2d', '--json'], {
    now: now + 3 * DAY,
  });
  assert.equal(old.code, 0);
  assert.equal(JSON.parse(old.text).images.length, 1);
  assert.match((await imager(['store', 'ls', '--store', store])).text, /^0 images, 0 B in /);
});

test('a store that cannot be is an error of files', async () => {
  await writeFile(space.path('occupied'), '');
  for (const command of ['ls', 'verify', 'prune']) {
    const { code, stderr } = await imager(['store', command, '--store', space.path('occupied/store')]);
    assert.equal(code, 6);
    assert.match(stderr, /^imager: .*occupied.*\n$/);
  }
});

test('offline, what the store has not is an error that says what to do', async () => {
  const reference = ['--imager-image', 'registry.example/imager:v1.13.0', '--offline'];
  const args = ['iso', '--output-kind', 'kernel', '--arch', 'arm64', ...reference, '--store', space.path('empty')];
  const { code, stderr } = await imager([...args, '-q', '-o', '-']);
  assert.equal(code, 5);
  assert.match(
    stderr,
    /^imager: registry\.example\/imager:v1\.13\.0: not in the store .*\n {2}hint: build once without --offline/,
  );
});
