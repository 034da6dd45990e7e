import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../src/bytes/crc32c.ts';

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

// Check value of the CRC catalogue, and the examples of RFC 3720 B.4, whose bytes are listed low first.
const vectors: readonly (readonly [string, Uint8Array, number])[] = [
  ['nothing', new Uint8Array(0), 0],
  ['123456789', ascii('123456789'), 0xe3069283],
  ['32 zeros', new Uint8Array(32), 0x8a9136aa],
  ['32 ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ['0 to 31', Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd794e],
  ['31 to 0', Uint8Array.from({ length: 32 }, (_, index) => 31 - index), 0x113fdb5c],
];

for (const [what, data, crc] of vectors) {
  test(`crc32c of ${what}, at once and in pieces`, () => {
    assert.equal(crc32c(data), crc);
    for (let cut = 0; cut <= data.length; cut++) {
      assert.equal(crc32c(data.subarray(cut), crc32c(data.subarray(0, cut))), crc);
    }
  });
}
