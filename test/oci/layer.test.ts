import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type UnpackLimits, unpackLayer } from '../../src/oci/layer/layer.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { randomBytes } from '../support/image.ts';

const { compression } = nodePlatform({});

/** `blob` in pieces of `size` bytes, unpacked. */
async function unpacked(blob: Uint8Array, size = 1 << 16, limits?: UnpackLimits): Promise<Buffer> {
  const input = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < blob.length; at += size) yield blob.subarray(at, at + size);
  };
  const pieces: Uint8Array[] = [];
  for await (const piece of unpackLayer(compression, input(), blob.length, limits)) pieces.push(piece);
  return Buffer.concat(pieces);
}

test('how a layer is compressed is told by its first bytes, however they are cut', async () => {
  const data = Buffer.from(randomBytes(5000, 1));
  for (const blob of [data, gzipSync(data), zstdCompressSync(data), Buffer.alloc(0), Buffer.of(0x1f)]) {
    for (const size of [1, 2, 3, 4, 5, 1000, 65_536]) {
      if (size === 1 && blob.length > 5100) continue;
      const want = blob.length < 2 ? blob : data;
      assert.deepEqual(await unpacked(blob, size), want);
    }
  }
});

test('layers that unfold beyond measure are stopped: too large, or too much from too little', async () => {
  const zeros = Buffer.alloc(1 << 20);
  const limits: UnpackLimits = { bytes: 1 << 22, ratio: 10, ratioFrom: 1 << 19 };
  for (const blob of [gzipSync(zeros), zstdCompressSync(zeros)]) {
    await assert.rejects(unpacked(blob, 1000, limits), { code: 'invalid-input', message: /more than 524288 bytes/ });
    assert.equal((await unpacked(blob, 1000, { ...limits, ratioFrom: 1 << 20 })).length, 1 << 20);
  }
  await assert.rejects(unpacked(zeros, 65_536, { ...limits, bytes: 1000 }), { message: /more than 1000 bytes/ });
});

test('damaged compression is invalid input', async () => {
  const data = Buffer.from(randomBytes(100_000, 2));
  for (const blob of [gzipSync(data), zstdCompressSync(data)]) {
    const broken = Buffer.from(blob);
    broken[broken.length >> 1]! ^= 0x55;
    const outcome = await unpacked(broken).then(
      (found) => (found.equals(data) ? 'unchanged' : 'changed'),
      (error: { code: string }) => error.code,
    );
    // Without a checksum in a zstd frame a change may pass here; the diff id finds it.
    assert.ok(['invalid-input', 'changed'].includes(outcome), outcome);
    await assert.rejects(unpacked(blob.subarray(0, -5)), { code: 'invalid-input' });
    await assert.rejects(unpacked(Buffer.concat([blob, Buffer.from('tail')])), { code: 'invalid-input' });
  }
});
