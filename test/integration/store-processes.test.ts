/** Several processes in one store, and processes that die in the middle. `KILL_RUNS` says how many die. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { openLayout } from '../../src/oci/local/layout.ts';
import { openStore } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform as Machine } from '../../src/platform/types.ts';
import { OCI_LAYER, randomBytes, type TestImage, testImage, testIndex, writeLayout } from '../support/image.ts';
import { tar } from '../support/tar.ts';

const KILL_RUNS = Number(process.env.KILL_RUNS ?? 20);
const CHILD = fileURLToPath(new URL('../support/pull-process.ts', import.meta.url));
const AMD64 = { os: 'linux', architecture: 'amd64' };

const base = gzipSync(tar([{ name: 'base', data: randomBytes(6_000_000, 1) }]));

function imageNumber(number: number): TestImage {
  const own = tar([
    { name: `own${number}`, data: randomBytes(3_000_000, number + 2) },
    ...Array.from({ length: 500 }, (_, index) => ({ name: `d/f${index}`, data: `${index}` })),
  ]);
  return testIndex([
    testImage([
      { data: base, mediaType: `${OCI_LAYER}+gzip` },
      { data: zstdCompressSync(own), mediaType: `${OCI_LAYER}+zstd` },
      { data: tar([{ name: `plain${number}`, data: randomBytes(2_000_000, number) }]) },
    ]),
  ]);
}

const IMAGES = Object.fromEntries(Array.from({ length: 4 }, (_, number) => [`image:${number}`, imageNumber(number)]));
const NAMES = Object.keys(IMAGES);

interface Bench {
  readonly machine: Machine;
  readonly store: string;
  readonly layout: string;
  start(names: readonly string[]): ChildProcess;
}

async function bench(t: TestContext): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), 'processes-'));
  const machine = nodePlatform({});
  const children: ChildProcess[] = [];
  t.after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await machine.close();
    await rm(directory, { recursive: true });
  });
  const layout = join(directory, 'layout');
  const store = join(directory, 'store');
  await writeLayout(layout, IMAGES);
  return {
    machine,
    store,
    layout,
    start(names) {
      const child = spawn(process.execPath, [CHILD, store, layout, ...names], { stdio: ['ignore', 'pipe', 'inherit'] });
      children.push(child);
      return child;
    },
  };
}

async function assertClean({ machine, store, layout }: Bench, names: readonly string[]): Promise<void> {
  const opened = await openStore(machine, store);
  assert.deepEqual((await opened.verify()).damage, []);
  const source = await openLayout(machine, layout);
  for (const name of names) {
    const image = await opened.pull(source, name, { platform: AMD64, referenceName: name });
    assert.equal(image.tree.entries.length, 505);
  }
  assert.deepEqual((await opened.verify()).damage, []);
  const index = JSON.parse(await readFile(join(store, 'index.json'), 'utf8')) as { manifests: unknown[] };
  assert.equal(index.manifests.length, (await readdir(join(store, 'references'))).length);
}

test('processes that pull the same and other images into one new store all succeed', async (t) => {
  const one = await bench(t);
  const orders = [NAMES, NAMES, [...NAMES].reverse(), NAMES.slice(2)];
  const codes = await Promise.all(
    orders.map(async (names) => {
      const [code] = (await once(one.start(names), 'exit')) as [number | null];
      return code;
    }),
  );
  assert.deepEqual(codes, [0, 0, 0, 0]);
  assert.deepEqual(await readdir(join(one.store, 'tmp')), []);
  await assertClean(one, NAMES);
});

test(`a process killed at any moment leaves a store that is whole (${KILL_RUNS} times)`, async (t) => {
  const one = await bench(t);
  let unfinished = 0;
  for (let run = 0; run < KILL_RUNS; run++) {
    // Begin anew now and then, so that the early moments are met as often as the late ones.
    if (run % 5 === 0) await rm(one.store, { recursive: true, force: true });
    const child = one.start(NAMES);
    await once(child.stdout!, 'data');
    await delay((run * 37) % 250);
    if (child.exitCode === null) unfinished++;
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    const opened = await openStore(one.machine, one.store);
    assert.deepEqual((await opened.verify()).damage, [], `run ${run}`);
    JSON.parse(await readFile(join(one.store, 'index.json'), 'utf8'));
  }
  assert.ok(unfinished > KILL_RUNS / 4, `only ${unfinished} of ${KILL_RUNS} were still at work`);
  await assertClean(one, NAMES);
  for (const name of await readdir(join(one.store, 'tmp'))) await utimes(join(one.store, 'tmp', name), 1, 1);
  await (await openStore(one.machine, one.store)).prune({ now: Date.now() / 1000, olderThan: 1e9 });
  assert.deepEqual(await readdir(join(one.store, 'tmp')), []);
});

test('one process killed does not disturb another that pulls the same', async (t) => {
  const one = await bench(t);
  for (let run = 0; run < Math.max(1, KILL_RUNS / 5); run++) {
    await rm(one.store, { recursive: true, force: true });
    const victim = one.start(NAMES);
    const survivor = one.start(NAMES);
    const ended = once(survivor, 'exit');
    await once(victim.stdout!, 'data');
    await delay(run * 40);
    victim.kill('SIGKILL');
    assert.deepEqual(await ended, [0, null]);
    await assertClean(one, NAMES);
  }
});
