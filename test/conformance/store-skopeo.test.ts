/** skopeo reads our store as an OCI layout, and we read what it writes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { openArchive } from '../../src/oci/local/archive.ts';
import { openLayout } from '../../src/oci/local/layout.ts';
import { openStore } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { OCI_LAYER, testImage, testIndex, writeLayout } from '../support/image.ts';
import { tar } from '../support/tar.ts';
import { skipWithout } from '../support/tools.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };
const NAME = 'registry.example/a/b:1';

const run = promisify(execFile);

test('skopeo inspects and copies from the store, and its archives come back the same', {
  skip: skipWithout('skopeo'),
}, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'skopeo-'));
  const machine = nodePlatform({});
  t.after(async () => {
    await machine.close();
    await rm(directory, { recursive: true });
  });
  const at = (name: string): string => join(directory, name);
  const layers = [
    { data: tar([{ name: 'plain', data: 'p' }]) },
    { data: gzipSync(tar([{ name: 'gzip', data: 'g' }])), mediaType: `${OCI_LAYER}+gzip` },
    { data: zstdCompressSync(tar([{ name: 'zstd', data: 'z' }])), mediaType: `${OCI_LAYER}+zstd` },
  ];
  await writeLayout(at('layout'), {
    x: testIndex([testImage(layers), testImage(layers, { os: 'linux', architecture: 'arm64' })]),
    // skopeo puts no zstd layers into archives of docker save.
    y: testImage(layers.slice(0, 2)),
  });
  const store = await openStore(machine, at('store'));
  const pulled = await store.pull(await openLayout(machine, at('layout')), 'x', {
    platform: AMD64,
    referenceName: NAME,
  });

  await store.pull(await openLayout(machine, at('layout')), 'y', { platform: AMD64, referenceName: 'y' });

  const skopeo = (...args: string[]): ReturnType<typeof run> =>
    run('skopeo', ['--insecure-policy', ...args], { env: { ...process.env, HOME: directory, TMPDIR: directory } });
  const { stdout } = await skopeo('inspect', `oci:${at('store')}:${NAME}`);
  const inspected = JSON.parse(String(stdout)) as { Digest: string; Layers: string[] };
  assert.equal(inspected.Digest, pulled.manifestDigest);
  assert.deepEqual(
    inspected.Layers,
    pulled.layers.map(({ descriptor }) => descriptor.digest),
  );

  await skopeo('copy', '--preserve-digests', `oci:${at('store')}:${NAME}`, `oci:${at('copy')}:there`);
  await skopeo('copy', `oci:${at('store')}:${NAME}`, `oci-archive:${at('oci.tar')}:there`);
  await skopeo('copy', `oci:${at('store')}:y`, `docker-archive:${at('docker.tar')}:there:1`);
  const sources = [
    [await openLayout(machine, at('copy')), 'there', 3],
    [await openArchive(machine, 'oci-archive', at('oci.tar')), 'there', 3],
    [await openArchive(machine, 'docker-archive', at('docker.tar')), '', 2],
    [await openArchive(machine, 'docker-archive', at('docker.tar')), 'docker.io/library/there:1', 2],
  ] as const;
  for (const [source, name, count] of sources) {
    const { tree, layers: again } = await store.pull(source, name, { platform: AMD64 });
    const paths = tree.entries.slice(1).map(({ path }) => path);
    assert.deepEqual(
      paths.sort(),
      ['gzip', 'plain', 'zstd'].filter((path) => path !== 'zstd' || count === 3),
    );
    assert.deepEqual(
      again.map(({ diffId }) => diffId),
      pulled.layers.slice(0, count).map(({ diffId }) => diffId),
    );
  }
});
