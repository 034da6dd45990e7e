/** `imager cache create` from its words to a cache that an image can be built with. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ofSource } from '../../src/bytes/bytes.ts';
import { decodeIso9660 } from '../../src/formats/iso9660/decode.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { onePlatform, signatureOf, signatureTag, twoPlatforms } from '../support/cached-images.ts';
import {
  type Circumstances,
  imager,
  type Outcome,
  type Scratch,
  scratch,
  writeAssets,
} from '../support/command-line.ts';
import { digestOf } from '../support/image.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { pullFromRegistryd } from '../support/registryd.ts';

const app = twoPlatforms(1);
const tool = twoPlatforms(21);

interface Bench extends AsyncDisposable {
  readonly registry: TestRegistry;
  readonly at: Scratch;
  readonly create: (words: readonly string[], more?: Circumstances) => Promise<Outcome>;
  readonly pull: (directory: string, repository: string, architecture: string) => Promise<readonly Uint8Array[]>;
}

async function bench(): Promise<Bench> {
  const registry = await startRegistry();
  const at = await scratch();
  registry.serve('team/app', 'v1', app);
  registry.serve('team/tool', 'v1', tool);
  registry.serve('team/tool', signatureTag(tool), signatureOf(tool));
  return {
    registry,
    at,
    create: (words, more) => imager(['cache', 'create', ...words], more),
    pull(directory, repository, architecture) {
      const read = (path: string): Promise<Uint8Array | undefined> =>
        readFile(join(at.path(directory), path)).catch(() => undefined);
      return pullFromRegistryd(read, { registry: registry.host, repository, identifier: 'v1' }, architecture);
    },
    async [Symbol.asyncDispose]() {
      await registry.close();
      await at[Symbol.asyncDispose]();
    },
  };
}

test('a layout has nothing of what a stopped run of another list left beside it', async () => {
  await using it = await bench();
  const created = async (name: string): Promise<string> => {
    const target = `oci:${it.at.path(name)}:cache`;
    const { code, stderr } = await it.create([`${it.registry.host}/team/app:v1`, target, '--arch', 'amd64', '--quiet']);
    assert.equal(code, 0, stderr);
    return readFile(it.at.path(`${name}/index.json`), 'utf8');
  };
  const clean = await created('clean');
  await it.create([`${it.registry.host}/team/tool:v1`, it.at.path('left.partial'), '--arch', 'amd64', '--quiet']);
  assert.equal(await created('left'), clean);
  assert.deepEqual(
    (await readdir(it.at.directory)).filter((name) => name.includes('partial')),
    [],
  );
});

describe('images come from', () => {
  test('arguments, files and standard input, each once and in order', async () => {
    await using it = await bench();
    const { host } = it.registry;
    it.registry.serve('team/more', 'v1', onePlatform(40));
    await writeFile(it.at.path('list'), `\ufeff# tools\r\n\n  ${host}/team/tool:v1 \r\n${host}/team/app:v1\n`);
    const { code, text, stderr } = await it.create(
      [
        `${host}/team/app:v1`,
        `@${it.at.path('list')}`,
        '-',
        it.at.path('cache'),
        '--arch',
        'amd64',
        '--json',
        '--quiet',
      ],
      { stdin: `${host}/team/more:v1` },
    );
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
    const { images, architectures, target, blobs } = JSON.parse(text);
    assert.deepEqual(images, [
      { reference: `${host}/team/app:v1`, digest: digestOf(app.manifest), signed: false },
      { reference: `${host}/team/tool:v1`, digest: digestOf(tool.manifest), signed: true },
      { reference: `${host}/team/more:v1`, digest: digestOf(onePlatform(40).manifest), signed: false },
    ]);
    assert.deepEqual(architectures, ['amd64']);
    assert.deepEqual(target, { kind: 'directory', directory: it.at.path('cache') });
    assert.equal(blobs, 10);
    for (const repository of ['team/app', 'team/tool', 'team/more']) await it.pull('cache', repository, 'amd64');
  });

  test('mirrors, under the name of the registry they stand for', async () => {
    await using it = await bench();
    const mirror = `registry.example=${it.registry.url}`;
    const { code, stderr } = await it.create([
      'registry.example/team/app:v1',
      it.at.path('cache'),
      '--arch=arm64',
      '--mirror',
      mirror,
    ]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(await readdir(it.at.path('cache/manifests')), ['registry.example']);
    assert.match(stderr, /1 image, 3 blobs, .* in /);
  });
});

test('signatures may be left out', async () => {
  await using it = await bench();
  const { text } = await it.create([
    `${it.registry.host}/team/tool:v1`,
    it.at.path('cache'),
    '--no-signatures',
    '--json',
  ]);
  assert.equal('signed' in JSON.parse(text).images[0], false);
});

describe('an image is built with', () => {
  for (const [form, target] of [
    ['a directory', ''],
    ['an OCI layout', 'oci:'],
  ] as const) {
    test(`${form} for both architectures`, async () => {
      await using it = await bench();
      const images = [`${it.registry.host}/team/app:v1`, `${it.registry.host}/team/tool:v1`];
      const made = await it.create([...images, `${target}${it.at.path('cache')}`, '--arch', 'amd64,arm64']);
      assert.equal(made.code, 0, made.stderr);
      const assets = await writeAssets(it.at.path('assets'));
      const words = [
        'iso',
        '--arch=arm64',
        '--imager-image',
        assets,
        '--image-cache',
        `${target}${it.at.path('cache')}`,
      ];
      const home = { XDG_CACHE_HOME: it.at.path('home') };
      const built = await imager([...words, '-o', it.at.path('out'), '--json'], { environment: home });
      assert.equal(built.code, 0, built.stderr);
      assert.equal(JSON.parse(built.text).inputs.at(-1).role, 'image-cache');
      const platform = nodePlatform();
      const { tree } = await decodeIso9660(ofSource(await platform.files.source(it.at.path('out/metal-arm64.iso'))));
      assert.equal(
        tree.byPath.get(`imagecache/manifests/${it.registry.host.replace(':', '_')}_/team/app/reference/v1`)?.kind,
        'file',
      );
      await platform.close();
      const plan = await imager(['plan', ...words], { environment: home });
      assert.match(plan.text, /\nimage cache:\n {2}2 images for arm64, \d+\.\d KiB\n/);
      assert.match(plan.text, /\n {2}image-cache: .*\n {4}sha256:/);
    });
  }

  test('the same layout comes out whoever makes it, whenever', async () => {
    await using it = await bench();
    const indexes: string[] = [];
    for (const name of ['one', 'two']) {
      const made = await it.create([
        `${it.registry.host}/team/app:v1`,
        `oci:${it.at.path(name)}:mine`,
        '--arch',
        'amd64,arm64',
      ]);
      assert.equal(made.code, 0, made.stderr);
      indexes.push(await readFile(it.at.path(`${name}/index.json`), 'utf8'));
    }
    assert.equal(indexes[0], indexes[1]);
    const { manifests } = JSON.parse(indexes[0]!);
    assert.deepEqual(
      manifests.map(({ platform, annotations }: { platform: object; annotations: object }) => [
        platform,
        Object.values(annotations),
      ]),
      [
        [{ architecture: 'amd64', os: 'linux' }, ['mine-amd64']],
        [{ architecture: 'arm64', os: 'linux' }, ['mine-arm64']],
      ],
    );
    assert.deepEqual((await readdir(it.at.directory)).sort(), ['one', 'two']);
    assert.equal((await readdir(it.at.path('one/blobs/sha256'))).length, 5);
  });

  test('a disk says how much it grows', async () => {
    await using it = await bench();
    await it.create([`${it.registry.host}/team/app:v1`, it.at.path('cache'), '--arch=arm64']);
    const assets = await writeAssets(it.at.path('assets'));
    const { code, text, stderr } = await imager(
      ['plan', 'metal', '--arch=arm64', '--imager-image', assets, '--image-cache', it.at.path('cache')],
      { environment: { XDG_CACHE_HOME: it.at.path('home') } },
    );
    assert.equal(code, 0, stderr);
    assert.match(text, /\n {2}partition IMAGECACHE of \d+ bytes \(\d+\.\d MiB\), added to the disk\n/);
  });
});

describe('what cannot be', () => {
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [[], 1, /want images and a directory, got 0 arguments/],
    [['one'], 1, /want images and a directory, got 1 argument\n/],
    [['x', 'y', '--arch', 'riscv64'], 1, /flag --arch "riscv64": want amd64, arm64 or amd64,arm64/],
    [['x', 'y', '--arch', 'amd64,amd64'], 1, /flag --arch/],
    [['-', '-', 'y'], 1, /standard input can be one list only/],
    [['x', 'oci:'], 2, /want a path after oci:/],
    [['@/nonexistent', 'y'], 6, /\/nonexistent/],
    [['registry.example/UPPER:v1', '/nonexistent/y'], 2, /image reference "registry\.example\/UPPER:v1"/],
    [['x', 'y', '--mirror', 'nothing'], 2, /mirror "nothing"/],
    [['x', 'y', '--progress', 'loud'], 1, /loud/],
  ];
  for (const [words, exit, message] of cases) {
    test(`cache create ${words.join(' ')}`, async () => {
      const { code, stderr } = await imager(['cache', 'create', ...words]);
      assert.equal(code, exit, stderr);
      assert.match(stderr, message);
    });
  }

  test('cache without create, an empty list, a list from a terminal', async () => {
    assert.match((await imager(['cache', 'serve'])).stderr, /cache serve: want create/);
    assert.match(
      (await imager(['cache', 'create', '-', 'x'], { stdin: '# nothing\n' })).stderr,
      /no images, want at least one/,
    );
    assert.match(
      (await imager(['cache', 'create', '-', 'x'], { stdinIsTTY: true })).stderr,
      /is a terminal, want a list/,
    );
  });

  for (const [form, message] of [
    ['', /it has other in it, want the directory of an image cache/],
    ['oci:', /a directory with something else in it, want an OCI image layout/],
  ] as const) {
    test(`${form}DIR with something else in it is found before anything is asked for`, async () => {
      await using it = await bench();
      await writeFile(it.at.path('other'), '');
      const { code, stderr } = await it.create([`${it.registry.host}/team/app:v1`, `${form}${it.at.directory}`]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
      assert.deepEqual(it.registry.requests, []);
    });
  }
});
