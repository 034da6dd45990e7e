import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ofMemory } from '../../../src/bytes/bytes.ts';
import { crc32 } from '../../../src/bytes/crc32.ts';
import { read } from '../../../src/bytes/read.ts';
import { ImagerError } from '../../../src/errors.ts';
import { encodeLzma2 } from '../../../src/formats/xz/encode.ts';
import { layoutXz } from '../../../src/formats/xz/layout-stream.ts';
import { unxz } from '../../../src/formats/xz/unxz.ts';
import { nodeCompression } from '../../../src/platform/node-compression.ts';
import { stream } from '../../support/bytes.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const TEXT = Buffer.from(Array.from({ length: 9000 }, (_, index) => `line ${index % 700} of ${index}\n`).join(''));
const NOISE = stream('noise', 150_000);
const CONTENT = Buffer.concat([TEXT, NOISE, Buffer.alloc(5_000_000), NOISE]);

const compressed = (content: Uint8Array) =>
  ({
    kind: 'compressed',
    length: content.length,
    crc: crc32(content),
    chunks: ofMemory(encodeLzma2(content, 16)),
  }) as const;

const STREAM = await read(
  layoutXz([
    compressed(TEXT),
    { kind: 'stored', content: ofMemory(NOISE), crc: crc32(NOISE) },
    { kind: 'zeros', length: 5_000_000 },
    compressed(NOISE),
  ]),
);

async function* cut(data: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

async function decoded(data: Uint8Array, size = 65_536): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(unxz(cut(data, size), undefined)));
}

test('blocks of every kind, however the stream is cut', async () => {
  for (const size of [1 << 20, 4099, 7]) assert.ok((await decoded(STREAM, size)).equals(CONTENT));
});

test('streams one after the other, with padding', async () => {
  const two = Buffer.concat([STREAM, Buffer.alloc(8), STREAM, Buffer.alloc(512)]);
  assert.ok((await decoded(two)).equals(Buffer.concat([CONTENT, CONTENT])));
  await assert.rejects(decoded(Buffer.concat([STREAM, Buffer.from('and something else')])), { code: 'invalid-input' });
});

test('stored content longer than its dictionary', async () => {
  const content = Buffer.alloc(6_000_000, NOISE);
  const whole = await read(layoutXz([{ kind: 'stored', content: ofMemory(content), crc: crc32(content) }]));
  assert.ok((await decoded(whole, 1 << 20)).equals(content));
});

const { lzma2 } = nodeCompression;
const skip = lzma2 === undefined && process.env.CI === undefined ? 'needs an encoder with a smaller dictionary' : false;

test('compressed content longer than its dictionary', { skip }, async () => {
  const content = Buffer.alloc(6_000_001, TEXT);
  const chunks = await lzma2!.encode(content, { preset: 1, dictionarySize: 65_536 });
  const whole = await read(layoutXz([{ ...compressed(content), chunks: ofMemory(chunks.subarray(0, -1)) }]));
  // The dictionary code is the last field of the block's header: 64 KiB in place of the size of the content.
  const size = (whole[12]! + 1) * 4;
  const code = whole.lastIndexOf(0x21, 12 + size - 5) + 2;
  whole[code] = 8;
  new DataView(whole.buffer).setUint32(12 + size - 4, crc32(whole.subarray(12, 12 + size - 4)), true);
  assert.ok((await decoded(whole)).equals(content));
});

test('the native decoder is asked where there is one', async () => {
  const content = Buffer.concat(await Array.fromAsync(unxz(cut(STREAM, 65_536), lzma2)));
  assert.ok(content.equals(CONTENT));
});

test('the input is closed, and its errors come through', async () => {
  let closed = false;
  const input = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* cut(STREAM, 1000);
    } finally {
      closed = true;
    }
  };
  for await (const chunk of unxz(input(), undefined)) {
    assert.ok(chunk.length > 0);
    break;
  }
  assert.ok(closed);
  const failing = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    yield STREAM.subarray(0, 100);
    throw new Error('of the input');
  };
  await assert.rejects(Array.fromAsync(unxz(failing(), undefined)), { message: 'of the input' });
  const signal = AbortSignal.abort(new Error('stop'));
  await assert.rejects(Array.fromAsync(unxz(cut(STREAM, 1000), undefined, signal)), { code: 'canceled' });
});

test('a stream that ends anywhere, or with damage, is refused', async () => {
  const small = await read(layoutXz([compressed(TEXT.subarray(0, 3000)), { kind: 'zeros', length: 10 }]));
  for (let size = 0; size < small.length; size += 5) {
    await assert.rejects(decoded(small.subarray(0, size)), { code: 'invalid-input' });
  }
  const damage = fc.array(fc.tuple(fc.nat(small.length - 13), fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 3,
  });
  await fc.assert(
    fc.asyncProperty(damage, async (changes) => {
      const data = small.slice();
      for (const [at, value] of changes) data[at]! ^= value;
      if (Buffer.compare(data, small) === 0) return;
      try {
        // Behind the index nothing is looked at but its size.
        await decoded(data);
      } catch (error) {
        assert.ok(error instanceof ImagerError, String(error));
      }
    }),
    { numRuns: Math.ceil(FUZZ_RUNS / 10), seed: 8 },
  );
});
