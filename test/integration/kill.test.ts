/** `imager iso` killed at moments spread over all of its run: nothing half-made passes for whole. `KILL_RUNS` says how often. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openStore } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { type Finished, runImager, sha256OfFile, startImager } from '../support/imager-process.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { buildableArchitecture, imageOfLayout, writeSyntheticAssets } from '../support/synthetic-assets.ts';

const KILL_RUNS = Number(process.env.KILL_RUNS ?? 20);
const ARCHITECTURE = buildableArchitecture();
const NAME = `metal-${ARCHITECTURE}.iso`;
/** At work at once; each has a store and an output directory of its own. */
const LANES = 2;
/** Kills before somebody builds to the end, so that debris of one is met by the next. */
const KILLS_IN_A_ROW = 3;
const PREVIOUS = 'what was there before';

let directory: string;
let registry: TestRegistry;
let source: string;
const platform = nodePlatform({});

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootwright-kill-'));
  const assets = await writeSyntheticAssets(join(directory, 'assets'), { architectures: [ARCHITECTURE] });
  registry = await startRegistry();
  registry.serve('imager', assets.tag, await imageOfLayout(assets));
  source = `${registry.host}/imager:${assets.tag}`;
});
after(async () => {
  await registry?.close();
  await platform.close();
  await rm(directory, { recursive: true });
});

function commandLine(store: string, output: string): string[] {
  const inputs = ['--imager-image', source, '--store', store];
  return ['iso', '--arch', ARCHITECTURE, '--talos-version', 'v1.13.0', ...inputs, '-o', output, '--quiet'];
}

/** Compiled code is kept between runs, as it is for a user. */
function environment(): Record<string, string> {
  return { XDG_CACHE_HOME: join(directory, 'cache') };
}

async function buildToEnd(store: string, output: string): Promise<Finished> {
  const finished = await runImager(commandLine(store, output), { environment: environment() });
  assert.equal(finished.code, 0, finished.stderr);
  return finished;
}

test(`killed ${KILL_RUNS} times, it leaves whole files only, and the next build is right`, async (t) => {
  // The first run also compiles; the second says how long a build takes.
  await buildToEnd(join(directory, 'store-a'), join(directory, 'output-a'));
  const { wall } = await buildToEnd(join(directory, 'store-b'), join(directory, 'output-b'));
  const wanted = await sha256OfFile(join(directory, 'output-b', NAME));
  assert.equal(await sha256OfFile(join(directory, 'output-a', NAME)), wanted);

  let unfinished = 0;
  let run = 0;
  const lane = async (number: number): Promise<void> => {
    const store = join(directory, `store-${number}`);
    const output = join(directory, `output-${number}`);
    for (let cycle = 0; run < KILL_RUNS; cycle++) {
      // Every other time all is here already, so that the moments after the pull are met as often as those in it.
      if (cycle % 2 === 0) await rm(store, { recursive: true, force: true });
      await rm(output, { recursive: true, force: true });
      if (cycle % 3 === 0) {
        await mkdir(output);
        await writeFile(join(output, NAME), PREVIOUS);
      }
      const found = new Set(cycle % 3 === 0 ? [PREVIOUS, wanted] : [undefined, wanted]);
      for (let kill = 0; kill < KILLS_IN_A_ROW && run < KILL_RUNS; kill++) {
        // Multiples of the golden ratio, modulo one: spread evenly however many there are.
        const moment = wall * (0.1 + ((run++ * 0.6180339887) % 1));
        const { child, finished } = startImager(commandLine(store, output), { environment: environment() });
        await Promise.race([delay(moment), finished]);
        child.kill('SIGKILL');
        if ((await finished).signal === 'SIGKILL') unfinished++;
        const what = `killed ${moment.toFixed(0)} ms after the start`;
        assert.ok(found.has(await contentAt(join(output, NAME))), what);
        const others = (await namesIn(output)).filter((name) => name !== NAME);
        assert.deepEqual(
          others.filter((name) => !/\.\d+\.partial$/.test(name)),
          [],
          what,
        );
        await assertStoreIsWhole(store, what);
      }
      await buildToEnd(store, output);
      assert.equal(await sha256OfFile(join(output, NAME)), wanted);
      // What the dead left of it is gone.
      assert.deepEqual(await namesIn(output), [NAME]);
      await assertStoreIsWhole(store, 'after a build to the end');
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
  t.diagnostic(`${unfinished} of ${KILL_RUNS} were still at work; a build takes ${wall.toFixed(0)} ms`);
  assert.ok(unfinished >= KILL_RUNS / 2, `only ${unfinished} of ${KILL_RUNS} were still at work`);

  for (let number = 0; number < LANES; number++) await assertPruneClears(join(directory, `store-${number}`), wanted);
});

/** `PREVIOUS` as it is, else the digest; `undefined` where there is nothing. */
async function contentAt(path: string): Promise<string | undefined> {
  try {
    const data = await readFile(path);
    return data.equals(Buffer.from(PREVIOUS)) ? PREVIOUS : await sha256OfFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function namesIn(path: string): Promise<string[]> {
  return readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

async function assertStoreIsWhole(path: string, what: string): Promise<void> {
  const store = await openStore(platform, path);
  assert.deepEqual((await store.verify({ remove: false })).damage, [], what);
}

/** Temporary files of the dead go with the next prune once they are old, and what is whole stays. */
async function assertPruneClears(store: string, wanted: string): Promise<void> {
  for (const name of await readdir(join(store, 'tmp'))) await utimes(join(store, 'tmp', name), 1, 1);
  const pruned = await runImager(['store', 'prune', '--store', store, '--older-than', '1h'], {
    environment: environment(),
  });
  assert.equal(pruned.code, 0, pruned.stderr);
  assert.deepEqual(await readdir(join(store, 'tmp')), []);
  const output = `${store}-pruned`;
  const requestsBefore = registry.requests.length;
  await buildToEnd(store, output);
  assert.equal(await sha256OfFile(join(output, NAME)), wanted);
  const blobs = registry.requests.slice(requestsBefore).filter(({ url }) => url.includes('/blobs/'));
  assert.deepEqual(blobs, [], 'nothing had to be fetched again');
}
