/** Ctrl-C and a polite request to stop: exit 130, and nothing left where the output was to be. */
import assert from 'node:assert/strict';
import { watch } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openStore } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { digestOf } from '../support/image.ts';
import { type ImagerOptions, runImager, startImager } from '../support/imager-process.ts';
import { type SeenRequest, startRegistry } from '../support/registry.ts';
import {
  buildableArchitecture,
  imageOfLayout,
  type SyntheticAssets,
  writeSyntheticAssets,
} from '../support/synthetic-assets.ts';

const ARCHITECTURE = buildableArchitecture();
const NAME = `metal-${ARCHITECTURE}.iso`;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** Milliseconds from a signal to the end of the process, on a busy machine. */
const PATIENCE = 10_000;

const platform = nodePlatform({});
let directory: string;
let small: SyntheticAssets;
let options: ImagerOptions;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootwright-signals-'));
  small = await writeSyntheticAssets(join(directory, 'small'), { architectures: [ARCHITECTURE] });
  options = { environment: { XDG_CACHE_HOME: join(directory, 'cache') } };
});
after(async () => {
  await platform.close();
  await rm(directory, { recursive: true });
});

function commandLine(source: string, store: string, ...more: readonly string[]): string[] {
  const inputs = ['--imager-image', source, '--store', store];
  return ['iso', '--arch', ARCHITECTURE, '--talos-version', 'v1.13.0', '--quiet', ...inputs, ...more];
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    assert.ok(waited < PATIENCE, what);
    await delay(5);
  }
}

describe('while it pulls', () => {
  for (const signal of SIGNALS) {
    test(signal, async (t) => {
      const image = await imageOfLayout(small);
      const layers = image.children[0]!.blobs.slice(1).map((data) => digestOf(data));
      const isLayer = ({ method, url }: SeenRequest): boolean =>
        method === 'GET' && layers.some((digest) => url.endsWith(digest));
      // Each layer once: it begins, and then nothing more comes.
      let stalls = layers.length;
      const registry = await startRegistry({
        faults: [(request) => (isLayer(request) && stalls-- > 0 ? { kind: 'stall', after: 2 ** 21 } : undefined)],
      });
      t.after(() => registry.close());
      registry.serve('imager', small.tag, image);
      const [store, output] = [join(directory, `store-${signal}`), join(directory, `output-${signal}`)];
      const args = commandLine(`${registry.host}/imager:${small.tag}`, store, '-o', output);
      const { child, finished } = startImager(args, options);
      await until(() => registry.requests.filter(isLayer).length >= layers.length, 'layers are asked for');
      await delay(300);
      child.kill(signal);
      const { code, stderr, stdout } = await within(finished);
      assert.equal(code, 130, stderr);
      assert.match(stderr, new RegExp(signal));
      assert.equal(stdout.length, 0);
      assert.deepEqual(await readdir(output).catch(() => []), []);
      const opened = await openStore(platform, store);
      assert.deepEqual((await opened.verify({ remove: false })).damage, []);
      // What had come in is used by the next run.
      const before = registry.requests.length;
      const next = await runImager(args, options);
      assert.equal(next.code, 0, next.stderr);
      assert.deepEqual(await readdir(output), [NAME]);
      assert.deepEqual(await readdir(join(store, 'tmp')), []);
      const resumed = registry.requests.slice(before).filter(({ headers }) => headers.range !== undefined);
      assert.ok(resumed.length > 0, 'asked for the rest of a layer only');
    });
  }
});

describe('while it writes', () => {
  const output = (): string => join(directory, 'large-output');
  const store = (): string => join(directory, 'large-store');
  let source: string;

  before(async () => {
    // Large enough to be hit in the middle.
    const sizes = { initramfsSize: 320 * 2 ** 20, compression: 'none', architectures: [ARCHITECTURE] } as const;
    ({ source } = await writeSyntheticAssets(join(directory, 'large'), sizes));
    const pulled = await runImager(commandLine(source, store(), '--output-kind', 'kernel', '-o', output()), options);
    assert.equal(pulled.code, 0, pulled.stderr);
  });

  for (const signal of SIGNALS) {
    test(`a file: ${signal}`, async () => {
      await rm(output(), { recursive: true, force: true });
      await mkdir(output());
      await writeFile(join(output(), NAME), 'what was there before');
      const { child, finished } = startImager(commandLine(source, store(), '-o', output()), options);
      const watcher = watch(output(), (_, name) => {
        if (name?.endsWith('.partial') === true) child.kill(signal);
        watcher.close();
      });
      const { code, stderr } = await within(finished);
      watcher.close();
      assert.equal(code, 130, stderr);
      assert.deepEqual(await readdir(output()), [NAME]);
    });

    test(`standard output nobody reads any more: ${signal}`, async () => {
      const { child, finished } = startImager(commandLine(source, store(), '-o', '-'), options);
      child.stdout.pause();
      const started = new Promise((resolve) => child.stdout.once('readable', resolve));
      await started;
      // The pipe is full soon, and the process waits.
      await delay(300);
      child.kill(signal);
      const exit = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
      assert.equal(await within(exit), 130);
      child.stdout.resume();
      await finished;
    });
  }
});

function within<T>(promise: Promise<T>): Promise<T> {
  const late = delay(PATIENCE, undefined, { ref: false }).then(() => {
    throw new Error(`still at work ${PATIENCE} ms after the signal`);
  });
  return Promise.race([promise, late]);
}
