import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Bytes, ofMemory, patch, zeros } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import { MIB } from '../../../src/bytes/units.ts';
import { ImagerError } from '../../../src/errors.ts';
import { decodeFat } from '../../../src/formats/fat/decode.ts';
import { layoutFat12Floppy, layoutFat32 } from '../../../src/formats/fat/layout.ts';
import { treeOfLiterals } from '../../../src/tree/tree.ts';
import { stream } from '../../support/bytes.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const TREE = treeOfLiterals({
  'EFI/Linux/Talos-v1.13.0.efi': stream('uki', 5000),
  'EFI/BOOT/BOOTX64.EFI': stream('loader', 700),
  'loader/loader.conf': 'timeout 10\n',
});
const FAT32 = layoutFat32(TREE, 40 * MIB).bytes;
const FAT12 = layoutFat12Floppy(TREE, { serial: 7 }).bytes;

/** Where the allocation table, the root directory and the first clusters lie in `FAT32`. */
const TABLE = 32 * 512;
const ROOT = (32 + 2 * 630) * 512;

function put(bytes: Bytes, at: number, ...values: number[]): Bytes {
  return patch(bytes, [{ at, bytes: ofMemory(Uint8Array.from(values)) }]);
}

const hostile: readonly (readonly [string, Bytes, RegExp])[] = [
  ['no signature', put(FAT32, 510, 0), /55 AA/],
  ['odd sector size', put(FAT32, 11, 0, 3), /bytes per sector/],
  ['odd cluster size', put(FAT32, 13, 3), /power of two/],
  ['no tables', put(FAT32, 16, 0), /want none to be 0/],
  ['more sectors than there are bytes', put(FAT32, 32, 0xff, 0xff, 0xff, 0x01), /table has room/],
  ['a table too short for its clusters', put(FAT32, 36, 1, 0, 0, 0), /table has room/],
  ['a root outside the volume', put(FAT32, 44, 0xff, 0xff, 0xff, 0x0f), /root directory in cluster/],
  ['a chain that returns to itself', put(FAT32, TABLE + 8, 2, 0, 0, 0), /want at most|used twice/],
  ['a chain into a free cluster', put(FAT32, TABLE + 8, 0, 0, 0, 0), /leads to 0/],
  ['a chain out of the volume', put(FAT32, TABLE + 8, 0xff, 0xff, 0x0f, 0), /leads to/],
  ['a directory that holds itself', put(FAT32, ROOT + 32 + 26, 2, 0), /deeper than|used twice/],
  ['a directory without clusters', put(FAT32, ROOT + 32 + 26, 0, 0), /leads to 0/],
  ['half an image', zeros(100), /100 bytes/],
];

for (const [what, bytes, message] of hostile) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(decodeFat(bytes), { code: 'invalid-input', message });
  });
}

test('a file whose chain is shorter than its size is refused', async () => {
  const volume = layoutFat32(treeOfLiterals({ FILE: 'x' }), 40 * MIB).bytes;
  await assert.rejects(decodeFat(put(volume, ROOT + 32 + 28, 0, 4)), {
    message: /FAT file "FILE": 1 clusters, want 2/,
  });
});

test('deleted entries and orphaned long names are passed over', async () => {
  const volume = layoutFat32(treeOfLiterals({ 'long name.txt': 'x', OTHER: 'y' }), 40 * MIB).bytes;
  const slots = Buffer.from(await read(volume, ROOT, 160));
  assert.equal(slots.toString('latin1', 32, 37), 'OTHER');
  const orphan = await decodeFat(put(volume, ROOT + 64 + 13, 0));
  assert.deepEqual([...orphan.tree.byPath.keys()], ['', 'LONGNA~1.TXT', 'OTHER']);
  const deleted = await decodeFat(put(volume, ROOT + 32, 0xe5));
  assert.deepEqual([...deleted.tree.byPath.keys()], ['', 'long name.txt']);
  const ended = await decodeFat(put(volume, ROOT + 32, 0));
  assert.deepEqual([...ended.tree.byPath.keys()], ['']);
});

test('names that would leave their directory are refused', async () => {
  const volume = layoutFat32(treeOfLiterals({ OTHER: 'y' }), 40 * MIB).bytes;
  await assert.rejects(decodeFat(put(volume, ROOT + 32 + 1, 0x2f)), { code: 'invalid-input' });
});

// Damage where it counts: boot sector, table, directories. 16 and 32 bits differ only in the table, which both walk.
const areas32 = [0, 512, TABLE, ROOT, ROOT + 512, ROOT + 1024, ROOT + 1536];
const areas12 = [0, 512, 19 * 512, 34 * 512, 36 * 512, 38 * 512];

for (const [name, volume, areas] of [
  ['FAT32', FAT32, areas32],
  ['FAT12', FAT12, areas12],
] as const) {
  test(`${name}: damage is an error or another tree, never anything else`, async () => {
    const interesting = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xe5, 0xf8, 0xff));
    const change = fc.tuple(fc.constantFrom(...areas), fc.nat(511), interesting);
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), async (changes) => {
        const unique = new Map(changes.map(([area, offset, value]) => [area + offset, value]));
        const damaged = patch(
          volume,
          [...unique].map(([at, value]) => ({ at, bytes: ofMemory(Uint8Array.of(value)) })),
        );
        try {
          await decodeFat(damaged);
        } catch (error) {
          assert.ok(error instanceof ImagerError, String((error as Error).stack));
        }
      }),
      { numRuns: FUZZ_RUNS, seed: 4 },
    );
  });
}
