import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { crc32Combine, crc32OfZeros } from '../../src/bytes/crc32-combine.ts';

test('the CRC of joined parts is that of the whole', () => {
  const part = fc.uint8Array({ maxLength: 3000 });
  fc.assert(
    fc.property(part, part, (first, second) => {
      assert.equal(crc32Combine(crc32(first), crc32(second), second.length), crc32(Buffer.concat([first, second])));
    }),
  );
});

test('the CRC of zeros needs no zeros', () => {
  for (const length of [0, 1, 2, 3, 4, 7, 8, 255, 256, 65_535, 65_536, 1_000_003]) {
    assert.equal(crc32OfZeros(length), crc32(new Uint8Array(length)), String(length));
  }
});

test('lengths above 32 bits count whole', () => {
  const [half, rest] = [2 ** 33 + 12_345, 2 ** 34 + 678];
  assert.equal(crc32Combine(crc32OfZeros(half), crc32OfZeros(rest), rest), crc32OfZeros(half + rest));
  assert.notEqual(crc32OfZeros(half), crc32OfZeros(half % 2 ** 32));
});
