import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Bytes, concat, ofMemory, patch, place } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import { GIB } from '../../../src/bytes/units.ts';
import { ImagerError } from '../../../src/errors.ts';
import { allocatePartitions, diskGeometry } from '../../../src/formats/gpt/allocate.ts';
import { decodeGpt, partitionRange } from '../../../src/formats/gpt/decode.ts';
import { decodeGuid, encodeGuid, guidOfLabel, PARTITION_TYPE, parseGuid } from '../../../src/formats/gpt/guid.ts';
import { decodeHeader } from '../../../src/formats/gpt/header.ts';
import { layoutGpt } from '../../../src/formats/gpt/layout.ts';
import type { Partition } from '../../../src/formats/gpt/partition.ts';
import { FUZZ_RUNS, vectorLines } from '../../support/vectors.ts';

interface HeaderVector {
  readonly myLBA: number;
  readonly alternateLBA: number;
  readonly firstUsable: number;
  readonly lastUsable: number;
  readonly entriesLBA: number;
  readonly entryCount: number;
  readonly headerCrc: string;
  readonly entriesCrc: string;
}

interface GptVector {
  readonly id: string;
  readonly kind: 'iso' | 'disk';
  readonly diskBytes: number;
  readonly sectorSize: number;
  readonly diskGuid: string;
  readonly primary: HeaderVector;
  readonly backup: HeaderVector;
  readonly entries: readonly {
    readonly type: string;
    readonly guid: string;
    readonly first: number;
    readonly last: number;
    readonly bytes: number;
    readonly attributes: string;
    readonly name: string;
  }[];
}

const vectors = vectorLines<GptVector>('disk-layout/gpt.jsonl.gz');

function partitionsOf(vector: GptVector): Partition[] {
  return vector.entries.map(({ type, guid, first, last, attributes, name }) => ({
    type: parseGuid(type),
    guid: parseGuid(guid),
    firstLba: first,
    lastLba: last,
    attributes: BigInt(attributes),
    name,
  }));
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

// Equal CRCs over header and entries are equal bytes, as good as.
for (const vector of vectors) {
  test(`${vector.id}: the table's bytes, both copies`, async () => {
    const { diskBytes, sectorSize, primary, backup } = vector;
    const { firstUsable, lastUsable, entryCount, entriesLBA } = primary;
    const options = { sectorSize, entryCount, entriesLba: entriesLBA, firstUsable, lastUsable };
    const disk = place(diskBytes, layoutGpt(diskBytes, parseGuid(vector.diskGuid), partitionsOf(vector), options));
    for (const copy of [primary, backup]) {
      const sector = await read(disk, copy.myLBA * sectorSize, sectorSize);
      const header = decodeHeader(sector, copy.myLBA);
      assert.equal(header.alternateLba, copy.alternateLBA);
      assert.equal(header.entriesLba, copy.entriesLBA);
      assert.equal(hex(header.entriesCrc), copy.entriesCrc);
      assert.equal(hex(new DataView(sector.buffer).getUint32(16, true)), copy.headerCrc);
    }
    const decoded = await decodeGpt(disk);
    assert.equal(decoded.copy, 'primary');
    assert.equal(decoded.sectorSize, sectorSize);
    assert.deepEqual([...decoded.partitions.values()], partitionsOf(vector));
  });
}

for (const vector of vectors.filter(({ kind }) => kind === 'disk')) {
  test(`${vector.id}: places and GUIDs follow from sizes and labels`, () => {
    const { diskBytes, sectorSize, primary } = vector;
    const geometry = diskGeometry(diskBytes, { sectorSize, entriesOffset: primary.entriesLBA - 2 });
    assert.equal(geometry.firstUsable, primary.firstUsable);
    assert.equal(geometry.lastUsable, primary.lastUsable);
    const wanted = vector.entries.map(({ type, name, bytes, attributes }) => ({
      type: parseGuid(type),
      guid: guidOfLabel(name),
      name,
      // The only partition that asks for all that is left.
      size: name === 'EPHEMERAL' ? 0 : bytes,
      attributes: BigInt(attributes),
    }));
    assert.deepEqual(allocatePartitions(wanted, geometry), partitionsOf(vector));
    assert.equal(guidOfLabel('talos-image-disk'), vector.diskGuid);
  });
}

test('GUIDs of labels', () => {
  assert.equal(guidOfLabel('STATE'), 'f7f88648-df7c-8acb-b4d2-6f124659d923');
  assert.equal(guidOfLabel('IMAGECACHE'), '3b5449bc-c21f-8009-8b51-18945967f8df');
  const bytes = encodeGuid(guidOfLabel('EFI'));
  assert.equal(Buffer.from(bytes).toString('hex'), '4b17a5bc18016a8aaf0b2c6e1585acae');
  assert.equal(decodeGuid(bytes), 'bca5174b-0118-8a6a-af0b-2c6e1585acae');
  assert.equal(parseGuid('C12A7328-F81F-11D2-BA4B-00A0C93EC93B'), PARTITION_TYPE.efiSystem);
  assert.throws(() => parseGuid('c12a7328f81f11d2ba4b00a0c93ec93b'), { code: 'invalid-input' });
});

const DISK_GUID = guidOfLabel('disk');

function partition(firstLba: number, lastLba: number, name = 'X'): Partition {
  return { type: PARTITION_TYPE.linuxData, guid: guidOfLabel(name), firstLba, lastLba, name, attributes: 0n };
}

test('partitions that overlap, lie outside or are too many are refused', () => {
  const size = 64 * 1024 * 1024;
  const layout = (partitions: readonly Partition[], options = {}) => layoutGpt(size, DISK_GUID, partitions, options);
  const invalid = { code: 'invalid-input' };
  assert.throws(() => layout([partition(2048, 4096), partition(4096, 5000)]), invalid);
  assert.throws(() => layout([partition(33, 40)]), invalid);
  assert.throws(() => layout([partition(131038, 131039)]), invalid);
  assert.throws(() => layout([partition(50, 49)]), invalid);
  assert.throws(() => layout([partition(34, 34), partition(35, 35)], { entryCount: 1 }), invalid);
  assert.throws(() => layout([], { entriesLba: 1 }), invalid);
  assert.throws(() => layout([], { firstUsable: 20 }), invalid);
  assert.throws(() => layout([], { lastUsable: 131070 }), invalid);
  assert.throws(() => layout([partition(34, 34, 'a'.repeat(37))]), invalid);
  assert.throws(() => layoutGpt(1024, DISK_GUID, []), invalid);
  assert.throws(() => layout([], { sectorSize: 520 }), { code: 'unsupported' });
  assert.equal(layout([partition(40, 50), partition(34, 39)]).length, 4);
});

test('a disk that is too small names the partition and what is left', () => {
  const wanted = { type: PARTITION_TYPE.linuxData, guid: DISK_GUID, name: 'BOOT', size: 10 * 1024 * 1024 };
  assert.throws(() => allocatePartitions([wanted], diskGeometry(8 * 1024 * 1024)), {
    code: 'install',
    message: /BOOT: 10485760 bytes, but only \d+ are left/,
  });
});

test('a damaged primary copy is passed over, two damaged ones are not', async () => {
  const disk = place(GIB, layoutGpt(GIB, DISK_GUID, [partition(2048, 4095)]));
  const broken = patch(disk, [{ at: 512 + 60, bytes: ofMemory(Uint8Array.of(0xff)) }]);
  const found = await decodeGpt(broken);
  assert.equal(found.copy, 'backup');
  assert.deepEqual(partitionRange(found, found.partitions.get(1)!), { offset: 1048576, size: 1048576 });
  const entriesBroken = patch(disk, [{ at: 1024, bytes: ofMemory(Uint8Array.of(0xff)) }]);
  assert.equal((await decodeGpt(entriesBroken)).copy, 'backup');
  const both = patch(broken, [{ at: GIB - 512 + 60, bytes: ofMemory(Uint8Array.of(0xff)) }]);
  await assert.rejects(decodeGpt(both), { code: 'invalid-input', message: /GPT header at 1: CRC/ });
  await assert.rejects(decodeGpt(concat([])), { code: 'invalid-input' });
});

test('damage is an error or another table, never anything else', async () => {
  const sectors = 200;
  const disk = await read(
    place(sectors * 512, layoutGpt(sectors * 512, DISK_GUID, [partition(40, 60), partition(61, 100)])),
  );
  const damage = fc.array(fc.tuple(fc.nat(511), fc.nat(255), fc.constantFrom(512, 1024, (sectors - 1) * 512)), {
    minLength: 1,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(damage, fc.nat(disk.length), fc.boolean(), async (changes, cut, keep) => {
      const data = disk.slice(0, keep ? disk.length : cut);
      for (const [offset, value, base] of changes) if (base + offset < data.length) data[base + offset] = value;
      if (keep) repairCrc(data);
      await decodesOrRefuses(ofMemory(data));
    }),
    { numRuns: FUZZ_RUNS, seed: 2 },
  );
});

/** Makes the header's own CRC right again, so that damage reaches what is behind it. */
function repairCrc(data: Uint8Array): void {
  const { crc32 } = process.getBuiltinModule('node:zlib');
  const header = data.subarray(512, 512 + 92);
  header.fill(0, 16, 20);
  new DataView(data.buffer, data.byteOffset).setUint32(512 + 16, crc32(header), true);
}

async function decodesOrRefuses(bytes: Bytes): Promise<void> {
  try {
    await decodeGpt(bytes);
  } catch (error) {
    assert.ok(error instanceof ImagerError, String(error));
  }
}
