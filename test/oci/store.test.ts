import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { read } from '../../src/bytes/read.ts';
import { ImagerError } from '../../src/errors.ts';
import type { ImageSource, Platform } from '../../src/oci/image-source.ts';
import { openLayout } from '../../src/oci/local/layout.ts';
import type { Produce } from '../../src/oci/store/derived.ts';
import { openStore, type Progress, type PulledImage, type Store } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Files, Platform as Machine, NewFile } from '../../src/platform/types.ts';
import { fileAt } from '../../src/tree/tree.ts';
import { digestOf, OCI_LAYER, randomBytes, type TestImage, testImage, testIndex } from '../support/image.ts';
import { type TestSource, testSource } from '../support/image-source.ts';
import { tar } from '../support/tar.ts';

const AMD64: Platform = { os: 'linux', architecture: 'amd64' };
const ARM64: Platform = { os: 'linux', architecture: 'arm64' };
const GZIP = `${OCI_LAYER}+gzip`;
const ZSTD = `${OCI_LAYER}+zstd`;

const plainLayer = tar([{ name: 'plain', data: 'plain' }]);
/** More than a block. */
const largeContent = randomBytes(1_200_000, 7);
const gzipLayer = gzipSync(tar([{ name: 'large', data: largeContent }]));
const zstdLayer = zstdCompressSync(tar([{ name: 'etc/a', data: 'one' }]));

const IMAGE: TestImage = testImage([
  { data: plainLayer },
  { data: gzipLayer, mediaType: GZIP },
  { data: zstdLayer, mediaType: ZSTD },
]);
const INDEX = testIndex([IMAGE, testImage([{ data: plainLayer }], ARM64)]);

interface Bench {
  readonly machine: Machine;
  readonly directory: string;
  readonly store: Store;
  readonly source: TestSource;
  pull(identifier?: string, platform?: Platform): Promise<PulledImage>;
  files(folder: string): Promise<string[]>;
}

async function bench(t: TestContext, image: TestImage = INDEX): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), 'store-'));
  const machine = nodePlatform({});
  t.after(async () => {
    await machine.close();
    await rm(directory, { recursive: true });
  });
  const store = await openStore(machine, directory);
  const source = testSource(image);
  return {
    machine,
    directory,
    store,
    source,
    pull: (identifier = 'latest', platform = AMD64) =>
      store.pull(source, identifier, { platform, referenceName: 'registry.example/a:latest' }),
    files: (folder) => readdir(join(directory, folder)),
  };
}

const blobFile = ({ directory }: Bench, data: Uint8Array): string =>
  join(directory, 'blobs/sha256', digestOf(data).slice(7));

async function assertWhole(image: PulledImage): Promise<void> {
  assert.deepEqual(
    image.tree.entries.map(({ path }) => path),
    ['', 'etc', 'etc/a', 'large', 'plain'],
  );
  assert.equal(Buffer.from(await read(fileAt(image.tree, 'etc/a')!)).toString(), 'one');
  assert.equal(Buffer.from(await read(fileAt(image.tree, 'plain')!)).toString(), 'plain');
  assert.deepEqual(Buffer.from(await read(fileAt(image.tree, 'large')!)), Buffer.from(largeContent));
}

test('an image becomes a tree, its layers are there as served and plain', async (t) => {
  const one = await bench(t);
  const image = await one.pull();
  await assertWhole(image);
  assert.equal(image.digest, digestOf(INDEX.manifest));
  assert.equal(image.manifestDigest, digestOf(IMAGE.manifest));
  assert.equal(image.config.architecture, 'amd64');
  assert.deepEqual(Buffer.from(await read(image.layers[1]!.blob)), gzipLayer);
  assert.equal(digestOf(await read(image.layers[2]!.plain)), image.layers[2]!.diffId);
  assert.deepEqual(await one.files('tmp'), []);
});

test('layers of many blocks, whatever the pieces and the frames they come in', async (t) => {
  const content = randomBytes(2_500_000, 9);
  const layers = tar([{ name: 'large', data: content }]);
  const frames = [0, 400_003, 1_500_000].map((at, index, cuts) =>
    zstdCompressSync(layers.subarray(at, cuts[index + 1])),
  );
  const image = testImage([
    { data: layers },
    { data: gzipSync(layers, { level: 1 }), mediaType: GZIP },
    { data: Buffer.concat(frames), mediaType: ZSTD, plain: layers },
  ]);
  for (const chunkSize of [10_007, 65_536, 1_400_001]) {
    const one = await bench(t, image);
    one.source.chunkSize = chunkSize;
    const { tree, layers: stored } = await one.pull();
    assert.deepEqual(Buffer.from(await read(fileAt(tree, 'large')!)), Buffer.from(content));
    for (const { blob, plain, descriptor, diffId } of stored) {
      assert.equal(digestOf(await read(blob)), descriptor.digest);
      assert.equal(digestOf(await read(plain)), diffId);
    }
  }
});

test('what is in the store is not asked for again: by digest nothing, by tag the one manifest', async (t) => {
  const one = await bench(t);
  await one.pull();
  one.source.asked.length = 0;
  await assertWhole(await one.pull(digestOf(INDEX.manifest)));
  await assertWhole(await one.pull(digestOf(IMAGE.manifest)));
  assert.deepEqual(one.source.asked, []);
  await assertWhole(await one.pull());
  assert.deepEqual(one.source.asked, ['manifest latest']);
});

test('resolve asks for manifests only, and a pull of what it found asks for layers only', async (t) => {
  const one = await bench(t);
  const resolved = await one.store.resolve(one.source, 'latest', AMD64);
  assert.equal(resolved.manifestDigest, digestOf(IMAGE.manifest));
  assert.deepEqual(one.source.asked, ['manifest latest', `manifest ${resolved.manifestDigest}`]);
  one.source.asked.length = 0;
  await one.pull(resolved.digest);
  assert.ok(one.source.asked.every((request) => request.startsWith('blob ')));
});

test('equal content has one identity across stores and runs', async (t) => {
  const keys = await Promise.all(
    [await bench(t), await bench(t)].map(async (one) => {
      const [extent] = fileAt((await one.pull()).tree, 'large')!.extents;
      return extent?.kind === 'range' ? `${extent.source.key} ${extent.offset}` : '';
    }),
  );
  assert.equal(keys[0], keys[1]);
  assert.match(keys[0]!, /^sha256:/);
});

test('the store is a layout that another reader of layouts takes images from', async (t) => {
  const one = await bench(t);
  await one.pull();
  await one.pull('latest', ARM64);
  const layout = await openLayout(one.machine, one.directory);
  const other = await bench(t);
  const found = await other.store.pull(layout, 'registry.example/a:latest', { platform: AMD64 });
  await assertWhole(found);
  const arm = await other.store.pull(layout, 'registry.example/a:latest', { platform: ARM64 });
  assert.deepEqual(
    arm.tree.entries.map(({ path }) => path),
    ['', 'plain'],
  );
});

test('without a network images are found by name and by digest, for their platform', async (t) => {
  const one = await bench(t);
  await one.pull();
  for (const identifier of ['registry.example/a:latest', digestOf(INDEX.manifest), digestOf(IMAGE.manifest)]) {
    await assertWhole((await one.store.find(identifier, AMD64))!);
    assert.equal(await one.store.find(identifier, ARM64), undefined);
  }
  assert.equal(await one.store.find('registry.example/b', AMD64), undefined);
  assert.equal(await one.store.find(`sha256:${'0'.repeat(64)}`, AMD64), undefined);
  await rm(blobFile(one, gzipLayer));
  assert.equal(await one.store.find('registry.example/a:latest', AMD64), undefined);
});

const WRONG: Readonly<Record<string, (blob: Uint8Array) => Uint8Array>> = {
  'a turned bit': (blob) => {
    const turned = Buffer.from(blob);
    turned[700_000 % blob.length]! ^= 1;
    return turned;
  },
  'another blob of the same size': (blob) => randomBytes(blob.length, 3),
  'bytes behind the end': (blob) => Buffer.concat([blob, Buffer.from('x')]),
};

for (const [what, change] of Object.entries(WRONG)) {
  for (const [kind, layer] of Object.entries({ gzip: gzipLayer, plain: plainLayer, zstd: zstdLayer })) {
    test(`${what} in a ${kind} layer never enters`, async (t) => {
      const one = await bench(t);
      one.source.served.set(digestOf(layer), change(layer));
      await assert.rejects(one.pull(), { code: 'verification' });
      assert.ok(!(await one.files('blobs/sha256')).includes(digestOf(layer).slice(7)));
      assert.deepEqual(await one.files('references'), []);
      const temporary = await one.files('tmp');
      assert.ok(temporary.every((name) => name.endsWith('.part') && !name.startsWith(digestOf(layer).slice(7))));
      one.source.served.set(digestOf(layer), layer);
      await assertWhole(await one.pull());
    });
  }
}

test('a source whose answers always end early is given up, and what came is used the next time', async (t) => {
  const one = await bench(t);
  one.source.served.set(digestOf(gzipLayer), gzipLayer.subarray(0, 1_100_000));
  await assert.rejects(one.pull(), { code: 'dependency', message: /ends after 1100000 of/ });
  assert.deepEqual(await one.files('tmp'), [`${digestOf(gzipLayer).slice(7)}.part`]);
  one.source.served.set(digestOf(gzipLayer), gzipLayer);
  one.source.asked.length = 0;
  await assertWhole(await one.pull());
  assert.ok(one.source.asked.includes(`blob ${digestOf(gzipLayer)} 1100000`));
  assert.deepEqual(await one.files('tmp'), []);
});

test('a part that is wrong is found out at the end and the blob fetched whole', async (t) => {
  const one = await bench(t);
  await writeFile(join(one.directory, 'tmp', `${digestOf(gzipLayer).slice(7)}.part`), randomBytes(500_000, 5));
  await assertWhole(await one.pull());
  const requests = one.source.asked.filter((request) => request.includes(digestOf(gzipLayer)));
  assert.deepEqual(requests, [`blob ${digestOf(gzipLayer)} 500000`, `blob ${digestOf(gzipLayer)} 0`]);
  await writeFile(join(one.directory, 'tmp', `${digestOf(gzipLayer).slice(7)}.part`), randomBytes(2_000_000, 5));
  await rm(blobFile(one, gzipLayer));
  await assertWhole(await one.pull());
  assert.deepEqual(await one.files('tmp'), []);
});

test('broken connections are continued where they broke', async (t) => {
  const one = await bench(t, IMAGE);
  one.source.breakAfter = 120_000;
  one.source.breaks = 12;
  await assertWhole(await one.pull());
  const offsets = one.source.asked
    .filter((request) => request.includes(digestOf(gzipLayer)))
    .map((request) => Number(request.split(' ')[2]));
  assert.deepEqual(
    offsets,
    offsets.map((_, index) => index * 120_000),
  );
  assert.ok(offsets.length > 5);
});

test('a source that starts from the beginning although asked for the rest is understood', async (t) => {
  const one = await bench(t, IMAGE);
  one.source.breakAfter = 500_000;
  one.source.breaks = 1;
  const fromStart: ImageSource = {
    ...one.source,
    async blob(descriptor, _, signal) {
      return one.source.blob(descriptor, 0, signal);
    },
  };
  await assertWhole(await one.store.pull(fromStart, 'latest', { platform: AMD64 }));
});

test('two pulls at once in one process fetch each blob once', async (t) => {
  const one = await bench(t);
  const [first, second] = await Promise.all([one.pull(), one.pull()]);
  await assertWhole(first);
  await assertWhole(second);
  const blobs = one.source.asked.filter(
    (request) => request.startsWith('blob ') && request.includes(digestOf(gzipLayer)),
  );
  assert.equal(blobs.length, 1);
});

test('a pull that waits for another one takes over when that is stopped', async (t) => {
  const one = await bench(t);
  const stop = new AbortController();
  one.source.onChunk = () => (one.source.asked.length > 6 ? stop.abort() : undefined);
  const first = one.store.pull(one.source, 'latest', { platform: AMD64, signal: stop.signal });
  const second = one.pull();
  await assert.rejects(first, { code: 'canceled' });
  await assertWhole(await second);
});

test('whichever write, sync or rename fails, the pull says it, leaves nothing and works afterwards', async (t) => {
  let step = 0;
  for (let wasHit = true; wasHit; step++) {
    const one = await bench(t);
    const failing = failingAt(one.machine, step);
    const store = await openStore(failing.machine, one.directory);
    const pull = store.pull(one.source, 'latest', { platform: AMD64 });
    wasHit = await pull.then(
      () => false,
      (error: ImagerError) => {
        assert.equal(error.code, 'io', error.message);
        assert.match(error.message, /no space left: step/);
        return true;
      },
    );
    assert.deepEqual(failing.closedTwice, []);
    assert.deepEqual(await one.files('tmp'), []);
    assert.deepEqual((await one.store.verify({ remove: false })).damage, []);
    await assertWhole(await one.pull());
  }
  // Each of the three layers is written, synced, renamed and indexed.
  assert.ok(step > 3 * 4, `${step} steps`);
});

/** `machine` on a disk that has no room for what comes as number `step`. */
function failingAt(machine: Machine, step: number): { readonly machine: Machine; readonly closedTwice: string[] } {
  const closedTwice: string[] = [];
  let count = 0;
  const counted = async <T>(what: string, action: () => Promise<T>): Promise<T> => {
    const isLast = count++ === step;
    if (isLast) throw new ImagerError('io', `${what}: no space left: step ${step}`);
    return action();
  };
  const watched = (file: NewFile): NewFile => {
    let isClosed = false;
    return {
      ...file,
      write: (position, data) => counted(file.path, () => file.write(position, data)),
      sync: () => counted(file.path, () => file.sync()),
      async close() {
        if (isClosed) closedTwice.push(file.path);
        isClosed = true;
        await file.close();
      },
    };
  };
  const files = new Proxy(machine.files, {
    get(target, name: keyof Files) {
      if (name === 'create') return async (path: string) => watched(await target.create(path));
      if (name === 'rename') return (from: string, to: string) => counted(to, () => target.rename(from, to));
      const member = target[name];
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  return { machine: { ...machine, files }, closedTwice };
}

test('layers that are not what the config says are refused', async (t) => {
  const image = withDiffIds(IMAGE, (diffIds) => diffIds.splice(1, 1, diffIds[2]!));
  const one = await bench(t, image);
  await assert.rejects(one.pull(), { code: 'verification', message: /uncompressed: its content has digest/ });
  assert.deepEqual(await one.files('references'), []);
  assert.equal(await one.store.find('registry.example/a:latest', AMD64), undefined);
});

/** `image` with other diff ids in its config. */
function withDiffIds(image: TestImage, change: (diffIds: string[]) => void): TestImage {
  const parsed = JSON.parse(Buffer.from(image.blobs[0]!).toString()) as { rootfs: { diff_ids: string[] } };
  change(parsed.rootfs.diff_ids);
  const config = Buffer.from(JSON.stringify(parsed));
  const manifest = JSON.parse(Buffer.from(image.manifest).toString()) as { config: object };
  manifest.config = { ...manifest.config, digest: digestOf(config), size: config.length };
  return { ...image, manifest: Buffer.from(JSON.stringify(manifest)), blobs: [config, ...image.blobs.slice(1)] };
}

test('a layer that is here does not pass for another one that is here', async (t) => {
  const one = await bench(t);
  await one.pull();
  const swapped = testSource(withDiffIds(IMAGE, (diffIds) => diffIds.splice(1, 2, diffIds[2]!, diffIds[1]!)));
  await assert.rejects(one.store.pull(swapped, 'latest', { platform: AMD64 }), { code: 'verification' });
  await assertWhole(await one.pull());
});

test('damaged or missing parts beside a blob are made again from it, without the source', async (t) => {
  const one = await bench(t);
  await one.pull();
  for (const name of await one.files('layers')) {
    for (const damage of [(path: string) => rm(path), (path: string) => truncate(path, 100)]) {
      await damage(join(one.directory, 'layers', name));
      one.source.asked.length = 0;
      await assertWhole(await one.pull());
      assert.deepEqual(one.source.asked, ['manifest latest'], name);
    }
  }
  const index = (await one.files('layers')).find((name) => name.endsWith('.index'))!;
  const text = await readFile(join(one.directory, 'layers', index));
  text[text.length - 5]! ^= 1;
  await writeFile(join(one.directory, 'layers', index), text);
  await assertWhole(await one.pull());
});

test('damaged blobs of the right size are noticed when they are needed, and fetched again', async (t) => {
  const one = await bench(t);
  await one.pull();
  for (const data of [INDEX.manifest, IMAGE.manifest, IMAGE.blobs[0]!, gzipLayer]) {
    await writeFile(blobFile(one, data), randomBytes(data.length, 9));
  }
  await rm(join(one.directory, 'layers'), { recursive: true });
  await openStore(one.machine, one.directory);
  await assertWhole(await one.pull(digestOf(INDEX.manifest)));
  assert.equal(digestOf(await readFile(blobFile(one, gzipLayer))), digestOf(gzipLayer));
});

test('index.json is made again when it is missing, damaged or older than the references', async (t) => {
  const one = await bench(t);
  await one.pull();
  const path = join(one.directory, 'index.json');
  const right = await readFile(path, 'utf8');
  const damages = [
    () => rm(path),
    () => writeFile(path, '{"manifests"'),
    () => writeFile(path, 'null'),
    async () => {
      await writeFile(path, '{"schemaVersion":2,"manifests":[]}');
      await utimes(path, 1_000_000, 1_000_000);
    },
  ];
  for (const damage of damages) {
    await damage();
    await openStore(one.machine, one.directory);
    assert.equal(await readFile(path, 'utf8'), right);
  }
});

test('a name that comes to mean another image does so in index.json too', async (t) => {
  const one = await bench(t);
  await one.pull();
  const other = testSource(testImage([{ data: tar([{ name: 'new' }]) }]));
  const image = await one.store.pull(other, 'latest', { platform: AMD64, referenceName: 'registry.example/a:latest' });
  const index = JSON.parse(await readFile(join(one.directory, 'index.json'), 'utf8')) as {
    manifests: { digest: string }[];
  };
  assert.deepEqual(
    index.manifests.map(({ digest }) => digest),
    [image.manifestDigest],
  );
});

test('a pull that is stopped says so and leaves a store that works', async (t) => {
  const one = await bench(t);
  const stop = new AbortController();
  let chunks = 0;
  one.source.onChunk = () => {
    chunks++;
    if (chunks === 20) stop.abort();
  };
  const options = { platform: AMD64, signal: stop.signal };
  await assert.rejects(one.store.pull(one.source, 'latest', options), { code: 'canceled' });
  await assert.rejects(one.store.pull(one.source, 'latest', options), { code: 'canceled' });
  await assertWhole(await one.pull());
  assert.deepEqual(await one.files('tmp'), []);
});

test('progress counts every layer up to its size', async (t) => {
  const one = await bench(t);
  const events: Progress[] = [];
  await one.store.pull(one.source, 'latest', { platform: AMD64, onProgress: (event) => events.push(event) });
  for (const layer of [plainLayer, gzipLayer, zstdLayer]) {
    const own = events.filter(({ task }) => task.endsWith(digestOf(layer)));
    assert.equal(own.at(-1)?.done, layer.length);
    assert.ok(own.every(({ done, total }, index) => total === layer.length && done > (own[index - 1]?.done ?? 0)));
  }
});

test('an unexpected digest stops a pull before any layer', async (t) => {
  const one = await bench(t);
  const expectedDigest = digestOf(IMAGE.manifest);
  await assert.rejects(one.store.pull(one.source, 'latest', { platform: AMD64, expectedDigest }), {
    code: 'verification',
  });
  assert.deepEqual(one.source.asked, ['manifest latest']);
});

test('a layer that is no tar is refused, with its digest in the message', async (t) => {
  const one = await bench(t, testImage([{ data: randomBytes(2048, 1) }]));
  await assert.rejects(one.pull(), {
    code: 'invalid-input',
    message: /layer sha256:[0-9a-f]{64}: tar: wrong header checksum/,
  });
});

test('a derived result is made once and kept', async (t) => {
  const one = await bench(t);
  const key = { source: digestOf('x'), kind: 'squashfs 1', parameters: { level: 9 } };
  let made = 0;
  const produce = async (writer: { write(chunk: Uint8Array): Promise<void> }): Promise<void> => {
    made++;
    await writer.write(randomBytes(100_000, 1));
    await writer.write(randomBytes(5, 2));
  };
  const [first, second] = await Promise.all([one.store.derived(key, produce), one.store.derived(key, produce)]);
  const again = await (await openStore(one.machine, one.directory)).derived(key, produce);
  assert.equal(made, 1);
  assert.equal(first.size, 100_005);
  for (const bytes of [second, again]) assert.deepEqual(await read(bytes), await read(first));
  await one.store.derived({ ...key, parameters: { level: 1 } }, produce);
  assert.equal(made, 2);
  const data = (await one.files('derived')).find((name) => !name.endsWith('.json'))!;
  await truncate(join(one.directory, 'derived', data), 3);
  assert.equal((await one.store.derived(key, produce)).size, 100_005);
  assert.equal(made, 3);
});

test('a small derived result that power loss has spoiled is made again', async (t) => {
  const one = await bench(t);
  const key = { source: digestOf(gzipLayer), kind: 'test', parameters: {} };
  let made = 0;
  const produce: Produce = async (writer) => {
    made++;
    await writer.write(randomBytes(5000, 9));
  };
  const content = await read(await one.store.derived(key, produce));
  const names = await one.files('derived');
  const [record, data] = [true, false].map((isRecord) => names.find((name) => name.endsWith('.json') === isRecord)!);
  for (const [name, spoilt] of [
    [data!, new Uint8Array(5000)],
    [data!, new Uint8Array(0)],
    [record!, new Uint8Array(0)],
    [record!, new Uint8Array(100)],
  ] as const) {
    await writeFile(join(one.directory, 'derived', name), spoilt);
    const before = made;
    assert.deepEqual(await read(await one.store.derived(key, produce)), content);
    assert.equal(made, before + 1);
    assert.deepEqual(await read(await one.store.derived(key, produce)), content);
    assert.equal(made, before + 1);
  }
});

test('a derived result that fails leaves nothing, and the next one tries again', async (t) => {
  const one = await bench(t);
  const key = { source: 'x', kind: 'y', parameters: null };
  const failing = one.store.derived(key, async (writer) => {
    await writer.write(Uint8Array.of(1));
    throw new ImagerError('invalid-input', 'no');
  });
  await assert.rejects(failing, { message: 'no' });
  assert.deepEqual([...(await one.files('derived')), ...(await one.files('tmp'))], []);
  assert.equal((await one.store.derived(key, async () => undefined)).size, 0);
  assert.equal((await one.store.derived(key, () => assert.fail('kept'))).size, 0);
});

test('files are opened again when they are replaced by equal ones while in use', async (t) => {
  const one = await bench(t);
  const content = fileAt((await one.pull()).tree, 'large')!;
  await read(content, 0, 10);
  const name = (await one.files('layers')).find((file) => file.endsWith('.tar'))!;
  for (const file of await one.files('layers')) {
    const path = join(one.directory, 'layers', file);
    const data = await readFile(path);
    await rm(path);
    await writeFile(path, data);
  }
  assert.ok((await stat(join(one.directory, 'layers', name))).size > 0);
  for (const source of Array.from({ length: 70 }, (_, index) => join(one.directory, `f${index}`))) {
    await writeFile(source, 'x');
    await (await one.machine.files.source(source)).read(0, new Uint8Array(1));
  }
  assert.deepEqual(Buffer.from(await read(content)), Buffer.from(largeContent));
});
