import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { ofMemory } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import type { Digest } from '../../src/bytes/units.ts';
import { layoutTar } from '../../src/formats/tar/layout-tar.ts';
import type { ImageSource, Platform } from '../../src/oci/image-source.ts';
import { type ArchiveKind, openArchive } from '../../src/oci/local/archive.ts';
import { openLayout } from '../../src/oci/local/layout.ts';
import { openStore, type PulledImage } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform as Machine } from '../../src/platform/types.ts';
import { treeOfDirectory } from '../../src/tree/directory.ts';
import { fileAt, treeOfLiterals } from '../../src/tree/tree.ts';
import {
  digestOf,
  OCI_LAYER,
  randomBytes,
  type TestImage,
  testImage,
  testIndex,
  writeLayout,
} from '../support/image.ts';
import { tar } from '../support/tar.ts';

const AMD64: Platform = { os: 'linux', architecture: 'amd64' };
const ARM64: Platform = { os: 'linux', architecture: 'arm64' };

const layer = (name: string, size = 10): Buffer => tar([{ name, data: randomBytes(size, name.length) }]);
const ONE = testImage([
  { data: layer('one') },
  { data: gzipSync(layer('large', 2_000_000)), mediaType: `${OCI_LAYER}+gzip` },
]);
const TWO = testImage([{ data: layer('two') }]);
const BOTH = testIndex([testImage([{ data: layer('amd') }]), testImage([{ data: layer('arm') }], ARM64)]);

interface Bench {
  readonly machine: Machine;
  readonly directory: string;
  pull(source: ImageSource, name?: string, platform?: Platform): Promise<PulledImage>;
  names(source: ImageSource, name?: string, platform?: Platform): Promise<string[]>;
}

async function bench(t: TestContext): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), 'layout-'));
  const machine = nodePlatform({});
  t.after(async () => {
    await machine.close();
    await rm(directory, { recursive: true });
  });
  const store = await openStore(machine, join(directory, 'store'));
  const pull: Bench['pull'] = (source, name = '', platform = AMD64) => store.pull(source, name, { platform });
  return {
    machine,
    directory,
    pull,
    async names(source, name, platform) {
      const { tree } = await pull(source, name, platform);
      return tree.entries.slice(1).map(({ path }) => path);
    },
  };
}

/** The same layout as a directory and as archives. */
const FORMS: Readonly<
  Record<string, (one: Bench, images: Readonly<Record<string, TestImage>>) => Promise<ImageSource>>
> = {
  async directory({ machine, directory }, images) {
    await writeLayout(join(directory, 'images'), images);
    return openLayout(machine, join(directory, 'images'));
  },
  archive: (one, images) => archived(one, images, (data) => data),
  'gzip archive': (one, images) => archived(one, images, (data) => gzipSync(data)),
  'zstd archive': (one, images) => archived(one, images, (data) => zstdCompressSync(data)),
};

async function archived(
  { machine, directory }: Bench,
  images: Readonly<Record<string, TestImage>>,
  pack: (data: Uint8Array) => Uint8Array,
): Promise<ImageSource> {
  await writeLayout(join(directory, 'images'), images);
  const data = await read(layoutTar(await treeOfDirectory(machine.files, join(directory, 'images'))));
  return archiveOf({ machine, directory }, 'oci-archive', pack(data));
}

async function archiveOf(
  { machine, directory }: Pick<Bench, 'machine' | 'directory'>,
  kind: ArchiveKind,
  data: Uint8Array,
): Promise<ImageSource> {
  await writeFile(join(directory, 'archive.tar'), data);
  return openArchive(machine, kind, join(directory, 'archive.tar'));
}

for (const [form, make] of Object.entries(FORMS)) {
  test(`layout in a ${form}: images by name, by digest, or what there is for the platform`, async (t) => {
    const one = await bench(t);
    const source = await make(one, { one: ONE, two: TWO, both: BOTH });
    assert.deepEqual(await one.names(source, 'one'), ['large', 'one']);
    assert.deepEqual(await one.names(source, 'two'), ['two']);
    assert.deepEqual(await one.names(source, digestOf(TWO.manifest)), ['two']);
    assert.deepEqual(await one.names(source, 'both', ARM64), ['arm']);
    assert.deepEqual(await one.names(source, '', ARM64), ['arm']);
    await assert.rejects(one.pull(source), {
      code: 'invalid-input',
      message: /several images for linux\/amd64: one, two$/,
    });
    await assert.rejects(one.pull(source, 'three'), {
      code: 'dependency',
      message: /no image named "three", it has one, two, both$/,
    });
    await assert.rejects(one.pull(source, `sha256:${'0'.repeat(64)}`), { code: 'dependency' });
    const { tree } = await one.pull(source, 'one');
    assert.deepEqual(Buffer.from(await read(fileAt(tree, 'large')!)), Buffer.from(randomBytes(2_000_000, 5)));
  });
}

test('a name that several entries have is decided by the platform, from entries or configs', async (t) => {
  const one = await bench(t);
  const images = { 'a:1': testImage([{ data: layer('amd') }]), 'a:2': testImage([{ data: layer('arm') }], ARM64) };
  await writeLayout(one.directory, images);
  for (const keepPlatforms of [true, false]) {
    const path = join(one.directory, 'index.json');
    const index = JSON.parse(Buffer.from(await one.machine.files.read(path, 1 << 20)).toString()) as {
      manifests: { annotations: object; platform?: object }[];
    };
    for (const entry of index.manifests) {
      entry.annotations = { 'org.opencontainers.image.ref.name': 'a' };
      if (!keepPlatforms) delete entry.platform;
    }
    await writeFile(path, JSON.stringify(index));
    const source = await openLayout(one.machine, one.directory);
    assert.deepEqual(await one.names(source, 'a'), ['amd']);
    assert.deepEqual(await one.names(source, 'a', ARM64), ['arm']);
  }
});

test('a directory that is no layout, or of another version, is refused with what is missing', async (t) => {
  const one = await bench(t);
  await assert.rejects(openLayout(one.machine, one.directory), {
    code: 'invalid-input',
    message: /no file oci-layout/,
  });
  for (const [marker, code] of [
    ['{"imageLayoutVersion":"2.0.0"}', 'unsupported'],
    ['{}', 'unsupported'],
    ['x', 'invalid-input'],
    ['null', 'unsupported'],
  ] as const) {
    await writeFile(join(one.directory, 'oci-layout'), marker);
    await assert.rejects(openLayout(one.machine, one.directory), { code }, marker);
  }
  await writeFile(join(one.directory, 'oci-layout'), ' '.repeat(70_000));
  await assert.rejects(openLayout(one.machine, one.directory), { message: /oci-layout: 70000 bytes, want at most/ });
  await writeFile(join(one.directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await assert.rejects(openLayout(one.machine, one.directory), { message: /index.json: no such file/ });
});

test('a blob that is not what its name says is refused', async (t) => {
  const one = await bench(t);
  await writeLayout(one.directory, { one: ONE });
  await writeFile(join(one.directory, 'blobs/sha256', digestOf(ONE.manifest).slice(7)), TWO.manifest);
  await assert.rejects(one.pull(await openLayout(one.machine, one.directory)), { code: 'verification' });
});

const config = (layers: readonly Uint8Array[], architecture = 'amd64'): Buffer =>
  Buffer.from(
    JSON.stringify({ architecture, os: 'linux', rootfs: { type: 'layers', diff_ids: layers.map(digestOf) } }),
  );

/** As old `docker save` writes it: a directory per layer, a link where a layer is there twice. */
function savedOld(): Buffer {
  const layers = [layer('one'), layer('two'), layer('one')];
  const manifest = [
    { Config: 'abc.json', RepoTags: ['a:1', 'a:latest'], Layers: ['l1/layer.tar', 'l2/layer.tar', 'l3/layer.tar'] },
  ];
  return tar([
    { name: 'l1', type: '5' },
    { name: 'l1/layer.tar', data: layers[0]! },
    { name: 'l2/layer.tar', data: layers[1]! },
    { name: 'l3/layer.tar', type: '2', link: '../l1/layer.tar' },
    { name: 'abc.json', data: config(layers) },
    { name: 'manifest.json', data: JSON.stringify(manifest) },
    { name: 'repositories', data: '{}' },
  ]);
}

test('archives of docker save: old ones, and those with compressed layers', async (t) => {
  const one = await bench(t);
  const old = await archiveOf(one, 'docker-archive', savedOld());
  assert.deepEqual(await one.names(old), ['one', 'two']);
  assert.deepEqual(await one.names(old, 'a:latest'), ['one', 'two']);
  await assert.rejects(one.pull(old, 'b'), {
    code: 'dependency',
    message: /no image named "b", it has a:1, a:latest$/,
  });
  await assert.rejects(one.pull(old, '', ARM64), { message: /no image for linux\/arm64, it has linux\/amd64/ });
  const packed = gzipSync(layer('new', 100_000));
  const files = {
    'sha256:abc': config([layer('new', 100_000)]),
    'x.tar.gz': packed,
    'manifest.json': JSON.stringify([{ Config: 'sha256:abc', RepoTags: null, Layers: ['x.tar.gz'] }]),
  };
  const data = await read(layoutTar(treeOfLiterals(files)));
  for (const form of [data, gzipSync(data)]) {
    const saved = await archiveOf(one, 'docker-archive', form);
    const image = await one.pull(saved);
    assert.equal(image.layers[0]!.descriptor.digest, digestOf(packed));
    assert.equal(image.tree.entries.length, 2);
  }
});

test('several saved images are told apart by name and by platform', async (t) => {
  const one = await bench(t);
  const files = {
    'a.json': config([layer('amd')]),
    'b.json': config([layer('arm')], 'arm64'),
    'a.tar': ofMemory(layer('amd')),
    'b.tar': ofMemory(layer('arm')),
    'manifest.json': JSON.stringify([
      { Config: 'a.json', RepoTags: ['x:1'], Layers: ['a.tar'] },
      { Config: 'b.json', RepoTags: ['x:2'], Layers: ['b.tar'] },
    ]),
  };
  const saved = await archiveOf(one, 'docker-archive', await read(layoutTar(treeOfLiterals(files))));
  assert.deepEqual(await one.names(saved, '', ARM64), ['arm']);
  assert.deepEqual(await one.names(saved, '', AMD64), ['amd']);
  await assert.rejects(one.pull(saved, 'x:2', AMD64), { message: /it has linux\/arm64/ });
});

test('archives with something missing are refused by what it is', async (t) => {
  const one = await bench(t);
  const cases: readonly [Record<string, string | Buffer>, RegExp][] = [
    [{ x: '' }, /no archive of docker save/],
    [{ 'manifest.json': '{' }, /not JSON/],
    [{ 'manifest.json': '{}' }, /want a list/],
    [{ 'manifest.json': '[null]' }, /manifest.json\[0\]: Config/],
    [{ 'manifest.json': '[{"Config":"a","Layers":"b"}]' }, /Layers: want texts/],
  ];
  for (const [files, message] of cases) {
    const data = await read(layoutTar(treeOfLiterals(files)));
    await assert.rejects(archiveOf(one, 'docker-archive', data), { code: 'invalid-input', message });
  }
  const list = JSON.stringify([{ Config: 'c.json', Layers: ['l.tar'] }]);
  for (const [files, message] of [
    [{ 'manifest.json': list }, /c.json is named in manifest.json but not there/],
    [{ 'manifest.json': list, 'c.json': config([]) }, /1 layers, c.json lists 0/],
    [{ 'manifest.json': list, 'c.json': config([layer('a')]) }, /l.tar is named/],
  ] as const) {
    const source = await archiveOf(one, 'docker-archive', await read(layoutTar(treeOfLiterals(files))));
    await assert.rejects(one.pull(source), { code: 'invalid-input', message });
  }
  await assert.rejects(archiveOf(one, 'oci-archive', Buffer.from('no tar at all'.repeat(100))), {
    code: 'invalid-input',
    message: /^oci-archive:.*wrong header checksum/,
  });
});

test('what merely calls itself a digest leads nowhere', async (t) => {
  const one = await bench(t);
  await writeLayout(join(one.directory, 'images'), { one: ONE });
  await writeFile(join(one.directory, 'secret'), 'top secret');
  const source = await openLayout(one.machine, join(one.directory, 'images'));
  const digest = 'sha256:../../../secret' as Digest;
  await assert.rejects(source.blob({ digest, size: 10 }, 0), { code: 'invalid-input' });
});
