import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Bytes, concat, ofMemory, ofSource, place, slice, zeros } from '../../../src/bytes/bytes.ts';
import { joinMemory } from '../../../src/bytes/field.ts';
import { equals, read } from '../../../src/bytes/read.ts';
import { ImagerError } from '../../../src/errors.ts';
import {
  type CompressedGrains,
  compressGrains,
  readCompressedGrains,
} from '../../../src/formats/vmdk/compressed-grains.ts';
import { decodeVmdk } from '../../../src/formats/vmdk/decode.ts';
import { layoutVmdk } from '../../../src/formats/vmdk/layout.ts';
import type { Deflate } from '../../../src/formats/vmdk/zlib-stream.ts';
import { memorySource, stream } from '../../support/bytes.ts';
import { sampleDisk } from '../../support/disks.ts';
import { FUZZ_RUNS, vectorLines } from '../../support/vectors.ts';
import { deflate, inflate } from '../../support/zlib.ts';

interface FormatVector {
  readonly id: string;
  readonly ova?: { readonly vmdk: Readonly<Record<string, string | number>> };
}

const GRAIN = 65536;

async function packed(disk: Bytes, using: Deflate = deflate): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const writer = {
    async write(chunk: Uint8Array): Promise<void> {
      parts.push(chunk);
    },
  };
  await compressGrains(disk, using, writer);
  return joinMemory(parts);
}

async function grainsOf(disk: Bytes): Promise<CompressedGrains> {
  return readCompressedGrains(ofMemory(await packed(disk)));
}

async function vmdkOf(disk: Bytes): Promise<Bytes> {
  return layoutVmdk(disk.size, await grainsOf(disk));
}

/** Header fields under the names of the vectors. */
async function headerOf(file: Bytes): Promise<Readonly<Record<string, string | number>>> {
  const data = Buffer.from(await read(file, 0, 21 * 512));
  const u64 = (at: number): number => Number(data.readBigUInt64LE(at));
  return {
    magic: data.toString('latin1', 0, 4),
    version: data.readUInt32LE(4),
    flags: `0x${data.readUInt32LE(8).toString(16)}`,
    capacity: u64(0x0c),
    grainSize: u64(0x14),
    descriptorOffset: u64(0x1c),
    descriptorSize: u64(0x24),
    gtesPerGT: data.readUInt32LE(0x2c),
    rgdOffset: u64(0x30),
    gdOffset: u64(0x38),
    overHead: u64(0x40),
    unclean: data[0x48]!,
    eol: data.toString('hex', 0x49, 0x4d),
    compress: data.readUInt16LE(0x4d),
    descriptor: data.toString('utf8', 512).replace(/\n?\0+$/, ''),
  };
}

for (const { id, ova } of vectorLines<FormatVector>('images/disk-formats.jsonl.gz')) {
  if (ova === undefined) continue;
  test(`${id}: header and descriptor of upstream's VMDK`, async () => {
    const ours = await headerOf(await vmdkOf(zeros(Number(ova.vmdk.capacity) * 512)));
    const [, cid] = /CID=([0-9a-f]{8})\n/.exec(String(ours.descriptor))!;
    assert.match(String(ours.descriptor), new RegExp(`longContentID = "[0-9a-f]{24}${cid}"`));
    const descriptor = String(ours.descriptor)
      .replace(/^CID=[0-9a-f]{8}$/m, 'CID=<8 hex>')
      .replace(/"[0-9a-f]{32}"/, '"<32 hex>"');
    const { fileSize: _, ...wanted } = ova.vmdk;
    assert.deepEqual({ ...ours, descriptor }, wanted);
  });
}

test('the disk comes back', async () => {
  const { disk } = sampleDisk();
  const file = await vmdkOf(disk);
  const { disk: back, descriptor } = await decodeVmdk(file, inflate, { key: 'sample' });
  assert.match(descriptor, /^# Disk DescriptorFile\n.*"2147483647"\n$/s);
  assert.equal(back.size, disk.size);
  assert.ok(await equals(back, disk));
  assert.deepEqual(await read(back, (9 << 20) + 500, 100), await read(disk, (9 << 20) + 500, 100));
});

test('grains stand in order behind the tables, each with its marker, and a sector of zeros ends', async () => {
  const { disk } = sampleDisk();
  const file = await vmdkOf(disk);
  const data = Buffer.from(await read(file));
  let at = Number(data.readBigUInt64LE(0x40)) * 512;
  let last = -1n;
  let grains = 0;
  for (; data.readUInt32LE(at + 8) !== 0; at = Math.ceil((at + 12 + data.readUInt32LE(at + 8)) / 512) * 512) {
    const sector = data.readBigUInt64LE(at);
    assert.ok(sector > last && sector % 128n === 0n);
    last = sector;
    const table = 22 + 4 * Number(sector / 65536n);
    assert.equal(data.readUInt32LE(table * 512 + Number((sector / 128n) % 512n) * 4), at / 512);
    grains++;
  }
  assert.equal(data.length, at + 512);
  assert.ok(data.subarray(at).every((byte) => byte === 0));
  const named = data.subarray(22 * 512, Number(data.readBigUInt64LE(0x40)) * 512);
  let entries = 0;
  for (let index = 0; index < named.length; index += 4) if (named.readUInt32LE(index) !== 0) entries++;
  assert.equal(entries, grains);
});

test('a range that the disk has twice is read and compressed once', async () => {
  const source = memorySource(stream('twice', 5 * GRAIN).map((byte) => byte & 0xf));
  const content = ofSource(source);
  const disk = place(100 * GRAIN, [
    { at: GRAIN, bytes: content },
    { at: 50 * GRAIN, bytes: content },
  ]);
  let compressions = 0;
  const pack = await packed(disk, (data) => {
    if (data.length === GRAIN) compressions++;
    return deflate(data);
  });
  assert.equal(compressions, 5);
  assert.equal(
    source.reads.reduce((sum, one) => sum + one.length, 0),
    5 * GRAIN,
  );
  assert.ok(pack.length < 4 * GRAIN);
  const grains = await readCompressedGrains(ofMemory(pack));
  assert.equal(grains.grains.length, 10);
  const file = layoutVmdk(disk.size, grains);
  assert.ok(await equals((await decodeVmdk(file, inflate, { key: 'twice' })).disk, disk));
});

test('the file does not depend on how the disk is put together', async () => {
  const data = stream('forms', 9 * GRAIN);
  data.fill(0, GRAIN, 3 * GRAIN);
  data.fill(7, 5 * GRAIN, 6 * GRAIN);
  data.set(data.subarray(3 * GRAIN, 4 * GRAIN), 8 * GRAIN);
  const source = ofSource(memorySource(data));
  const forms = [
    ofMemory(data),
    source,
    concat([
      slice(source, 0, GRAIN),
      zeros(2 * GRAIN),
      slice(source, 3 * GRAIN, 8 * GRAIN),
      slice(source, 3 * GRAIN, 4 * GRAIN),
    ]),
  ];
  const files = await Promise.all(forms.map(async (disk) => Buffer.from(await read(await vmdkOf(disk)))));
  assert.ok(files[0]!.equals(files[1]!));
  assert.ok(files[0]!.equals(files[2]!));
  const other = Buffer.from(await read(await vmdkOf(ofMemory(data.with(0, data[0]! ^ 1)))));
  const id = (file: Buffer): string => /longContentID = "(\w+)"/.exec(file.toString('latin1', 512, 2048))![1]!;
  assert.notEqual(id(files[0]!), id(other));
});

test('progress ends at the size of the disk, an abort and a failing compressor stop', async () => {
  const { disk } = sampleDisk();
  const seen: number[] = [];
  const writer = { write: async (): Promise<void> => undefined };
  await compressGrains(disk, deflate, writer, { onProgress: (done) => seen.push(done) });
  assert.equal(seen.at(-1), disk.size);
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
  const signal = AbortSignal.abort();
  await assert.rejects(compressGrains(disk, deflate, writer, { signal }), { code: 'canceled' });
  const failing = async (): Promise<Uint8Array> => Promise.reject(new RangeError('mine'));
  await assert.rejects(compressGrains(disk, failing, writer), { message: 'mine' });
});

test('a tebibyte of holes', async () => {
  const disk = place(2 ** 40, [{ at: 2 ** 40 - 512, bytes: ofMemory(stream('x', 512)) }]);
  const file = await vmdkOf(disk);
  const memory = file.extents.reduce((sum, extent) => sum + (extent.kind === 'memory' ? extent.length : 0), 0);
  assert.ok(memory < 1 << 20, `${memory}`);
  const { disk: back } = await decodeVmdk(file, inflate, { key: 'holes' });
  assert.equal(back.size, disk.size);
  assert.deepEqual(await read(back, 2 ** 40 - 1024), await read(disk, 2 ** 40 - 1024));
});

test('what does not fit together is refused', async () => {
  const grains = await grainsOf(concat([zeros(3 * GRAIN), ofMemory(stream('x', 512))]));
  assert.throws(() => layoutVmdk(1000, grains), { code: 'invalid-input', message: /multiple of 512/ });
  assert.throws(() => layoutVmdk(3 * GRAIN, grains), { code: 'invalid-input', message: /grain 3 lies behind/ });
  layoutVmdk(3 * GRAIN + 512, grains);
});

const SMALL = place(40 * GRAIN, [
  { at: 0, bytes: ofMemory(new TextEncoder().encode('first '.repeat(30))) },
  { at: 39 * GRAIN, bytes: ofMemory(new TextEncoder().encode('last')) },
]);
const PACK = await packed(SMALL);
const FILE = await read(await vmdkOf(SMALL));

function changed(at: number, hex: string): Uint8Array {
  const data = Buffer.from(FILE);
  data.write(hex, at, 'hex');
  return data;
}

const TABLE = 22 * 512;
const DAMAGED: Readonly<Record<string, Uint8Array>> = {
  'no bytes': new Uint8Array(),
  'another magic': changed(0, '00'),
  'line ends changed': changed(0x4b, '0a'),
  'a descriptor outside': changed(0x1c, 'ffffffffffff0000'),
  'a descriptor too large': changed(0x24, 'ffffffff00000000'),
  'a directory outside': changed(0x38, 'ffff000000000000'),
  'a table outside': changed(21 * 512, 'ffffff00'),
  'a cut file': FILE.subarray(0, 22 * 512 + 100),
  'one table twice': joinMemory([
    changed(0x0c, '0000020000000000').subarray(0, 21 * 512),
    Uint8Array.of(22, 0, 0, 0, 22),
    FILE.subarray(21 * 512 + 5),
  ]),
  'a grain outside': changed(TABLE, 'ffffff00'),
  'the marker of another grain': changed(26 * 512, '01'),
  'a grain too large': changed(26 * 512 + 8, 'ffffff00'),
  'a damaged stream': changed(26 * 512 + 12, 'ffff'),
  'a grain that is short': changed(TABLE, Buffer.from(FILE.subarray(TABLE + 39 * 4, TABLE + 40 * 4)).toString('hex')),
};

for (const [name, data] of Object.entries(DAMAGED)) {
  test(`damaged: ${name}`, async () => {
    const open = async (): Promise<void> => {
      await read((await decodeVmdk(ofMemory(data), inflate, { key: name })).disk);
    };
    await assert.rejects(open(), { code: 'invalid-input' });
  });
}

test('unsupported: other kinds of VMDK', async () => {
  const kinds = {
    'version 4': changed(4, '04'),
    'not compressed': changed(10, '02'),
    'no markers': changed(10, '01'),
    'another compression': changed(0x4d, '02'),
    'small grains': changed(0x14, '10'),
    'a directory at the end': changed(0x38, 'ffffffffffffffff'),
    'more than 2 TiB': changed(0x0c, 'ffffffffffff'),
  };
  for (const [name, data] of Object.entries(kinds)) {
    await assert.rejects(decodeVmdk(ofMemory(data), inflate, { key: name }), { code: 'unsupported' }, name);
  }
});

test('any damage gives a disk or an error that says what is wrong', async () => {
  const at = fc.oneof(
    fc.nat(0x50),
    fc.nat(8).map((n) => 21 * 512 + n),
    fc.nat(160).map((n) => TABLE + n),
    fc.nat(FILE.length - 1),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(at, fc.nat(255)), { minLength: 1, maxLength: 5 }),
      fc.option(fc.nat(FILE.length), { freq: 8 }),
      async (changes, cut) => {
        const data = FILE.slice(0, cut ?? FILE.length);
        for (const [position, value] of changes) if (position < data.length) data[position] = value;
        await expectOwnErrors(async () => {
          const { disk } = await decodeVmdk(ofMemory(data), inflate, { key: 'fuzz' });
          await read(slice(disk, 0, Math.min(disk.size, 4096)));
        });
      },
    ),
    { numRuns: FUZZ_RUNS },
  );
});

test('damaged compressed grains give grains inside the bytes or an error', async () => {
  await assert.rejects(readCompressedGrains(ofMemory(PACK.subarray(8))), { code: 'invalid-input' });
  await assert.rejects(readCompressedGrains(ofMemory(new Uint8Array(7))), { code: 'invalid-input' });
  await assert.rejects(readCompressedGrains(ofMemory(PACK.subarray(0, -16))), { code: 'invalid-input' });
  await fc.assert(
    fc.asyncProperty(fc.nat(2 * 16 + 7), fc.nat(255), async (fromEnd, value) => {
      const data = PACK.slice();
      data[data.length - 1 - fromEnd] = value;
      await expectOwnErrors(async () => {
        const grains = await readCompressedGrains(ofMemory(data));
        await read(
          layoutVmdk(2 ** 40, { ...grains, grains: grains.grains.filter((one) => one.number < 2 ** 24) }),
          0,
          512,
        );
      });
    }),
    { numRuns: Math.ceil(FUZZ_RUNS / 4) },
  );
});

async function expectOwnErrors(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    assert.ok(error instanceof ImagerError && ['invalid-input', 'unsupported'].includes(error.code), String(error));
  }
}
