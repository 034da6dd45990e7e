/** Image caches on their way into an image: from everywhere they may lie, planned, checked and held to what was planned. */
import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { equals, read } from '../../src/bytes/read.ts';
import type { ImagerError } from '../../src/errors.ts';
import { decodeIso9660 } from '../../src/formats/iso9660/decode.ts';
import { layoutTar } from '../../src/formats/tar/layout-tar.ts';
import { build } from '../../src/pipeline/build.ts';
import type { PlanRequest } from '../../src/pipeline/plan.ts';
import { planBuild } from '../../src/pipeline/plan.ts';
import { planDigest } from '../../src/pipeline/plan-digest.ts';
import type { GivenProfile } from '../../src/profiles/profile.ts';
import { subtree, type Tree, treeOfLiterals } from '../../src/tree/tree.ts';
import { cacheFiles, onePlatform, twoPlatforms } from '../support/cached-images.ts';
import { digestOf, OCI_LAYER, randomBytes, testImage, writeLayout } from '../support/image.ts';
import { assetFiles, type TestWorkplace, testRequest, testWorkplace, writeFiles } from '../support/pipeline.ts';
import { startRegistry } from '../support/registry.ts';
import { rejected } from '../support/rejected.ts';

const FILES = cacheFiles({ 'docker.io/library/app:v1': twoPlatforms(1), 'ghcr.io/other/tool:v2': twoPlatforms(7) });
const CACHE: Tree = treeOfLiterals(FILES);
const NOWHERE = { os: '', architecture: '' };

type CacheAsset = NonNullable<NonNullable<GivenProfile['input']>['imageCache']>;

async function requestWith(
  workplace: TestWorkplace,
  imageCache: CacheAsset,
  given: GivenProfile = {},
): Promise<PlanRequest> {
  const assets = join(workplace.directory, 'assets');
  await writeFiles(assets, assetFiles());
  return testRequest({ input: { imageCache }, ...given }, { assets: `dir:${assets}` });
}

async function cacheOfIso(workplace: TestWorkplace, request: PlanRequest, resolve = true): Promise<Tree> {
  const plan = await planBuild(workplace, request, { resolve });
  const { bytes } = await build(workplace, request, plan);
  return subtree((await decodeIso9660(bytes)).tree, 'imagecache');
}

async function assertSameFiles(found: Tree, expected: Tree): Promise<void> {
  assert.deepEqual(
    found.entries.map(({ kind, path, mode }) => [kind, path, mode]),
    expected.entries.map(({ kind, path }) => [kind, path, kind === 'file' ? 0o644 : 0o755]),
  );
  for (const entry of expected.entries) {
    const other = found.byPath.get(entry.path);
    assert.ok(
      entry.kind !== 'file' || (other?.kind === 'file' && (await equals(entry.content, other.content))),
      entry.path,
    );
  }
}

/** Writes the cache, also its empty directories, in the form of the case and gives what names it. */
const forms: Readonly<Record<string, (directory: string, files?: typeof FILES) => Promise<CacheAsset>>> = {
  'a directory': async (directory, files = FILES) => {
    await mkdir(join(directory, 'cache/blob'), { recursive: true });
    await mkdir(join(directory, 'cache/manifests'), { recursive: true });
    await writeFiles(join(directory, 'cache'), files);
    return { ociPath: join(directory, 'cache') };
  },
  'a tarball': async (directory, files = FILES) => {
    await writeFile(join(directory, 'cache.tar'), await read(layoutTar(treeOfLiterals(files))));
    return { tarballPath: join(directory, 'cache.tar') };
  },
  'an OCI layout with a plain layer': async (directory, files = FILES) => {
    const layer = { data: await read(layoutTar(treeOfLiterals(files))) };
    await writeLayout(join(directory, 'cache'), { cache: testImage([layer], NOWHERE) });
    return { ociPath: join(directory, 'cache') };
  },
  'an OCI layout with a compressed layer': async (directory, files = FILES) => {
    const data = gzipSync(await read(layoutTar(treeOfLiterals(files))));
    await writeLayout(join(directory, 'cache'), {
      cache: testImage([{ data, mediaType: `${OCI_LAYER}+gzip` }], NOWHERE),
    });
    return { ociPath: join(directory, 'cache') };
  },
};

describe('from everywhere', () => {
  for (const [name, write] of Object.entries(forms)) {
    for (const resolve of [true, false]) {
      test(`${name} comes into the ISO whole, ${resolve ? '' : 'not '}resolved before`, async () => {
        await using workplace = await testWorkplace();
        const request = await requestWith(workplace, await write(workplace.directory));
        await assertSameFiles(await cacheOfIso(workplace, request, resolve), CACHE);
      });
    }
  }

  test('a reference', async () => {
    await using workplace = await testWorkplace();
    const registry = await startRegistry();
    try {
      registry.serve('cache', 'v1', testImage([{ data: await read(layoutTar(CACHE)) }], NOWHERE));
      const request = await requestWith(workplace, { imageRef: `${registry.host}/cache:v1` });
      const before = await planBuild(workplace, request, { resolve: true });
      assert.equal(before.imageCache, undefined);
      assert.deepEqual(before.hosts, [registry.host]);
      await assertSameFiles(await cacheOfIso(workplace, request), CACHE);
      const after = await planBuild(workplace, request, { resolve: true });
      assert.equal(after.imageCache?.images, 2);
      assert.deepEqual(after.inputs, before.inputs);
      registry.requests.length = 0;
      const offline = { ...workplace, transport: { offline: true } };
      await assertSameFiles(await cacheOfIso(offline as TestWorkplace, request), CACHE);
      assert.deepEqual(registry.requests, []);
    } finally {
      await registry.close();
    }
  });

  test('of several places the tarball counts first, then the path', async () => {
    await using workplace = await testWorkplace();
    const { tarballPath } = (await forms['a tarball']!(workplace.directory)) as { tarballPath: string };
    const request = await requestWith(workplace, {
      tarballPath,
      ociPath: '/nonexistent',
      imageRef: 'example.org/cache:v1',
    });
    await assertSameFiles(await cacheOfIso(workplace, request), CACHE);
  });

  test('a plain layer in a layout is read where it lies, a compressed one from the store', async () => {
    await using workplace = await testWorkplace();
    const request = await requestWith(workplace, await forms['an OCI layout with a plain layer']!(workplace.directory));
    await cacheOfIso(workplace, request);
    assert.equal(await workplace.platform.files.info(workplace.store), undefined);
  });
});

describe('planning', () => {
  test('the plan names the cache by its content and says what is in it', async () => {
    await using workplace = await testWorkplace();
    const request = await requestWith(workplace, await forms['a directory']!(workplace.directory));
    const plan = await planBuild(workplace, request, { resolve: true });
    const { digest, ...input } = plan.inputs.at(-1)!;
    assert.deepEqual(input, { role: 'image-cache', path: join(workplace.directory, 'cache') });
    assert.match(digest!, /^sha256:[0-9a-f]{64}$/);
    const size = CACHE.entries.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.content.size : 0), 0);
    assert.deepEqual(plan.imageCache, { images: 2, size });
    assert.deepEqual(plan.warnings, []);

    const tarball = await requestWith(workplace, await forms['a tarball']!(workplace.directory));
    const other = await planBuild(workplace, tarball, { resolve: true });
    assert.equal(planDigest(other), planDigest(plan));
    await writeFile(join(workplace.directory, 'cache/manifests/more'), '');
    assert.notEqual(planDigest(await planBuild(workplace, request, { resolve: true })), planDigest(plan));
  });

  test('unresolved, nothing is looked at', async () => {
    await using workplace = await testWorkplace();
    const request = await requestWith(workplace, { ociPath: '/nonexistent' });
    const plan = await planBuild(workplace, request, { resolve: false });
    assert.deepEqual(plan.inputs.at(-1), { role: 'image-cache', path: '/nonexistent', digest: null });
  });

  test('warnings: versions that read none, kinds that hold none, files that nobody asks for', async () => {
    await using workplace = await testWorkplace();
    const imageCache = await forms['a directory']!(workplace.directory, { ...FILES, 'blob/odd': 'x' });
    const warnings = async (given: GivenProfile, resolve = true): Promise<readonly string[]> => {
      const request = await requestWith(workplace, imageCache, given);
      return (await planBuild(workplace, request, { resolve })).warnings.filter((text) => /image cache/.test(text));
    };
    const odd = 'image cache: blob/odd is named for no digest: no node asks for it';
    assert.deepEqual(await warnings({}), [odd]);
    const input = { imageCache };
    assert.deepEqual(await warnings({ input, output: { kind: 'kernel' } }), [
      'image cache: only ISOs and disk images hold one, output kind kernel does not',
    ]);
    assert.match((await warnings({ input, version: 'v1.8.0' }, false))[0]!, /Talos v1\.8\.0 does not look for one/);
  });
});

test('what is odd about a cache is said once, by the plan that saw it or by the build', async () => {
  for (const resolve of [true, false]) {
    const said: string[] = [];
    await using workplace = await testWorkplace({ onWarning: (text) => said.push(text) });
    const imageCache = await forms['a directory']!(workplace.directory, { ...FILES, 'blob/odd': 'x' });
    const request = await requestWith(workplace, imageCache);
    const plan = await planBuild(workplace, request, { resolve });
    await build(workplace, request, plan);
    const all = [...plan.warnings, ...said].filter((text) => text.includes('blob/odd'));
    assert.deepEqual(all, ['image cache: blob/odd is named for no digest: no node asks for it']);
  }
});

describe('refusals', () => {
  const cases: readonly (readonly [string, (directory: string) => Promise<CacheAsset>, ImagerError['code'], RegExp])[] =
    [
      [
        'nothing at the path',
        async () => ({ ociPath: '/nonexistent' }),
        'dependency',
        /^image cache \/nonexistent: nothing there/,
      ],
      [
        'no tarball',
        async () => ({ tarballPath: '/nonexistent.tar' }),
        'dependency',
        /^image cache \/nonexistent\.tar: nothing there/,
      ],
      [
        'a file as path',
        async () => ({ ociPath: '/etc/hostname' }),
        'dependency',
        /a file, want an OCI layout or the directory/,
      ],
      [
        'a directory as tarball',
        async () => ({ tarballPath: '/' }),
        'dependency',
        /a directory, want a plain tar file/,
      ],
      [
        'a directory that is no cache',
        async (directory) => ({ ociPath: directory }),
        'dependency',
        /a directory with something else in it, want/,
      ],
      [
        'half a cache',
        async (directory) => {
          await mkdir(join(directory, 'cache/manifests'), { recursive: true });
          return { ociPath: join(directory, 'cache') };
        },
        'invalid-input',
        /no image cache, it has no directory blob/,
      ],
      [
        'a cache that was not finished',
        async (directory) => {
          const asset = await forms['a directory']!(directory);
          await mkdir(join(directory, 'cache/.partial'));
          return asset;
        },
        'invalid-input',
        /not finished/,
      ],
      [
        'a missing blob',
        async (directory) => {
          const asset = await forms['a directory']!(directory);
          await rm(join(directory, 'cache', Object.keys(FILES).find((path) => path.startsWith('blob/'))!));
          return asset;
        },
        'invalid-input',
        /^image cache .*: manifests\/docker\.io\/library\/app sha256:.*: blob sha256:[0-9a-f]{64}, its .*, is missing$/,
      ],
      [
        'a damaged blob',
        (directory) => forms['a tarball']!(directory, { ...FILES, [`blob/${digestOf('x').replace(':', '-')}`]: 'y' }),
        'verification',
        /its content has digest/,
      ],
      [
        'images for another architecture',
        (directory) => forms['a tarball']!(directory, cacheFiles({ 'docker.io/library/app:v1': onePlatform(3) })),
        'invalid-input',
        /nothing in it is for linux\/arm64/,
      ],
      [
        'a layer that is damaged',
        async (directory) => {
          const asset = await forms['an OCI layout with a compressed layer']!(directory);
          const layer = gzipSync(await read(layoutTar(CACHE)));
          const path = join(directory, 'cache/blobs', digestOf(layer).replace(':', '/'));
          await writeFile(path, randomBytes(layer.length, 1));
          return asset;
        },
        'verification',
        /sha256:/,
      ],
    ];
  for (const [name, prepare, code, message] of cases) {
    test(name, async () => {
      await using workplace = await testWorkplace();
      const request = await requestWith(workplace, await prepare(workplace.directory));
      const plan = await planBuild(workplace, request, { resolve: false });
      await assert.rejects(build(workplace, request, plan), rejected(code, message));
      if (name !== 'a layer that is damaged') {
        await assert.rejects(planBuild(workplace, request, { resolve: true }), rejected(code, message));
      }
    });
  }

  test('a reference nothing can be pulled by', async () => {
    await using workplace = await testWorkplace();
    const request = await requestWith(workplace, { imageRef: 'example.org/UPPER:v1' });
    await assert.rejects(
      planBuild(workplace, request, { resolve: false }),
      rejected('dependency', /^image cache: image reference/),
    );
  });

  for (const [name, write] of Object.entries(forms)) {
    test(`${name} that changed since it was planned`, async () => {
      await using workplace = await testWorkplace();
      const request = await requestWith(workplace, await write(workplace.directory));
      const plan = await planBuild(workplace, request, { resolve: true });
      await rm(join(workplace.directory, 'cache'), { recursive: true, force: true });
      await write(workplace.directory, { ...FILES, 'manifests/more': '' });
      // A layout is asked for the planned manifest, which it has not any more.
      await assert.rejects(
        build(workplace, request, plan),
        rejected(name.includes('compressed') ? 'dependency' : 'verification', /sha256:/),
      );
    });
  }
});
