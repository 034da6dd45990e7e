/** `imager cache create` from a real registry, killed at points spread over all of its run and run again. `KILL_RUNS` says how often, 50 times at most. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { checkCache } from '../../src/imagecache/check.ts';
import { digestFiles } from '../../src/imagecache/digests.ts';
import { readCacheDirectory } from '../../src/imagecache/directory.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { treeOfDirectory } from '../../src/tree/directory.ts';
import { type Tree, treeOf } from '../../src/tree/tree.ts';
import { onePlatform, signatureOf, signatureTag, twoPlatforms } from '../support/cached-images.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { randomBytes, type TestImage, testImage, testIndex, writeLayout } from '../support/image.ts';
import { runImager, sha256OfFile, startImager } from '../support/imager-process.ts';
import { pullFromRegistryd } from '../support/registryd.ts';
import { skipWithout } from '../support/tools.ts';

/** A run takes seconds, so fewer than of builds. */
const KILL_RUNS = Math.min(50, Number(process.env.KILL_RUNS ?? 12));
const MIB = 2 ** 20;
const skip = skipWithout('docker-registry', 'skopeo');

const platform = nodePlatform({});
let directory = '';
let registry: DockerRegistry;

/** Some 60 MiB, so that a run lasts; two images share the largest layer. */
function images(): Record<string, TestImage> {
  const shared = { data: randomBytes(24 * MIB, 1) };
  const large = (seed: number, architecture: string): TestImage =>
    testImage([shared, { data: randomBytes(8 * MIB, seed) }], { os: 'linux', architecture });
  return {
    'team/large': testIndex([large(2, 'amd64'), large(3, 'arm64')]),
    'team/other': large(4, 'amd64'),
    'team/app': twoPlatforms(10),
    tool: onePlatform(20),
  };
}

before(async () => {
  if (skip !== false) return;
  directory = await mkdtemp(join(tmpdir(), 'bootwright-cache-kill-'));
  registry = await startDockerRegistry();
  const layout = join(directory, 'images');
  const all = images();
  const app = all['team/app']!;
  const named = {
    ...Object.fromEntries(Object.entries(all).map(([name, image]) => [name.replace('/', '-'), image])),
    sig: signatureOf(app),
  };
  await writeLayout(layout, named);
  for (const name of Object.keys(all)) await registry.push(layout, name.replace('/', '-'), name, 'v1');
  await registry.push(layout, 'sig', 'team/app', signatureTag(app));
});
after(async () => {
  if (directory === '') return;
  await registry.close();
  await platform.close();
  await rm(directory, { recursive: true });
});

function commandLine(target: string): string[] {
  const references = Object.keys(images()).map((name) => `${registry.host}/${name}:v1`);
  return ['cache', 'create', ...references, target, '--arch', 'amd64', '--quiet'];
}

/** Compiled code is kept between runs, as it is for a user. */
function environment(): Record<string, string> {
  return { XDG_CACHE_HOME: join(directory, 'home') };
}

async function createToEnd(target: string): Promise<void> {
  const { code, stderr } = await runImager(commandLine(target), { environment: environment() });
  assert.equal(code, 0, stderr);
}

async function contentOf(target: string): Promise<Record<string, string>> {
  const { entries } = await readCacheDirectory(platform.files, target);
  const files = entries.filter(({ kind }) => kind === 'file').map(({ path }) => path);
  return Object.fromEntries(
    await Promise.all(files.map(async (path) => [path, await sha256OfFile(join(target, path))])),
  );
}

/** What is there is right, and every tag leads to a whole image. */
async function assertUsable(target: string, what: string): Promise<void> {
  const tree = await treeOfUnfinished(target);
  if (!tree.byPath.has('manifests')) return;
  const digests = await digestFiles(platform, tree);
  await checkCache(platform, tree, { what, digests, platform: { os: 'linux', architecture: 'amd64' } });
  const registryDirectory = join(target, 'manifests', registry.host.replace(':', '_').concat('_'));
  for (const name of Object.keys(images())) {
    const tag = await stat(join(registryDirectory, name, 'reference/v1')).catch(() => undefined);
    if (tag !== undefined) await pull(target, name);
  }
}

async function treeOfUnfinished(target: string): Promise<Tree> {
  const tree = await treeOfDirectory(platform.files, target).catch(() => treeOf([]));
  return treeOf(tree.entries.filter(({ path }) => !path.startsWith('.partial')));
}

function pull(target: string, repository: string): Promise<Uint8Array[]> {
  const read = (path: string): Promise<Uint8Array | undefined> => readFile(join(target, path)).catch(() => undefined);
  return pullFromRegistryd(read, { registry: registry.host, repository, identifier: 'v1' }, 'amd64');
}

async function bytesOfPartials(target: string): Promise<number> {
  const names = await readdir(join(target, '.partial')).catch(() => []);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(target, '.partial', name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

test(`killed ${KILL_RUNS} times, what is there is right, and the next run goes on with it`, { skip }, async (t) => {
  await createToEnd(join(directory, 'first'));
  await createToEnd(join(directory, 'wanted'));
  const wanted = await contentOf(join(directory, 'wanted'));
  assert.deepEqual(await contentOf(join(directory, 'first')), wanted);
  for (const name of Object.keys(images()))
    assert.equal((await pull(join(directory, 'wanted'), name)).length >= 2, true);

  let unfinished = 0;
  let resumed = 0;
  for (let run = 0; run < KILL_RUNS; ) {
    const target = join(directory, `killed-${run}`);
    for (let kill = 0; kill < 3 && run < KILL_RUNS; kill++) {
      // Multiples of the golden ratio, modulo one, and a little more than all: spread evenly however many there are.
      const share = ((run++ * 0.6180339887) % 1) * 1.05;
      const before = await bytesOfPartials(target);
      if (await createAndKill(target, share)) unfinished++;
      if (before > 0) resumed++;
      await assertUsable(target, `killed when ${share.toFixed(2)} of all bytes were there`);
    }
    await createToEnd(target);
    assert.deepEqual(await contentOf(target), wanted);
    await rm(target, { recursive: true });
  }
  t.diagnostic(`${unfinished} of ${KILL_RUNS} were still at work, ${resumed} met a part`);
  assert.ok(unfinished >= KILL_RUNS / 2, `only ${unfinished} of ${KILL_RUNS} were still at work`);
});

/** Kills as soon as `share` of all blobs is there; above 1 some moments later, when documents are written. False when it had ended by then. */
async function createAndKill(target: string, share: number): Promise<boolean> {
  const words = commandLine(target).map((word) => (word === '--quiet' ? '--progress=json' : word));
  const { child, finished } = startImager(words, { environment: environment() });
  const kill = (): unknown => child.kill('SIGKILL');
  child.stderr.on('data', (text: string) => {
    for (const [, done, total] of text.matchAll(/"task":"fetching blobs","done":(\d+),"total":(\d+)/g)) {
      if (share > 1 && done === total) setTimeout(kill, 1000 * (share - 1));
      else if (Number(done) >= share * Number(total)) kill();
    }
  });
  return (await finished).signal === 'SIGKILL';
}

test('an OCI layout of it, killed and made again, is the same, and skopeo copies it', { skip }, async () => {
  const layouts = ['oci-wanted', 'oci-killed'].map((name) => join(directory, name));
  await createToEnd(`oci:${layouts[0]}`);
  for (const share of [0.3, 0.8, 1.03, 1.06]) await createAndKill(`oci:${layouts[1]}`, share);
  await createToEnd(`oci:${layouts[1]}`);
  const indexes = await Promise.all(layouts.map((layout) => readFile(join(layout, 'index.json'), 'utf8')));
  assert.equal(indexes[0], indexes[1]);
  assert.deepEqual(
    (await readdir(join(layouts[1]!, 'blobs/sha256'))).filter((name) => !/^[0-9a-f]{64}$/.test(name)),
    [],
  );
  assert.deepEqual(
    (await readdir(directory)).filter((name) => name.endsWith('.partial')),
    [],
  );
  await registry.push(layouts[1]!, 'cache', 'team/cache', 'v1');
});
