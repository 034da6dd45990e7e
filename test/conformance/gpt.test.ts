/** sgdisk and sfdisk judge our partition tables. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Bytes, ofMemory, type Placement, place } from '../../src/bytes/bytes.ts';
import { GIB, MIB } from '../../src/bytes/units.ts';
import { writeToFile } from '../../src/bytes/write.ts';
import { allocatePartitions, diskGeometry } from '../../src/formats/gpt/allocate.ts';
import { decodeGpt } from '../../src/formats/gpt/decode.ts';
import { guidOfLabel, PARTITION_TYPE } from '../../src/formats/gpt/guid.ts';
import { layoutGpt } from '../../src/formats/gpt/layout.ts';
import { ATTRIBUTE, type Partition } from '../../src/formats/gpt/partition.ts';
import { encodeMbr, encodeProtectiveMbr } from '../../src/formats/mbr/mbr.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { run, skipWithout } from '../support/tools.ts';

const skip = skipWithout('sgdisk', 'sfdisk');
const platform = nodePlatform();
const directory = mkdtempSync(join(tmpdir(), 'bootwright-gpt-'));
after(async () => {
  rmSync(directory, { recursive: true });
  await platform.close();
});

interface Sfdisk {
  readonly partitiontable: {
    readonly label: string;
    readonly id: string;
    readonly firstlba?: number;
    readonly lastlba?: number;
    readonly partitions: readonly {
      readonly start: number;
      readonly size: number;
      readonly type: string;
      readonly uuid?: string;
      readonly name?: string;
      readonly attrs?: string;
    }[];
  };
}

async function written(name: string, size: number, placements: readonly Placement[]): Promise<[string, Bytes]> {
  const path = join(directory, `${name}.raw`);
  const bytes = place(size, placements);
  await writeToFile(platform.files, path, bytes);
  return [path, bytes];
}

const types = [PARTITION_TYPE.efiSystem, PARTITION_TYPE.biosBoot, PARTITION_TYPE.linuxData, PARTITION_TYPE.linuxData];
const wanted = ['EFI', 'BIOS', 'BOOT', 'META'].map((name, index) => ({
  type: types[index]!,
  guid: guidOfLabel(name),
  name,
  size: [100 * MIB, MIB, 1000 * MIB, 0][index]!,
  attributes: name === 'BIOS' ? ATTRIBUTE.legacyBiosBootable : 0n,
}));

test('a disk', { skip }, async () => {
  const size = 2 * GIB;
  const geometry = diskGeometry(size);
  const partitions = allocatePartitions(wanted, geometry);
  const [path, bytes] = await written('disk', size, [
    { at: 0, bytes: ofMemory(encodeProtectiveMbr(geometry.lastLba)) },
    ...layoutGpt(size, guidOfLabel('talos-image-disk'), partitions, geometry),
  ]);
  assert.match(run('sgdisk', '-v', path), /No problems found/);
  judge(path, partitions);
  assert.match(run('sgdisk', '-i', '2', path), /Attribute flags: 0000000000000004/);
  assert.deepEqual([...(await decodeGpt(bytes)).partitions.values()], partitions);
});

test('a disk whose entries lie behind a gap', { skip }, async () => {
  const size = 2 * GIB;
  const geometry = diskGeometry(size, { entriesOffset: 2048 });
  const partitions = allocatePartitions(wanted, geometry);
  const [path] = await written('gap', size, [
    { at: 0, bytes: ofMemory(encodeProtectiveMbr(geometry.lastLba)) },
    ...layoutGpt(size, guidOfLabel('talos-image-disk'), partitions, geometry),
  ]);
  assert.match(run('sgdisk', '-v', path), /No problems found/);
  judge(path, partitions);
});

test('an ISO: 248 entries, attributes of Linux ISOs', { skip }, async () => {
  const sectors = 189_080;
  const iso = ATTRIBUTE.required | ATTRIBUTE.readOnly;
  const part = (name: string, firstLba: number, lastLba: number, attributes: bigint): Partition => ({
    type: name === 'Appended2' ? PARTITION_TYPE.efiSystem : PARTITION_TYPE.basicData,
    guid: guidOfLabel(name),
    firstLba,
    lastLba,
    attributes,
    name,
  });
  const partitions = [
    part('ISO9660', 64, 94_207, iso),
    part('Appended2', 94_208, 188_415, 0n),
    part('Gap1', 188_416, 189_015, iso),
  ];
  const [path, bytes] = await written('iso', sectors * 512, [
    { at: 0, bytes: ofMemory(encodeProtectiveMbr(sectors - 1, { form: 'iso' })) },
    ...layoutGpt(sectors * 512, guidOfLabel('iso'), partitions, {
      entryCount: 248,
      firstUsable: 64,
      lastUsable: sectors - 64,
    }),
  ]);
  assert.match(run('sgdisk', '-v', path), /No problems found/);
  judge(path, partitions);
  assert.deepEqual([...(await decodeGpt(bytes)).partitions.values()], partitions);
});

/** sfdisk sees the partitions that we meant. It counts in 512-byte sectors on files. */
function judge(path: string, partitions: readonly Partition[]): void {
  const { partitiontable } = JSON.parse(run('sfdisk', '--json', path)) as Sfdisk;
  assert.equal(partitiontable.label, 'gpt');
  assert.deepEqual(
    partitiontable.partitions.map(({ start, size, type, uuid, name }) => [
      start,
      start + size - 1,
      type.toLowerCase(),
      uuid?.toLowerCase(),
      name,
    ]),
    partitions.map(({ firstLba, lastLba, type, guid, name }) => [firstLba, lastLba, type, guid, name]),
  );
}

test('a table without GPT', { skip }, async () => {
  const partitions = [
    { bootable: false, type: 0x83, start: 64, count: 71_616 },
    { bootable: false, type: 0xef, start: 71_680, count: 94_208 },
  ];
  const [path] = await written('mbr', 166_488 * 512, [{ at: 0, bytes: ofMemory(encodeMbr(partitions)) }]);
  const { partitiontable } = JSON.parse(run('sfdisk', '--json', path)) as Sfdisk;
  assert.equal(partitiontable.label, 'dos');
  assert.deepEqual(
    partitiontable.partitions.map(({ start, size, type }) => [start, size, Number.parseInt(type, 16)]),
    partitions.map(({ start, count, type }) => [start, count, type]),
  );
});
