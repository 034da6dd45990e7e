import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { ofMemory, ofSource } from '../../../src/bytes/bytes.ts';
import { crc32OfZeros } from '../../../src/bytes/crc32-combine.ts';
import { read } from '../../../src/bytes/read.ts';
import { decodeLzma } from '../../../src/formats/lzma/decode.ts';
import { encodeLzma2 } from '../../../src/formats/xz/encode.ts';
import { layoutXz, type StreamPart } from '../../../src/formats/xz/layout-stream.ts';
import { storedChunks, zeroChunks } from '../../../src/formats/xz/lzma2.ts';
import { memorySource, stream } from '../../support/bytes.ts';

const MIB = 1 << 20;
const random = stream('xz', 200_000);
const words = new TextEncoder().encode('the quick brown fox jumps over the lazy dog; '.repeat(5000));

const stored = (data: Uint8Array): StreamPart => ({ kind: 'stored', content: ofMemory(data), crc: crc32(data) });
const zeros = (length: number): StreamPart => ({ kind: 'zeros', length });
const compressed = (data: Uint8Array): StreamPart => ({
  kind: 'compressed',
  length: data.length,
  crc: crc32(data),
  chunks: ofMemory(encodeLzma2(data, 8)),
});

interface Chunk {
  readonly control: number;
  readonly unpacked: number;
  readonly data: Buffer;
}

/** The chunks of LZMA2 data up to its end marker, and where they end. */
function chunksOf(data: Buffer): { readonly chunks: Chunk[]; readonly end: number } {
  const chunks: Chunk[] = [];
  let at = 0;
  while (data[at] !== 0) {
    const control = data[at]!;
    const isStored = control < 0x80;
    const unpacked = (((control & 0x1f) << 16) & (isStored ? 0 : -1)) + data.readUInt16BE(at + 1) + 1;
    const size = isStored ? unpacked : data.readUInt16BE(at + 3) + 1;
    const header = isStored ? 3 : control >= 0xc0 ? 6 : 5;
    if (header === 6) assert.equal(data[at + 5], 0x5d);
    chunks.push({
      control: isStored ? control : control & 0xe0,
      unpacked,
      data: data.subarray(at + header, at + header + size),
    });
    at += header + size;
    assert.ok(at < data.length, 'no end of chunks');
  }
  return { chunks, end: at + 1 };
}

interface Block {
  readonly chunks: readonly Chunk[];
  readonly dictionary: number;
  readonly contentSize: number;
  readonly crc: number;
}

/** All fields of a stream, each held to the others (XZ format specification 1.1.0). */
function parseXz(bytes: Uint8Array): Block[] {
  const data = Buffer.from(bytes);
  assert.equal(data.subarray(0, 8).toString('hex'), 'fd377a585a000001');
  assert.equal(data.readUInt32LE(8), crc32(data.subarray(6, 8)));
  let at = 12;
  const varint = (): number => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = data[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  const blocks: Block[] = [];
  const records: [number, number][] = [];
  while (data[at] !== 0) {
    const start = at;
    const headerEnd = start + (data[at]! + 1) * 4;
    assert.equal(data.readUInt32LE(headerEnd - 4), crc32(data.subarray(start, headerEnd - 4)));
    assert.equal(data[start + 1], 0xc0);
    at += 2;
    const [packedSize, contentSize] = [varint(), varint()];
    assert.equal(data.subarray(at, at + 2).toString('hex'), '2101');
    const code = data[at + 2]!;
    assert.ok(data.subarray(at + 3, headerEnd - 4).every((byte) => byte === 0));
    const { chunks, end } = chunksOf(data.subarray(headerEnd, headerEnd + packedSize));
    assert.equal(end, packedSize);
    assert.equal(
      chunks.reduce((sum, chunk) => sum + chunk.unpacked, 0),
      contentSize,
    );
    const padded = headerEnd + Math.ceil(packedSize / 4) * 4;
    blocks.push({
      chunks,
      contentSize,
      dictionary: (2 + (code & 1)) * 2 ** ((code >> 1) + 11),
      crc: data.readUInt32LE(padded),
    });
    records.push([headerEnd - start + packedSize + 4, contentSize]);
    at = padded + 4;
  }
  const indexStart = at++;
  assert.equal(varint(), records.length);
  for (const [unpadded, size] of records) assert.deepEqual([varint(), varint()], [unpadded, size]);
  at = Math.ceil(at / 4) * 4;
  assert.equal(data.readUInt32LE(at), crc32(data.subarray(indexStart, at)));
  at += 4;
  assert.equal(data.readUInt32LE(at), crc32(data.subarray(at + 4, at + 10)));
  assert.equal((data.readUInt32LE(at + 4) + 1) * 4, at - indexStart);
  assert.equal(data.subarray(at + 8).toString('latin1'), '\0\u0001YZ');
  return blocks;
}

test('nothing is a stream without blocks', async () => {
  assert.deepEqual(parseXz(await read(layoutXz([]))), []);
  assert.deepEqual(parseXz(await read(layoutXz([zeros(0), stored(new Uint8Array(0))]))), []);
});

test('each part is a block with its sizes and CRC', async () => {
  const parts = [stored(random), zeros(1000), compressed(words), stored(random.subarray(0, 1))];
  const blocks = parseXz(await read(layoutXz(parts)));
  assert.deepEqual(
    blocks.map(({ contentSize, crc, dictionary }) => ({ contentSize, crc, dictionary })),
    [
      { contentSize: random.length, crc: crc32(random), dictionary: 4096 },
      { contentSize: 1000, crc: crc32OfZeros(1000), dictionary: 4096 },
      { contentSize: words.length, crc: crc32(words), dictionary: 256 * 1024 },
      { contentSize: 1, crc: crc32(random.subarray(0, 1)), dictionary: 4096 },
    ],
  );
});

test('stored chunks refer to their source; the first resets the dictionary', async () => {
  const source = memorySource(random);
  const chunks = storedChunks(ofSource(source));
  assert.deepEqual(source.reads, []);
  assert.equal(chunks.size, random.length + 3 * 4);
  const [block] = parseXz(await read(layoutXz([stored(random)])));
  assert.deepEqual(
    block!.chunks.map(({ control, unpacked }) => [control, unpacked]),
    [
      [1, 65_536],
      [2, 65_536],
      [2, 65_536],
      [2, random.length - 3 * 65_536],
    ],
  );
  assert.ok(Buffer.concat(block!.chunks.map(({ data }) => data)).equals(random));
});

describe('zeros', () => {
  for (const length of [1, 2, 3, 273, 274, 275, 276, 547, 1000, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 5 * MIB]) {
    test(`${length} of them`, async () => {
      const [block, ...more] = parseXz(await read(layoutXz([zeros(length)])));
      assert.deepEqual(more, []);
      assert.equal(block!.crc, crc32OfZeros(length));
      for (const { control, unpacked, data } of block!.chunks) {
        assert.equal(control, 0xe0);
        assert.ok(Buffer.from(decodeLzma(data, unpacked)).equals(Buffer.alloc(unpacked)));
      }
    });
  }

  test('cost less than 400 bytes for 2 MiB, and memory only once', () => {
    const chunks = zeroChunks(2 ** 40);
    assert.ok(chunks.size < 2 ** 19 * 400);
    assert.equal(new Set(chunks.extents.map((extent) => extent.kind === 'memory' && extent.data.buffer)).size, 1);
  });

  test('are cut into blocks of 64 MiB', async () => {
    const blocks = parseXz(await read(layoutXz([zeros(200 * MIB)])));
    assert.deepEqual(
      blocks.map(({ contentSize }) => contentSize / MIB),
      [64, 64, 64, 8],
    );
  });
});

describe('encoding', () => {
  test('what fits one chunk is LZMA1 as it is', async () => {
    for (const data of [words.subarray(0, 50_000), words.subarray(0, 200), new Uint8Array(100).fill(7)]) {
      const [block] = parseXz(await read(layoutXz([compressed(data)])));
      assert.deepEqual(
        block!.chunks.map(({ control }) => control),
        [0xe0],
      );
      assert.ok(Buffer.from(decodeLzma(block!.chunks[0]!.data, data.length)).equals(data));
    }
  });

  test('goes on from chunk to chunk, stores what does not shrink, and begins anew behind that', async () => {
    const data = Buffer.concat([words.subarray(0, 150_000), random, words.subarray(0, 100_000)]);
    const [block] = parseXz(await read(layoutXz([compressed(data)])));
    const controls = block!.chunks.map(({ control }) => control).join(' ');
    assert.match(controls, /^224 (128 )+(2 )+192( 128)*$/);
  });

  test('never grows by more than the headers of stored chunks', () => {
    for (const length of [1, 2, 100, 61_440, 61_441, 200_000]) {
      const packed = encodeLzma2(random.subarray(0, length), 8);
      assert.ok(packed.length <= length + 3 * Math.ceil(length / 61_440), String(length));
    }
  });

  test('looks harder at higher depths', () => {
    const data = Uint8Array.from(random.subarray(0, 60_000), (byte, index) => (byte % 3) + (index % 5));
    const [quick, thorough] = [1, 100].map((depth) => encodeLzma2(data, depth).length);
    assert.ok(thorough! < quick!, `${thorough} ${quick}`);
  });
});
