import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { nodeCompression } from '../../src/platform/node-compression.ts';
import { stream } from '../support/bytes.ts';

const PLAIN = Buffer.concat([stream('block', 30_000), Buffer.alloc(30_000)]);
const BLOCKS = [
  ['zlib', deflateSync(PLAIN)],
  ['gzip', gzipSync(PLAIN)],
  ['zstd', zstdCompressSync(PLAIN)],
] as const;

test('a block is unpacked up to its limit and not beyond', async () => {
  for (const [format, block] of BLOCKS) {
    assert.deepEqual(Buffer.from(await nodeCompression.unpackBlock(format, block, PLAIN.length)), PLAIN);
    await assert.rejects(nodeCompression.unpackBlock(format, block, PLAIN.length - 1), { code: 'invalid-input' });
  }
});

test('what is expected of a block decides nothing: less may be there, or more', async () => {
  for (const [format, block] of BLOCKS) {
    for (const expected of [0, 1, PLAIN.length - 1, PLAIN.length, PLAIN.length + 1, 1 << 20]) {
      const unpacked = await nodeCompression.unpackBlock(format, block, 1 << 20, expected);
      assert.deepEqual(Buffer.from(unpacked), PLAIN, `${format}, ${expected} bytes expected`);
      await assert.rejects(nodeCompression.unpackBlock(format, block, PLAIN.length - 1, expected), {
        code: 'invalid-input',
      });
    }
  }
});

test('a damaged, cut or empty block is refused', async () => {
  for (const [format, block] of BLOCKS) {
    for (const data of [block.subarray(0, -9), block.subarray(0, 1), new Uint8Array(), stream('no block', 500)]) {
      await assert.rejects(nodeCompression.unpackBlock(format, data, 1 << 20), { code: 'invalid-input' });
    }
  }
});

const { lzma2 } = nodeCompression;
const skip = lzma2 === undefined && process.env.CI === undefined ? 'the optional package is not there' : false;

test('native LZMA2 gives back what it took, several at once', { skip }, async () => {
  const contents = [PLAIN, new Uint8Array(), Buffer.from('x'), stream('noise', 200_000)];
  const results = await Promise.all(
    contents.map(async (content) => {
      const chunks = await lzma2!.encode(content, { preset: 6, dictionarySize: 1 << 17 });
      return Buffer.concat(await Array.fromAsync(lzma2!.decode(chunks, 1 << 17)));
    }),
  );
  for (const [index, content] of contents.entries()) assert.deepEqual(results[index], Buffer.from(content));
});

test('native LZMA2 names damage, and leaves the errors of its input alone', { skip }, async () => {
  const chunks = await lzma2!.encode(PLAIN, { preset: 6, dictionarySize: 1 << 17 });
  await assert.rejects(Array.fromAsync(lzma2!.decode(chunks.subarray(0, -9), 1 << 17)), { code: 'invalid-input' });
  await assert.rejects(Array.fromAsync(lzma2!.unxz(input(new Uint8Array(6)))), { code: 'invalid-input' });
  await assert.rejects(Array.fromAsync(lzma2!.unxz(input(new Error('of the input')))), { message: 'of the input' });
});

async function* input(piece: Uint8Array | Error): AsyncGenerator<Uint8Array> {
  if (piece instanceof Error) throw piece;
  yield piece;
}
