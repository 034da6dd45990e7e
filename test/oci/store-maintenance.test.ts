import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ImagerError } from '../../src/errors.ts';
import type { Platform } from '../../src/oci/image-source.ts';
import { keepSignatures, keptSignatures } from '../../src/oci/store/signatures.ts';
import { openStore, type Store } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { digestOf, OCI_LAYER, randomBytes, type TestImage, testImage, testIndex } from '../support/image.ts';
import { testSource } from '../support/image-source.ts';
import { tar } from '../support/tar.ts';

const AMD64: Platform = { os: 'linux', architecture: 'amd64' };

const shared = gzipSync(tar([{ name: 'shared', data: randomBytes(20_000, 1) }]));
const imageWith = (name: string): TestImage =>
  testIndex([testImage([{ data: shared, mediaType: `${OCI_LAYER}+gzip` }, { data: tar([{ name, data: name }]) }])]);
const IMAGES = { a: imageWith('a'), b: imageWith('b') };

interface Bench {
  readonly directory: string;
  readonly store: Store;
  pull(name: keyof typeof IMAGES): Promise<void>;
  /** All files of the store, relative. */
  files(): Promise<string[]>;
  /** Makes everything look as if last used then. */
  age(seconds: number, match?: RegExp): Promise<void>;
}

const NOW = Math.floor(Date.now() / 1000);

async function bench(t: TestContext): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), 'store-'));
  const machine = nodePlatform({});
  t.after(async () => {
    await machine.close();
    await rm(directory, { recursive: true });
  });
  const store = await openStore(machine, directory);
  const files = async (): Promise<string[]> => {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
  };
  return {
    directory,
    store,
    files,
    async pull(name) {
      await store.pull(testSource(IMAGES[name]), 'latest', { platform: AMD64, referenceName: name });
    },
    async age(seconds, match = /./) {
      for (const file of await files()) {
        if (match.test(file)) await utimes(join(directory, file), NOW - seconds, NOW - seconds);
      }
    },
  };
}

const derive = (one: Bench, parameters: string): Promise<unknown> =>
  one.store.derived({ source: digestOf(shared), kind: 'test', parameters }, (writer) =>
    writer.write(Buffer.from(parameters)),
  );

test('a store as it should be verifies clean, and the listing adds up', async (t) => {
  const one = await bench(t);
  await one.pull('a');
  await one.pull('b');
  await derive(one, 'x');
  const progress: number[] = [];
  const report = await one.store.verify({ onBytes: (done, total) => progress.push(done / total) });
  assert.deepEqual(report.damage, []);
  assert.ok(progress.length > 5 && progress.every((value, index) => value > (progress[index - 1] ?? 0) && value <= 1));
  const { images, usage } = await one.store.list();
  assert.deepEqual(images.map(({ name }) => name).sort(), ['a', 'b']);
  for (const { size, name, lastUsed } of images) {
    const image = IMAGES[name as 'a' | 'b'];
    const all = [image.manifest, image.children[0]!.manifest, ...image.children[0]!.blobs];
    assert.equal(
      size,
      all.reduce((sum, data) => sum + data.length, 0),
    );
    assert.ok(Math.abs(lastUsed - Date.now() / 1000) < 60);
  }
  assert.ok(usage.blobs > 20_000 && usage.layers > 20_000 && usage.derived > 0 && usage.temporary === 0);
});

test('every damaged file is found, named and removed, and the next pull makes the store whole', async (t) => {
  const one = await bench(t);
  await one.pull('a');
  await derive(one, 'some result');
  const whole = (await one.files()).sort();
  for (const file of whole) {
    if (file === 'oci-layout') continue;
    const path = join(one.directory, file);
    const before = await readFile(path);
    const damaged = Buffer.from(before);
    damaged[Math.floor(damaged.length / 2)]! ^= 0x01;
    for (const damage of [() => truncate(path, before.length - 1), () => writeFile(path, damaged)]) {
      await damage();
      const looked = await one.store.verify({ remove: false });
      // index.json is made from the references: a changed letter in it is put right, not reported.
      if (file !== 'index.json')
        assert.ok(
          looked.damage.some((found) => found.path === path || file.startsWith('references/')),
          file,
        );
      await one.store.verify();
      assert.deepEqual((await one.store.verify()).damage, [], file);
      await one.pull('a');
      await derive(one, 'some result');
      assert.deepEqual((await one.files()).sort(), whole, file);
      assert.deepEqual(await readFile(path), before, file);
    }
  }
});

test('images that lost a blob lose their name', async (t) => {
  const one = await bench(t);
  await one.pull('a');
  await one.pull('b');
  await rm(join(one.directory, 'blobs/sha256', digestOf(tar([{ name: 'a', data: 'a' }])).slice(7)));
  const { damage } = await one.store.verify();
  assert.equal(damage.length, 2);
  assert.match(
    damage.map(({ reason }) => reason).join(),
    /an index without its layer.*a: blob sha256:[0-9a-f]{64} is missing/,
  );
  assert.deepEqual(
    (await one.store.list()).images.map(({ name }) => name),
    ['b'],
  );
  const index = JSON.parse(await readFile(join(one.directory, 'index.json'), 'utf8')) as { manifests: unknown[] };
  assert.equal(index.manifests.length, 1);
});

test('without its plain layers an image is found all the same, made again from its blobs', async (t) => {
  const one = await bench(t);
  await one.pull('a');
  for (const file of await one.files()) if (file.startsWith('layers/')) await rm(join(one.directory, file));
  assert.equal((await one.store.find('a', AMD64))?.tree.entries.length, 3);
  assert.equal(await one.store.find('b', AMD64), undefined);
});

test('prune removes what was not used for long and only that', async (t) => {
  const one = await bench(t);
  await one.pull('a');
  await one.pull('b');
  await derive(one, 'old');
  await writeFile(join(one.directory, 'tmp/x.0'), 'left behind');
  await one.age(10 * 86_400);
  await derive(one, 'new');
  const before = await one.files();
  await one.pull('b');
  const report = await one.store.prune({ now: NOW, olderThan: 7 * 86_400 });
  assert.deepEqual(report.images, ['a']);
  const existing = new Set(await one.files());
  assert.equal(report.files, before.filter((file) => !existing.has(file)).length);
  assert.ok(report.freed > 0);
  assert.equal(await one.store.find('a', AMD64), undefined);
  assert.equal((await one.store.find('b', AMD64))?.tree.entries.length, 3);
  assert.deepEqual((await one.store.verify()).damage, []);
  assert.ok(!existing.has('tmp/x.0'));
  assert.equal([...existing].filter((file) => file.startsWith('derived/')).length, 2);
});

test('what was used within the hour stays, whatever is asked', async (t) => {
  const one = await bench(t);
  await one.pull('a');
  await derive(one, 'x');
  await writeFile(join(one.directory, 'tmp/x.0'), 'under way');
  await one.age(3500);
  const before = await one.files();
  assert.deepEqual(await one.store.prune({ now: NOW, olderThan: 0 }), { images: [], files: 0, freed: 0 });
  assert.deepEqual(await one.files(), before);
  await one.age(3700);
  assert.deepEqual((await one.store.prune({ now: NOW, olderThan: 0, keep: ['a'] })).images, []);
  assert.equal((await one.store.find('a', AMD64))?.tree.entries.length, 3);
});

test('layers found by a new image are young again before that image has a name', async (t) => {
  const one = await bench(t);
  await one.pull('a');
  await one.age(10 * 86_400);
  await one.store.resolve(testSource(IMAGES.b), 'latest', AMD64);
  await one.pull('b');
  await rm(join(one.directory, 'references'), { recursive: true });
  await openStore(nodePlatform({}), one.directory);
  await one.store.prune({ now: NOW, olderThan: 0 });
  const files = await one.files();
  assert.ok(files.includes(`blobs/sha256/${digestOf(shared).slice(7)}`));
  assert.ok(!files.includes(`blobs/sha256/${digestOf(IMAGES.a.manifest).slice(7)}`));
});

test('what cannot be read now is told and stays', async (t) => {
  const one = await bench(t);
  await one.pull('a');
  const machine = nodePlatform({});
  t.after(() => machine.close());
  const layer = join(one.directory, 'blobs/sha256', digestOf(shared).slice('sha256:'.length));
  const { files } = machine;
  const failing: typeof files = Object.assign(Object.create(files), {
    source: async (path: string) => {
      const source = await files.source(path);
      if (path !== layer) return source;
      const read = (): Promise<void> => Promise.reject(new ImagerError('io', `${path}: input/output error`));
      return { ...source, read };
    },
  });
  const store = await openStore({ ...machine, files: failing }, one.directory);
  const { damage } = await store.verify({ remove: true });
  assert.deepEqual(damage, [{ path: layer, reason: `${layer}: input/output error` }]);
  assert.deepEqual((await one.store.verify()).damage, []);
});

test('kept signatures are counted, go with age, and are nothing where they are no record', async (t) => {
  const one = await bench(t);
  const machine = nodePlatform({});
  const [used, unused] = [digestOf('used'), digestOf('unused')];
  const record = { manifests: { a: null }, referrers: { a: [{ digest: used, size: 1 }] }, blobs: { b: 'eA==' } };
  for (const digest of [used, unused]) await keepSignatures(machine, one.directory, digest, record);
  assert.ok((await one.store.list()).usage.signatures > 0);
  await one.age(10 * 86_400);
  assert.deepEqual(await keptSignatures(machine, one.directory, used), record);
  const report = await one.store.prune({ now: NOW, olderThan: 7 * 86_400 });
  assert.equal(report.files, 1);
  assert.equal(await keptSignatures(machine, one.directory, unused), undefined);
  assert.deepEqual(await keptSignatures(machine, one.directory, used), record);
  for (const text of [
    'null',
    '{}',
    '[]',
    '{',
    JSON.stringify({ ...record, manifests: { a: { digest: 'sha256:x', raw: '' } } }),
    JSON.stringify({ ...record, referrers: { a: [null] } }),
    JSON.stringify({ ...record, blobs: { a: 1 } }),
  ]) {
    await writeFile(join(one.directory, 'signatures', `${used.slice('sha256:'.length)}.json`), text);
    assert.equal(await keptSignatures(machine, one.directory, used), undefined, text);
  }
});
