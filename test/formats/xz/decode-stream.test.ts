import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ofMemory } from '../../../src/bytes/bytes.ts';
import { crc32 } from '../../../src/bytes/crc32.ts';
import { read } from '../../../src/bytes/read.ts';
import { ImagerError } from '../../../src/errors.ts';
import { decodeXz } from '../../../src/formats/xz/decode-stream.ts';
import { encodeXz } from '../../../src/formats/xz/encode-stream.ts';
import { layoutXz } from '../../../src/formats/xz/layout-stream.ts';
import { nodeCompression } from '../../../src/platform/node-compression.ts';
import { stream } from '../../support/bytes.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const LIMIT = 1 << 20;
const CONTENTS = [
  new Uint8Array(),
  Uint8Array.of(7),
  new Uint8Array(131_072),
  Buffer.from('the same words again and again, '.repeat(3000)),
  stream('noise', 131_072),
  Buffer.concat([stream('a', 70_000), Buffer.alloc(70_000, 'text '), stream('b', 70_000)]),
];
const { lzma2 } = nodeCompression;
const MAKERS = lzma2 === undefined ? [undefined] : [undefined, lzma2];

test('each encoder is read by each decoder', async () => {
  for (const encoder of MAKERS) {
    for (const decoder of MAKERS) {
      for (const content of CONTENTS) {
        const packed = await encodeXz(content, encoder);
        assert.deepEqual(Buffer.from(await decodeXz(packed, content.length, decoder)), Buffer.from(content));
      }
    }
  }
});

test('more than the limit is refused before it is unpacked', async () => {
  const packed = await encodeXz(new Uint8Array(100_000), undefined);
  await assert.rejects(decodeXz(packed, 99_999, undefined), { message: 'xz stream: more than 99999 bytes' });
});

test('a stream of several blocks of any kind is read', async () => {
  const noise = stream('stored', 70_000);
  const whole = layoutXz([
    { kind: 'stored', content: ofMemory(noise), crc: crc32(noise) },
    { kind: 'zeros', length: 3_000_000 },
  ]);
  const content = await decodeXz(await read(whole), 4_000_000, undefined);
  assert.deepEqual(Buffer.from(content), Buffer.concat([noise, Buffer.alloc(3_000_000)]));
});

test('a flipped bit is found', async () => {
  const packed = await encodeXz(CONTENTS[3]!, undefined);
  // Behind the check there is the index only.
  const end = packed.length - 32;
  for (let position = 0; position < end; position += 7) {
    const damaged = packed.slice();
    damaged[position]! ^= 1 << (position % 8);
    // The name of a filter and padding are all that may be changed at no harm; here they are not met.
    await assert.rejects(decodeXz(damaged, LIMIT, undefined), ImagerError);
  }
});

test('any bytes are refused or decoded, in bounds', async () => {
  const seeds = await Promise.all(
    CONTENTS.slice(1, 4).map((content) => encodeXz(content.subarray(0, 3000), undefined)),
  );
  const damage = fc.tuple(
    fc.constantFrom(...seeds),
    fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 4 }),
    fc.nat(400),
  );
  await fc.assert(
    fc.asyncProperty(damage, async ([seed, changes, cut]) => {
      const data = seed.slice(0, Math.max(1, seed.length - (cut > 100 ? 0 : cut)));
      for (const [position, value] of changes) data[position % data.length] = value;
      // The header's CRC is made right, or little behind it would ever be tried.
      const size = (data[12]! + 1) * 4;
      if (12 + size <= data.length) {
        new DataView(data.buffer).setUint32(12 + size - 4, crc32(data.subarray(12, 12 + size - 4)), true);
      }
      try {
        assert.ok((await decodeXz(data, 4096, undefined)).length <= 4096);
      } catch (error) {
        assert.ok(error instanceof ImagerError, String(error));
      }
    }),
    { numRuns: FUZZ_RUNS, seed: 5 },
  );
});
