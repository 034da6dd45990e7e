import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ofMemory, ofSource } from '../../src/bytes/bytes.ts';
import { ImagerError } from '../../src/errors.ts';
import { indexTarBytes } from '../../src/formats/tar/tar-index.ts';
import { type ComposedImage, composeImage, composeIndex } from '../../src/oci/composed-image.ts';
import { layoutDockerArchive } from '../../src/oci/local/docker-archive.ts';
import { openLayout } from '../../src/oci/local/layout.ts';
import { writeToLayout } from '../../src/oci/local/write-layout.ts';
import { OCI_LAYER } from '../../src/oci/media-types.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { digestOf, randomBytes } from '../support/image.ts';

const platform = nodePlatform({ HOME: '/nonexistent' });
let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'write-layout-'));
});
afterEach(() => rm(directory, { recursive: true }));

function image(seed: number, architecture = 'amd64', suffix = ''): ComposedImage {
  const data = randomBytes(20_000, seed);
  const descriptor = { mediaType: `${OCI_LAYER}${suffix}`, digest: digestOf(data), size: data.length };
  const config = new TextEncoder().encode(JSON.stringify({ architecture, os: 'linux', seed }));
  return composeImage(platform, { os: 'linux', architecture }, config, [
    { descriptor, bytes: ofMemory(data), origins: [] },
  ]);
}

async function namesIn(layout: string): Promise<(string | undefined)[]> {
  const { manifests } = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as {
    manifests: { annotations?: Record<string, string> }[];
  };
  return manifests.map(({ annotations }) => annotations?.['org.opencontainers.image.ref.name']);
}

describe('a layout', () => {
  test('is made, with every blob by its digest', async () => {
    const layout = join(directory, 'new/layout');
    const images = [image(1), image(2, 'arm64')];
    const { digest } = await writeToLayout(platform, layout, 'v1', images);
    assert.equal(digest, composeIndex(platform, images).digest);
    assert.equal(await readFile(join(layout, 'oci-layout'), 'utf8'), '{"imageLayoutVersion":"1.0.0"}');
    const names = await readdir(join(layout, 'blobs/sha256'));
    assert.equal(names.length, 7);
    for (const name of names)
      assert.equal(digestOf(await readFile(join(layout, 'blobs/sha256', name))), `sha256:${name}`);
    assert.equal((await (await openLayout(platform, layout)).manifest('v1')).digest, digest);
  });

  test('keeps what it has; a name leads to what was written last', async () => {
    await writeToLayout(platform, directory, 'a', [image(1)]);
    await writeToLayout(platform, directory, 'b', [image(2)]);
    await writeToLayout(platform, directory, 'a', [image(3)]);
    assert.deepEqual(await namesIn(directory), ['b', 'a']);
    const source = await openLayout(platform, directory);
    assert.equal((await source.manifest('a')).digest, image(3).manifest.digest);
    assert.equal((await source.manifest('b')).digest, image(2).manifest.digest);
  });

  test('is not written where a blob is there, and is where it is cut short', async () => {
    const one = image(1);
    await writeToLayout(platform, directory, 'a', [one]);
    const layer = join(directory, 'blobs/sha256', one.layers[0]!.descriptor.digest.slice(7));
    const config = join(directory, 'blobs/sha256', one.config.descriptor.digest.slice(7));
    await utimes(layer, 1, 1);
    await writeFile(config, 'short');
    const seen: number[] = [];
    await writeToLayout(platform, directory, 'b', [one], { onProgress: (done) => void seen.push(done) });
    assert.equal((await stat(layer)).mtimeMs, 1000);
    assert.equal((await stat(config)).size, one.config.bytes.size);
    assert.deepEqual(
      seen,
      [...seen].sort((x, y) => x - y),
    );
  });

  test('gets a blob anew that has its size and not its content', async () => {
    const one = image(1);
    await writeToLayout(platform, directory, 'a', [one]);
    const layer = join(directory, 'blobs/sha256', one.layers[0]!.descriptor.digest.slice(7));
    await writeFile(layer, new Uint8Array(one.layers[0]!.descriptor.size));
    await writeToLayout(platform, directory, 'b', [one]);
    assert.equal(digestOf(await readFile(layer)), one.layers[0]!.descriptor.digest);
  });

  test("is one whose list is Go's empty one", async () => {
    await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    await writeFile(join(directory, 'index.json'), '{"schemaVersion":2,"manifests":null}');
    await writeToLayout(platform, directory, 'a', [image(1)]);
    assert.deepEqual(await namesIn(directory), ['a']);
  });

  test('stays as it was when content cannot be read', async () => {
    await writeToLayout(platform, directory, 'a', [image(1)]);
    const [layer] = image(2).layers;
    const { descriptor } = layer!;
    const source = {
      key: 'x',
      label: 'x',
      size: descriptor.size,
      read: () => Promise.reject(new ImagerError('io', 'gone')),
    };
    const broken = composeImage(platform, { os: 'linux', architecture: 'amd64' }, new Uint8Array(2), [
      { descriptor, bytes: ofSource(source), origins: [] },
    ]);
    await assert.rejects(writeToLayout(platform, directory, 'a', [broken]), { code: 'io', message: 'gone' });
    assert.equal((await (await openLayout(platform, directory)).manifest('a')).digest, image(1).manifest.digest);
    assert.deepEqual(
      (await readdir(join(directory, 'blobs/sha256'))).filter((name) => name.includes('.')),
      [],
    );
  });

  test('goes on with what a killed writer left', async () => {
    await writeToLayout(platform, directory, 'a', [image(1)]);
    const layer = join(directory, 'blobs/sha256', image(1).layers[0]!.descriptor.digest.slice(7));
    await utimes(layer, 1, 1);
    await rm(join(directory, 'index.json'));
    await writeFile(join(directory, 'index.json.partial'), '{');
    await writeToLayout(platform, directory, 'a', [image(1)]);
    assert.deepEqual((await readdir(directory)).sort(), ['blobs', 'index.json', 'oci-layout']);
    assert.equal((await stat(layer)).mtimeMs, 1000);
  });

  const refused: readonly (readonly [what: string, files: Readonly<Record<string, string>>])[] = [
    ['other files', { 'notes.txt': 'x' }],
    ['a marker alone', { 'oci-layout': '{}' }],
    ['an index that is no JSON', { 'oci-layout': '{}', 'index.json': '{' }],
    ['an index without a list', { 'oci-layout': '{}', 'index.json': '{"manifests":1}' }],
    ['an index with entries that are none', { 'oci-layout': '{}', 'index.json': '{"manifests":[null]}' }],
  ];
  for (const [what, files] of refused) {
    test(`is not made of a directory with ${what}`, async () => {
      const layout = join(directory, 'other');
      await mkdir(layout);
      for (const [name, text] of Object.entries(files)) await writeFile(join(layout, name), text);
      await assert.rejects(writeToLayout(platform, layout, 'a', [image(1)]), {
        code: 'invalid-input',
        message: `oci:${layout}: a directory with something else in it, want an OCI image layout or none`,
      });
      assert.deepEqual((await readdir(layout)).sort(), Object.keys(files).sort());
    });
  }
});

test('a docker archive names layers by how they are compressed, and has each once', async () => {
  const layers = ['', '+gzip', '+zstd'].map((suffix, seed) => image(seed, 'amd64', suffix).layers[0]!);
  const one = composeImage(platform, { os: 'linux', architecture: 'amd64' }, new Uint8Array(2), [
    ...layers,
    layers[0]!,
  ]);
  const entries = await indexTarBytes(layoutDockerArchive(one, null));
  const hex = layers.map(({ descriptor }) => descriptor.digest.slice(7));
  assert.deepEqual(
    entries.map(({ name }) => name),
    [one.config.descriptor.digest, `${hex[0]}.tar`, `${hex[1]}.tar.gz`, `${hex[2]}.tar.zst`, 'manifest.json'],
  );
});
