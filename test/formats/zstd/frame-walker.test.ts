import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { ImagerError } from '../../../src/errors.ts';
import { declaredSize, isZstd, unzstd } from '../../../src/formats/zstd/frame-walker.ts';
import { nodePlatform } from '../../../src/platform/node.ts';
import { stream } from '../../support/bytes.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const { compression } = nodePlatform({});

async function decoded(packed: Uint8Array, size: number = packed.length): Promise<Buffer> {
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < packed.length; at += size) yield packed.subarray(at, at + size);
  };
  const out: Uint8Array[] = [];
  for await (const chunk of unzstd(compression, pieces())) out.push(chunk);
  return Buffer.concat(out);
}

const skippable = (length: number, kind = 0): Buffer => {
  const frame = Buffer.alloc(8 + length, 0x28);
  frame.writeUInt32LE(0x184d2a50 + kind, 0);
  frame.writeUInt32LE(length, 4);
  return frame;
};

const random = Buffer.from(stream('zstd', 300_000));
const text = Buffer.from('all work and no play '.repeat(20_000));
const withChecksum = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
const withoutSize = { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } };

const frames: readonly (readonly [Buffer, Buffer])[] = [
  [zstdCompressSync(random), random],
  [zstdCompressSync(text, withChecksum), text],
  [zstdCompressSync(text.subarray(0, 100), withoutSize), text.subarray(0, 100)],
  [zstdCompressSync(Buffer.alloc(0)), Buffer.alloc(0)],
  [zstdCompressSync(Buffer.alloc(500_000)), Buffer.alloc(500_000)],
  [skippable(0), Buffer.alloc(0)],
  [skippable(1000, 15), Buffer.alloc(0)],
];

test('all frames are decoded, however many there are and wherever the stream is cut', async () => {
  for (const [packed, plain] of frames) assert.deepEqual(await decoded(packed), plain);
  const packed = Buffer.concat(frames.map(([frame]) => frame));
  const plain = Buffer.concat(frames.map(([, content]) => content));
  for (const size of [packed.length, 65_536, 10_007, 131_075]) assert.deepEqual(await decoded(packed, size), plain);
  const small = Buffer.concat([frames[1]![0], skippable(3), frames[2]![0], frames[1]![0]]);
  for (const size of [1, 2, 3, 5]) {
    assert.equal((await decoded(small, size)).length, text.length * 2 + 100);
  }
  assert.equal((await decoded(Buffer.alloc(0))).length, 0);
});

test('a stream that ends inside a frame, or goes on with something else, is refused', async () => {
  const whole = Buffer.concat([frames[1]![0], skippable(10)]);
  for (let end = 1; end < whole.length; end++) {
    if (end === frames[1]![0].length) continue;
    await assert.rejects(decoded(whole.subarray(0, end)), { code: 'invalid-input' }, String(end));
  }
  for (const tail of [Buffer.from('tail'), Buffer.alloc(4), Buffer.of(0x28)]) {
    await assert.rejects(decoded(Buffer.concat([whole, tail])), { code: 'invalid-input' });
  }
});

test('reserved bits and block types are refused', async () => {
  const frame = Buffer.from(frames[1]![0]);
  frame[4]! |= 0x08;
  await assert.rejects(decoded(frame), { message: /reserved bit/ });
  const block = Buffer.from('28b52ffd0058070000', 'hex');
  await assert.rejects(decoded(block), { message: /reserved type/ });
});

test('a damaged checksum is refused', async () => {
  const frame = Buffer.from(frames[1]![0]);
  frame[frame.length - 1]! ^= 1;
  await assert.rejects(decoded(frame), { code: 'invalid-input', message: /damaged zstd frame/ });
});

test('an error of the input comes through as it is', async () => {
  const broken = async function* (): AsyncGenerator<Uint8Array> {
    yield frames[0]![0].subarray(0, 1000);
    throw new ImagerError('dependency', 'connection reset');
  };
  await assert.rejects(
    async () => {
      for await (const _ of unzstd(compression, broken()));
    },
    { code: 'dependency' },
  );
});

test('zstd is known by its first four bytes', () => {
  for (const [packed] of frames) assert.ok(isZstd(packed));
  for (const other of [Buffer.from('28b52f', 'hex'), Buffer.from('28b52ffe', 'hex'), Buffer.from('602a4d18', 'hex')]) {
    assert.ok(!isZstd(other));
  }
});

test('mutated streams are decoded or refused, and cutting changes nothing about that', async () => {
  const seed = Buffer.concat([frames[2]![0], skippable(20), zstdCompressSync(text.subarray(0, 3000), withChecksum)]);
  const outcome = (packed: Uint8Array, size: number): Promise<string> =>
    decoded(packed, size).then(
      (plain) => plain.toString('latin1'),
      (error: unknown) => {
        assert.ok(error instanceof ImagerError && error.code === 'invalid-input', String(error));
        return 'refused';
      },
    );
  await fc.assert(
    fc.asyncProperty(fc.nat(seed.length - 1), fc.nat(255), fc.integer({ min: 1, max: 40 }), async (at, byte, size) => {
      const packed = Buffer.from(seed);
      packed[at] = byte;
      assert.equal(await outcome(packed, size), await outcome(packed, packed.length));
    }),
    { numRuns: Math.ceil(Math.min(FUZZ_RUNS, 100_000) / 10), seed: 5 },
  );
});

test('a frame header says how much is inside, or does not', () => {
  for (const size of [0, 1, 255, 256, 65_791, 65_792, 1 << 20]) {
    const frame = zstdCompressSync(Buffer.alloc(size), { pledgedSrcSize: size });
    assert.equal(declaredSize(frame), size);
    assert.equal(declaredSize(frame.subarray(0, 5)), undefined);
  }
  const eightBytes = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xe0, 1, 0, 0, 0, 2, 0, 0, 0);
  assert.equal(declaredSize(eightBytes), 2 * 2 ** 32 + 1);
  const unsaid = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0x58, 1, 0, 0);
  assert.equal(declaredSize(unsaid), undefined);
  for (const data of [new Uint8Array(), new Uint8Array(4), new Uint8Array(40)]) {
    assert.equal(declaredSize(data), undefined);
  }
});
