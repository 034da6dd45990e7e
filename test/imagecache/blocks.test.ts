import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ofSource } from '../../src/bytes/bytes.ts';
import { CHUNK_SIZE } from '../../src/bytes/read.ts';
import { inTurn, newBlocks } from '../../src/imagecache/blocks.ts';
import { memorySource, stream } from '../support/bytes.ts';

test('all bytes in order, whatever their number, in the same two blocks', async () => {
  const blocks = newBlocks();
  for (const size of [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 2 * CHUNK_SIZE, 3 * CHUNK_SIZE + 5]) {
    const data = stream('blocks', size);
    const hash = createHash('sha256');
    const buffers = new Set<ArrayBufferLike>();
    for await (const chunk of inTurn(ofSource(memorySource(data)), blocks)) {
      // As a consumer that waits does: the block behind is filled meanwhile.
      await new Promise((resolve) => setImmediate(resolve));
      hash.update(chunk);
      buffers.add(chunk.buffer);
    }
    assert.equal(hash.digest('hex'), createHash('sha256').update(data).digest('hex'), `${size} bytes`);
    assert.ok(buffers.size <= 2);
  }
});

test('a failure comes when its turn does, after what was read before', async () => {
  const read = async (position: number, into: Uint8Array): Promise<void> => {
    if (position >= CHUNK_SIZE) throw new Error('gone');
    into.fill(7);
  };
  const content = ofSource({ key: 'x', label: 'x', size: 3 * CHUNK_SIZE, read });
  let seen = 0;
  await assert.rejects(async () => {
    for await (const chunk of inTurn(content, newBlocks())) seen += chunk.length;
  }, /gone/);
  assert.equal(seen, CHUNK_SIZE);
});
