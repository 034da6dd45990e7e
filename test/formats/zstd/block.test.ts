import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { ofMemory, ofSource } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import type { ImagerError } from '../../../src/errors.ts';
import { MAX_BLOCK, MAX_WINDOW, matchBlocks, rawBlocks, zeroBlocks } from '../../../src/formats/zstd/block.ts';
import { layoutZstdFrame } from '../../../src/formats/zstd/layout-frame.ts';
import { memorySource, stream } from '../../support/bytes.ts';

const content = stream('zstd blocks', 3 * MAX_BLOCK);

async function unpacked(...parts: Parameters<typeof layoutZstdFrame>[0]): Promise<Buffer> {
  return zstdDecompressSync(await read(layoutZstdFrame(parts)));
}

describe('match blocks', () => {
  // Every boundary of the length codes, of offset codes, and of blocks.
  const lengths = [
    3,
    4,
    34,
    35,
    36,
    37,
    42,
    43,
    46,
    47,
    50,
    51,
    66,
    67,
    98,
    99,
    130,
    131,
    258,
    259,
    514,
    515,
    1026,
    1027,
    2050,
    2051,
    4098,
    4099,
    8194,
    8195,
    16386,
    16387,
    32770,
    32771,
    65538,
    65539,
    MAX_BLOCK - 1,
    MAX_BLOCK,
    MAX_BLOCK + 1,
    MAX_BLOCK + 2,
    MAX_BLOCK + 3,
    2 * MAX_BLOCK,
    2 * MAX_BLOCK + 1,
    2 * MAX_BLOCK + 2,
  ];
  for (const length of lengths) {
    test(`${length} bytes`, async () => {
      const parts = [
        { kind: 'raw', content: ofMemory(content) },
        { kind: 'repeat', length, distance: content.length },
      ] as const;
      assert.ok((await unpacked(...parts)).equals(Buffer.concat([content, content.subarray(0, length)])));
    });
  }

  for (const distance of [1, 2, 3, 4, 5, 8, 12, 13, 28, 29, 1000, 65_533, 131_072, 262_141]) {
    test(`${distance} bytes before`, async () => {
      const parts = [
        { kind: 'raw', content: ofMemory(content) },
        { kind: 'repeat', length: 700_000, distance },
      ] as const;
      const period = content.subarray(content.length - distance);
      const expected = Buffer.alloc(700_000, period);
      assert.ok((await unpacked(...parts)).equals(Buffer.concat([content, expected])));
    });
  }

  test('128 KiB cost 15 bytes at most', () => {
    assert.equal(matchBlocks(MAX_WINDOW, MAX_BLOCK).size, 15);
    assert.equal(matchBlocks(1, 800 * MAX_BLOCK).size, 800 * 12);
  });

  test('what no sequence can say is refused', () => {
    const refused = { name: 'ImagerError', code: 'invalid-input' } satisfies Partial<ImagerError>;
    assert.throws(() => matchBlocks(100, 2), refused);
    assert.throws(() => matchBlocks(0, 100), refused);
    assert.throws(() => matchBlocks(MAX_WINDOW + 1, 100), refused);
  });
});

test('zeros cost four bytes for 128 KiB, however many there are', () => {
  assert.equal(zeroBlocks(1).size, 4);
  assert.equal(zeroBlocks(MAX_BLOCK).size, 4);
  assert.equal(zeroBlocks(2 ** 31).size, 4 * 2 ** 14);
  assert.equal(zeroBlocks(2 ** 40 + 5).size, 4 * (2 ** 23 + 1));
  assert.ok(zeroBlocks(2 ** 40).extents.length <= 512);
});

test('raw blocks refer to their source, three bytes for 128 KiB', async () => {
  const source = memorySource(content);
  const blocks = rawBlocks(ofSource(source));
  assert.equal(blocks.size, content.length + 3 * 3);
  assert.deepEqual(source.reads, []);
  await read(blocks);
  assert.deepEqual(source.reads, [{ position: 0, length: content.length }]);
});
