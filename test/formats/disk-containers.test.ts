/** Contract: whatever the disk is made of, each container gives back the same bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Bytes, concat, ofMemory, ofSource, slice, zeros } from '../../src/bytes/bytes.ts';
import { joinMemory } from '../../src/bytes/field.ts';
import { equals, read } from '../../src/bytes/read.ts';
import { guidOfLabel } from '../../src/formats/gpt/guid.ts';
import { decodeQcow2 } from '../../src/formats/qcow2/decode.ts';
import { layoutQcow2 } from '../../src/formats/qcow2/layout.ts';
import { decodeVhd } from '../../src/formats/vhd/decode.ts';
import { layoutVhd } from '../../src/formats/vhd/layout.ts';
import { compressGrains, readCompressedGrains } from '../../src/formats/vmdk/compressed-grains.ts';
import { decodeVmdk } from '../../src/formats/vmdk/decode.ts';
import { layoutVmdk } from '../../src/formats/vmdk/layout.ts';
import { memorySource, stream } from '../support/bytes.ts';
import { sampleDisk } from '../support/disks.ts';
import { FUZZ_RUNS } from '../support/vectors.ts';
import { deflate, inflate } from '../support/zlib.ts';

/** There and back. */
const CONTAINERS: Readonly<Record<string, (disk: Bytes) => Promise<Bytes>>> = {
  'qcow2 with clusters of 512': (disk) => decodeQcow2(layoutQcow2(disk, { clusterSize: 512 })),
  'qcow2 with clusters of 64 KiB': (disk) => decodeQcow2(layoutQcow2(disk)),
  async vhd(disk) {
    return (await decodeVhd(layoutVhd(disk, { epoch: 0, uuid: guidOfLabel('disk') }))).disk;
  },
  async vmdk(disk) {
    const parts: Uint8Array[] = [];
    await compressGrains(disk, deflate, { write: async (chunk) => void parts.push(chunk) });
    const grains = await readCompressedGrains(ofMemory(joinMemory(parts)));
    return (await decodeVmdk(layoutVmdk(disk.size, grains), inflate, { key: 'contract' })).disk;
  },
};

const SECTOR = 512;
const CONTENT = stream('contract', 300 * SECTOR);
CONTENT.fill(0, 20 * SECTOR, 60 * SECTOR);
const source = ofSource(memorySource(CONTENT));

const range = fc.tuple(fc.nat(299), fc.nat(150)).map(([at, count]) => {
  return slice(source, at * SECTOR, Math.min(300, at + count) * SECTOR);
});
const piece: fc.Arbitrary<Bytes> = fc.oneof(
  range,
  fc.constant(slice(source, 0, 256 * SECTOR)),
  fc.nat(300).map((count) => zeros(count * SECTOR)),
  fc.nat(60).map((count) => ofMemory(new Uint8Array(count * SECTOR))),
  fc.nat(60).map((count) => ofMemory(CONTENT.slice(0, count * SECTOR))),
);

for (const [name, through] of Object.entries(CONTAINERS)) {
  test(`${name}: a disk with holes, repeats and an odd end`, async () => {
    const { disk } = sampleDisk();
    const back = await through(disk);
    assert.equal(back.size, disk.size);
    assert.ok(await equals(back, disk));
  });

  test(`${name}: any disk`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
        const disk = concat(pieces);
        const back = await through(disk);
        assert.equal(back.size, disk.size);
        assert.ok(Buffer.from(await read(back)).equals(await read(disk)));
      }),
      { numRuns: Math.ceil(FUZZ_RUNS / 100) },
    );
  });
}
