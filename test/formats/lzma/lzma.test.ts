import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ImagerError } from '../../../src/errors.ts';
import { decodeLzma } from '../../../src/formats/lzma/decode.ts';
import { encodeLzma } from '../../../src/formats/lzma/encode.ts';
import { stream } from '../../support/bytes.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Made by the encoder of grub-mkimage 2.06: the core of bios-core.test.ts. */
const FOREIGN =
  '002a1a08a2032566f14b78c5a205ff2ee6d9d2201aad34f8e21de84136fadc0669bb3ce410342709ebb366e3d46d7b2646d67a507a3f187ffaecc254' +
  'c304c122e0a8bedc8d61f1d0c02c372ac405b5dee4d8b957ec57efeab5bbe5b04843a1148bbc64093f605e0dcbbba6f2218e809c8be000';
const FOREIGN_TEXT = 'The quick brown fox jumps over the lazy dog, and the lazy dog sleeps. ';

describe('LZMA', () => {
  test('gives back what it was given', () => {
    const long = new Uint8Array(200000);
    for (let at = 0; at < long.length; at++) long[at] = (at * at) >> 7;
    const cases = [
      new Uint8Array(0),
      text('a'),
      text('ab'),
      text('abc'),
      text('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'),
      text('abcabcabcabcabcabcXabcabcabYabcabc'.repeat(50)),
      new Uint8Array(100000),
      stream('lzma', 70000),
      long,
      Buffer.concat([stream('once', 65536), stream('once', 65536)]),
      Buffer.concat([stream('once', 65537), stream('once', 65537)]),
    ];
    for (const data of cases) {
      assert.deepEqual(decodeLzma(encodeLzma(data), data.length), new Uint8Array(data), `${data.length} bytes`);
    }
  });

  test('gives back sequences of copies of what came before', () => {
    const pieces = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 20 }).map((data) => ({ data })),
        fc.record({ back: fc.integer({ min: 1, max: 300 }), length: fc.integer({ min: 1, max: 400 }) }),
      ),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(pieces, (list) => {
        const bytes: number[] = [];
        for (const piece of list) {
          if ('data' in piece) bytes.push(...piece.data);
          else if (piece.back <= bytes.length) {
            for (let count = 0; count < piece.length; count++) bytes.push(bytes[bytes.length - piece.back]!);
          }
        }
        const data = Uint8Array.from(bytes);
        assert.deepEqual(decodeLzma(encodeLzma(data), data.length), data);
      }),
      { seed: 1, numRuns: Math.min(FUZZ_RUNS, 150) },
    );
  });

  test('makes something small of repetition, and reaches back 64 KiB but no further', () => {
    const block = stream('window', 65536);
    const near = encodeLzma(Buffer.concat([block, block]));
    assert.ok(near.length < 67500, `${near.length}`);
    const apart = stream('window', 65537);
    assert.ok(encodeLzma(Buffer.concat([apart, apart])).length > 130000);
    assert.ok(encodeLzma(new Uint8Array(400000)).length < 200);
  });

  test("reads the stream of GRUB's own encoder", () => {
    const unpacked = decodeLzma(Buffer.from(FOREIGN, 'hex'), 368);
    assert.equal(new TextDecoder().decode(unpacked.subarray(0, 280)), FOREIGN_TEXT.repeat(4));
  });
});

describe('an LZMA stream that is wrong', () => {
  const good = encodeLzma(text('abcabcabcabcabcabc'.repeat(40)));
  const size = 720;

  test('is refused when it ends early or late, or says another size', () => {
    assert.throws(() => decodeLzma(good.subarray(0, good.length - 1), size), /in the middle/);
    assert.throws(() => decodeLzma(new Uint8Array(0), size), /in the middle/);
    assert.throws(() => decodeLzma(Buffer.concat([good, Buffer.alloc(2)]), size), /2 bytes follow its end/);
    assert.throws(() => decodeLzma(good, size - 1), /passes the end|damaged|follow/);
    assert.throws(() => decodeLzma(good, size + 1), { code: 'invalid-input' });
    assert.throws(() => decodeLzma(good, -1), /want 0\.\./);
    assert.throws(() => decodeLzma(good, 2 ** 40), /want 0\.\./);
    assert.throws(() => decodeLzma(Uint8Array.of(1, 0, 0, 0, 0), 0), /zero byte/);
  });

  test('is refused when it reaches back before its beginning', () => {
    // A first bit of 1 is a match, and nothing is there to match.
    assert.throws(() => decodeLzma(Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0), 10), /reaches back/);
  });

  test('never does anything but throw an ImagerError', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        fc.nat({ max: good.length - 1 }),
        fc.nat({ max: 2000 }),
        (noise, at, unpacked) => {
          const damaged = Uint8Array.from(good);
          damaged.set(noise.subarray(0, damaged.length - at), at);
          for (const data of [damaged, noise]) {
            try {
              assert.equal(decodeLzma(data, unpacked).length, unpacked);
            } catch (error) {
              assert.ok(error instanceof ImagerError, String(error));
            }
          }
        },
      ),
      { seed: 2, numRuns: FUZZ_RUNS },
    );
  });
});
