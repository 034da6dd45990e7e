import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ofSource } from '../../src/bytes/bytes.ts';
import { equals } from '../../src/bytes/read.ts';
import { keptSquashfs } from '../../src/extensions/kept-squashfs.ts';
import { decodeSquashfs } from '../../src/formats/squashfs/decode.ts';
import { type SquashfsOptions, squashTree } from '../../src/formats/squashfs/write.ts';
import { openStore, type Store } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/types.ts';
import { treeOfLiterals } from '../../src/tree/tree.ts';
import { memorySource, stream } from '../support/bytes.ts';
import { assertSameTree } from '../support/tree.ts';

const OPTIONS: SquashfsOptions = { compressor: { name: 'zstd', level: 3 }, epoch: 0 };

interface Place {
  readonly platform: Platform;
  readonly directory: string;
  readonly store: Store;
}

async function newStore(t: TestContext): Promise<Place> {
  const platform = nodePlatform();
  const directory = mkdtempSync(join(tmpdir(), 'bootwright-squashfs-'));
  t.after(async () => {
    rmSync(directory, { recursive: true });
    await platform.close();
  });
  return { platform, directory, store: await openStore(platform, directory) };
}

test('an extension is squashed once for its content and options, and read from the store afterwards', async (t) => {
  const { platform, directory, store } = await newStore(t);
  const source = memorySource(Buffer.concat([stream('x', 200_000), Buffer.alloc(300_000, 'text ')]));
  const tree = treeOfLiterals({ 'usr/lib/file': ofSource(source), 'usr/lib/other': 'text' });
  const identity = { source: `sha256:${'0'.repeat(64)}`, changes: [] };
  let done = 0;
  const watch = {
    onDone(length: number) {
      done += length;
    },
  };

  const first = await keptSquashfs(store, platform, identity, tree, OPTIONS, watch);
  assert.equal(done, 500_004);
  assert.ok(await equals(first, await squashTree(tree, OPTIONS, platform)));
  await assertSameTree((await decodeSquashfs(first, platform.compression)).tree, tree);

  const reads = source.reads.length;
  const again = await keptSquashfs(await openStore(platform, directory), platform, identity, tree, OPTIONS);
  assert.equal(source.reads.length, reads);
  assert.ok(await equals(again, first));

  const others = [
    { identity: { ...identity, changes: ['labels'] }, options: OPTIONS },
    { identity, options: { ...OPTIONS, epoch: 1 } },
    { identity, options: { ...OPTIONS, compressor: { name: 'xz' } as const } },
  ];
  for (const other of others) {
    const before = source.reads.length;
    await keptSquashfs(store, platform, other.identity, tree, other.options);
    assert.ok(source.reads.length > before);
  }
});

test('what is stopped leaves nothing behind', async (t) => {
  const { platform, directory, store } = await newStore(t);
  const controller = new AbortController();
  const watch = { signal: controller.signal, onDone: () => controller.abort() };
  const tree = treeOfLiterals({ file: stream('file', 5_000_000) });
  const identity = { source: 'sha256:0', changes: [] };
  await assert.rejects(keptSquashfs(store, platform, identity, tree, OPTIONS, watch));
  assert.deepEqual(
    [await platform.files.list(join(directory, 'derived')), await platform.files.list(join(directory, 'tmp'))],
    [[], []],
  );
});
