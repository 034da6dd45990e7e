import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { unpackedSource } from '../../src/oci/local/unpacked-source.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Chunks, Compression, Source } from '../../src/platform/types.ts';
import { stream } from '../support/bytes.ts';

const { compression } = nodePlatform({});
const PLAIN = Buffer.alloc(64 << 20, stream('plain', 1 << 16));
const PACKED = gzipSync(PLAIN, { level: 1 });

const packed: Source = {
  key: 'packed',
  label: 'packed',
  size: PACKED.length,
  read: async (position, into) => into.set(PACKED.subarray(position, position + into.length)),
};

test('many readers here and there get what is there, over five streams at most', async () => {
  let open = 0;
  let most = 0;
  const counting: Compression = {
    ...compression,
    async *gunzip(input): Chunks {
      open++;
      most = Math.max(most, open);
      try {
        yield* compression.gunzip(input);
      } finally {
        // To end takes a turn, as it does where a decoder has threads.
        await new Promise((resolve) => setTimeout(resolve, 1));
        open--;
      }
    },
  };
  const source = unpackedSource(counting, packed, PLAIN.length);
  for (let round = 0; round < 6; round++) {
    await Promise.all(
      Array.from({ length: 8 }, async (_, reader) => {
        const at = (((reader * 37 + round * 53) % 60) << 20) + reader;
        const into = new Uint8Array(100);
        await source.read(at, into);
        assert.ok(PLAIN.subarray(at, at + 100).equals(into), `at ${at}`);
      }),
    );
  }
  assert.ok(most <= 5, `${most} streams at once`);
});
