import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ofMemory, place, slice } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import { ImagerError } from '../../../src/errors.ts';
import { decodeQcow2 } from '../../../src/formats/qcow2/decode.ts';
import { layoutQcow2 } from '../../../src/formats/qcow2/layout.ts';
import { stream } from '../../support/bytes.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const DISK = place(3 << 20, [
  { at: 512, bytes: ofMemory(stream('a', 3000)) },
  { at: 2 << 20, bytes: ofMemory(stream('b', 5000)) },
]);
const FILE = await read(layoutQcow2(DISK, { clusterSize: 512 }));

function changed(...changes: readonly (readonly [at: number, hex: string])[]): Uint8Array {
  const data = Buffer.from(FILE);
  for (const [at, hex] of changes) data.write(hex, at, 'hex');
  return data;
}

const L1 = Number(Buffer.from(FILE).readBigUInt64BE(40));
const L2 = Number(Buffer.from(FILE).readBigUInt64BE(L1) & ~(1n << 63n));

test('version 2, and clusters that read as zeros', async () => {
  const second = await decodeQcow2(ofMemory(changed([4, '00000002'])));
  assert.deepEqual(await read(second, 0, 4000), await read(DISK, 0, 4000));
  const zeroed = await decodeQcow2(ofMemory(changed([L2 + 15 + 8, '01'])));
  assert.equal(zeroed.size, DISK.size);
});

test('the dirty bit is no reason not to read', async () => {
  const dirty = await decodeQcow2(ofMemory(changed([79, '01'])));
  assert.deepEqual(await read(dirty, 0, 4000), await read(DISK, 0, 4000));
});

const DAMAGED: Readonly<Record<string, Uint8Array>> = {
  'no bytes': new Uint8Array(),
  'half a header': FILE.subarray(0, 60),
  'another magic': changed([0, '00']),
  'clusters of 2^8': changed([20, '00000008']),
  'clusters of 2^63': changed([20, '0000003f']),
  'an L1 table too small': changed([36, '00000001']),
  'an L1 table too large': changed([36, 'ffffffff']),
  'an L1 table between clusters': changed([40, '0000000000000101']),
  'an L1 table outside': changed([40, '00ffffffffff0000']),
  'a size that the L1 table cannot hold': changed([24, '00ffffffffffffff']),
  'a size above 2^53': changed([24, 'ffffffffffffffff']),
  'one L2 table twice': changed([L1 + 8, Buffer.from(FILE.subarray(L1, L1 + 8)).toString('hex')]),
  'an L2 table outside': changed([L1, '80ffffffffff0000']),
  'reserved bits in L1': changed([L1, '81']),
  'reserved bits in L2': changed([L2, '01']),
  'a cluster outside': changed([L2, '8000ffffffff0000']),
  'a cluster between clusters': changed([L2 + 6, '0302']),
  'a cut file': FILE.subarray(0, L2 + 100),
};

for (const [name, data] of Object.entries(DAMAGED)) {
  test(`damaged: ${name}`, async () => {
    await assert.rejects(decodeQcow2(ofMemory(data)), { code: 'invalid-input' });
  });
}

const UNSUPPORTED: Readonly<Record<string, Uint8Array>> = {
  'version 1': changed([4, '00000001']),
  'a backing file': changed([8, '0000000000000200']),
  encryption: changed([32, '00000001']),
  'the corrupt bit': changed([79, '02']),
  'extended L2 entries': changed([79, '10']),
  'compressed clusters': changed([L2 + 8, 'c0']),
};

for (const [name, data] of Object.entries(UNSUPPORTED)) {
  test(`unsupported: ${name}`, async () => {
    await assert.rejects(decodeQcow2(ofMemory(data)), { code: 'unsupported' });
  });
}

test('any damage gives a disk or an error that says what is wrong', async () => {
  const place = fc.oneof(
    fc.nat(120),
    fc.nat(16).map((at) => L1 + at),
    fc.nat(511).map((at) => L2 + at),
    fc.nat(FILE.length - 1),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.option(fc.nat(FILE.length), { freq: 8 }),
      async (changes, cut) => {
        const data = FILE.slice(0, cut ?? FILE.length);
        for (const [at, value] of changes) if (at < data.length) data[at] = value;
        try {
          const disk = await decodeQcow2(ofMemory(data));
          await read(slice(disk, 0, Math.min(disk.size, 4096)));
        } catch (error) {
          assert.ok(
            error instanceof ImagerError && ['invalid-input', 'unsupported'].includes(error.code),
            String(error),
          );
        }
      },
    ),
    { numRuns: FUZZ_RUNS },
  );
});
