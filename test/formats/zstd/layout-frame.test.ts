import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { type Bytes, ofMemory, ofText, zeros } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import { MAX_WINDOW } from '../../../src/formats/zstd/block.ts';
import { type FramePart, layoutZstdFrame } from '../../../src/formats/zstd/layout-frame.ts';
import { stream } from '../../support/bytes.ts';

const raw = (content: Bytes): FramePart => ({ kind: 'raw', content });

test('the header has the content size and no checksum', async () => {
  const frame = await read(layoutZstdFrame([raw(ofText('abc')), { kind: 'zeros', length: 5 }]));
  assert.equal(
    Buffer.from(frame).toString('hex'),
    ['28b52ffd', 'c0', '38', '0800000000000000', '180000', '616263', '2a0000', '00', '010000'].join(''),
  );
  assert.equal(zstdDecompressSync(frame).toString(), 'abc\0\0\0\0\0');
});

test('nothing is a frame of an empty block', async () => {
  for (const parts of [[], [raw(zeros(0))], [{ kind: 'zeros', length: 0 }]] as FramePart[][]) {
    assert.equal(zstdDecompressSync(await read(layoutZstdFrame(parts))).length, 0);
  }
});

describe('the first block', () => {
  const typeOfFirst = async (...parts: FramePart[]): Promise<number> =>
    ((await read(layoutZstdFrame(parts), 14, 1))[0]! >> 1) & 3;

  test('is no run: zstd up to 1.4.3 stumbles over one', async () => {
    assert.equal(await typeOfFirst({ kind: 'zeros', length: 1_000_000 }), 0);
    assert.equal(await typeOfFirst(raw(zeros(0)), { kind: 'zeros', length: 1 }), 0);
    for (const length of [1, 2, 131_072, 131_073, 1_000_000]) {
      const plain = zstdDecompressSync(await read(layoutZstdFrame([{ kind: 'zeros', length }])));
      assert.ok(plain.equals(Buffer.alloc(length)), String(length));
    }
  });
});

describe('the window', () => {
  const windowOf = async (parts: readonly FramePart[]): Promise<number> => {
    const descriptor = (await read(layoutZstdFrame(parts), 5, 1))[0]!;
    assert.equal(descriptor & 7, 0);
    return 2 ** (10 + (descriptor >> 3));
  };
  const start = raw(zeros(MAX_WINDOW + 10));
  const cases: readonly (readonly [string, readonly FramePart[], number])[] = [
    ['of one block without repeats', [start], 2 ** 17],
    ['reaches the farthest repeat', [start, { kind: 'repeat', length: 10, distance: 300_000 }], 2 ** 19],
    ['exactly, if it can', [start, { kind: 'repeat', length: 10, distance: 2 ** 20 }], 2 ** 20],
    ['up to 128 MiB', [start, { kind: 'repeat', length: 10, distance: MAX_WINDOW }], MAX_WINDOW],
    ['holds the largest segment', [{ kind: 'segment', length: 3_000_000, blocks: zeros(0) }], 2 ** 22],
  ];
  for (const [name, parts, expected] of cases) {
    test(name, async () => assert.equal(await windowOf(parts), expected));
  }

  test('never reaches before the start', () => {
    const parts: FramePart[] = [raw(ofMemory(stream('start', 100))), { kind: 'repeat', length: 10, distance: 101 }];
    assert.throws(() => layoutZstdFrame(parts), {
      code: 'invalid-input',
      message: 'zstd: repeat at 100 of what is 101 before',
    });
  });
});
