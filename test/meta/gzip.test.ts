import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { deflateRaw } from 'pako';
import { decodeGzip, encodeGzip } from '../../src/meta/gzip.ts';
import { FUZZ_RUNS } from '../support/vectors.ts';

/** Of one letter to binary noise; with stretches that come again. */
const texts = fc
  .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 300 }), fc.integer({ min: 0, max: 4400 }))
  .chain(([mask, period, length]) =>
    fc
      .uint8Array({ minLength: period, maxLength: period })
      .map((unit) =>
        Uint8Array.from({ length }, (_, index) => (unit[index % period]! ^ (index % 997 === 0 ? index : 0)) & mask),
      ),
  );

test('tables of the size of the text make the bytes that large ones make', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const member = encodeGzip(text);
      assert.deepEqual(member.subarray(10, -8), deflateRaw(text, { level: 9, legacyHash: true }));
      assert.deepEqual(decodeGzip(member, 'member', text.length), text);
    }),
    {
      numRuns: Math.ceil(FUZZ_RUNS / 10),
      examples: [[new Uint8Array(3834)], [new Uint8Array(3835)], [new Uint8Array()]],
    },
  );
});

test('incompressible text of any size up to where tables grow', () => {
  const noise = (length: number): Uint8Array => {
    let state = 1;
    return Uint8Array.from({ length }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state >>> 24;
    });
  };
  for (const length of [1, 255, 2047, 2048, 3833, 3834, 3835, 5000]) {
    const text = noise(length);
    assert.deepEqual(encodeGzip(text).subarray(10, -8), deflateRaw(text, { level: 9, legacyHash: true }), `${length}`);
  }
});
