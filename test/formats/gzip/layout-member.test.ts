import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { constants, crc32, deflateRawSync, gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { ofMemory, ofSource, ofText } from '../../../src/bytes/bytes.ts';
import { crc32OfZeros } from '../../../src/bytes/crc32-combine.ts';
import { read } from '../../../src/bytes/read.ts';
import { storedBlocks, zeroBlock } from '../../../src/formats/gzip/deflate.ts';
import { layoutGzip, type MemberPart } from '../../../src/formats/gzip/layout-member.ts';
import { memorySource, stream } from '../../support/bytes.ts';

const content = stream('gzip', 300_000);

const stored = (data: Uint8Array): MemberPart => ({ kind: 'stored', content: ofMemory(data), crc: crc32(data) });
const zeros = (length: number): MemberPart => ({ kind: 'zeros', length });
const deflated = (data: Uint8Array, level: number): MemberPart => ({
  kind: 'deflated',
  length: data.length,
  crc: crc32(data),
  stretch: ofMemory(deflateRawSync(data, { level, finishFlush: constants.Z_SYNC_FLUSH })),
});

async function unpacked(...parts: MemberPart[]): Promise<Buffer> {
  return gunzipSync(await read(layoutGzip(parts)));
}

describe('the member', () => {
  test('is as RFC 1952 has it', async () => {
    const member = await read(layoutGzip([stored(new TextEncoder().encode('abc'))], { name: 'disk.raw' }));
    const expected = [
      '1f8b0808000000000003',
      Buffer.from('disk.raw\0').toString('hex'),
      '00',
      '0300fcff',
      '616263',
      '010000ffff',
      'c2412435',
      '03000000',
    ];
    assert.equal(Buffer.from(member).toString('hex'), expected.join(''));
  });

  test('has no name unless it is given one', async () => {
    const start = await read(layoutGzip([]), 0, 10);
    assert.equal(Buffer.from(start).toString('hex'), '1f8b0800000000000003');
    assert.deepEqual(await read(layoutGzip([], { name: '' })), await read(layoutGzip([])));
    for (const name of ['a\0b', '\u{100}']) {
      assert.throws(() => layoutGzip([], { name }), { code: 'invalid-input', message: /ISO 8859-1/ });
    }
  });

  test('of nothing is empty', async () => {
    assert.equal((await unpacked()).length, 0);
    assert.equal((await unpacked(zeros(0), stored(new Uint8Array(0)))).length, 0);
  });
});

describe('zeros', () => {
  const lengths = [1, 2, 3, 257, 258, 259, 260, 515, 516, 517, 1000, 65_535, 1_000_000];
  // Bits of matches begin and end anywhere within a byte.
  for (let matches = 1; matches < 10; matches++) for (const rest of [1, 2, 3, 257]) lengths.push(matches * 258 + rest);
  for (const length of lengths) {
    test(`${length} of them`, async () => {
      const plain = await unpacked(stored(content.subarray(0, 10)), zeros(length), stored(content.subarray(0, 10)));
      assert.ok(
        plain.equals(Buffer.concat([content.subarray(0, 10), new Uint8Array(length), content.subarray(0, 10)])),
      );
    });
  }

  test('cost what deflate must at the least, and no memory', () => {
    const length = 2 ** 40;
    const block = zeroBlock(length);
    assert.ok(block.size < length / 1032 + 110);
    const memory = block.extents.reduce((sum, extent) => sum + (extent.kind === 'zeros' ? 0 : extent.length), 0);
    assert.ok(memory < 110, String(memory));
  });

  test('sizes above 32 bits are kept modulo 2^32, the CRC is that of all', async () => {
    const length = 5 * 2 ** 32 + 4_000_000;
    const member = layoutGzip([zeros(length - 1000), zeros(1000)]);
    const trailer = Buffer.from(await read(member, member.size - 8));
    assert.equal(trailer.readUInt32LE(0), crc32OfZeros(length));
    assert.equal(trailer.readUInt32LE(4), 4_000_000);
  });
});

test('stored blocks refer to their source, five bytes for 64 KiB', () => {
  const source = memorySource(content);
  const blocks = storedBlocks(ofSource(source));
  assert.equal(blocks.size, content.length + 5 * Math.ceil(content.length / 65_535));
  assert.deepEqual(source.reads, []);
});

test('any parts in any order are one member', async () => {
  const piece = fc.record({ kind: fc.nat(2), at: fc.nat(1000), length: fc.nat(70_000), level: fc.nat(9) });
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async (pieces) => {
      const parts: MemberPart[] = [];
      const plain: Uint8Array[] = [];
      for (const { kind, at, length, level } of pieces) {
        const data = content.subarray(at, at + length).map((byte) => (kind === 2 ? byte & 3 : byte));
        if (kind === 0) parts.push(zeros(length));
        else parts.push(kind === 1 ? stored(data) : deflated(data, level));
        plain.push(kind === 0 ? new Uint8Array(length) : data);
      }
      assert.ok((await unpacked(...parts)).equals(Buffer.concat(plain)));
    }),
    { numRuns: 60 },
  );
});

test('a wrong CRC is found', async () => {
  const part: MemberPart = { kind: 'stored', content: ofText('abc'), crc: 1 };
  await assert.rejects(unpacked(part), /incorrect data check/);
});
