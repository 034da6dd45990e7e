/** Reading the root file system of a base initramfs, as far as somebody may stop it; `vectors.test.ts` has what comes out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ofMemory, ofSource } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { copyRootfs, readBaseModules } from '../../src/extensions/base-rootfs.ts';
import { layoutCpio } from '../../src/formats/cpio/layout-cpio.ts';
import { squashTree } from '../../src/formats/squashfs/write.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { treeOfLiterals } from '../../src/tree/tree.ts';
import { abortingSource, stream } from '../support/bytes.ts';

const platform = nodePlatform();
const { compression } = platform;
const MIB = 1 << 20;

test('copying ends when it is aborted, long before the end', async () => {
  const archive = layoutCpio(treeOfLiterals({ 'rootfs.sqsh': ofMemory(stream('rootfs', 16 * MIB)) }));
  const base = gzipSync(await read(archive), { level: 0 });
  const { source, signal } = abortingSource(base, MIB);
  const sink = { write: async () => undefined };
  await assert.rejects(copyRootfs(ofSource(source), compression, sink, { signal }), { code: 'canceled' });
  assert.ok(
    source.reads.every(({ position }) => position < 8 * MIB),
    'the rest is never read',
  );
});

test('reading the modules ends when it is aborted', async () => {
  const names = Array.from({ length: 100 }, (_, index) => [`usr/lib/modules/6.1.0/${index}.ko`, `module ${index}`]);
  const tree = treeOfLiterals(Object.fromEntries(names));
  const image = await squashTree(tree, { compressor: { name: 'zstd', level: 3 }, epoch: 0 }, platform);
  const found = await readBaseModules(image, 'usr/lib/modules', compression);
  assert.equal(found.kernelVersion, '6.1.0');
  const { source, signal } = abortingSource(await read(image));
  const reading = readBaseModules(ofSource(source), 'usr/lib/modules', compression, { signal });
  await assert.rejects(reading, { code: 'canceled' });
});
