import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Bytes, ofMemory, zeros } from '../../../src/bytes/bytes.ts';
import { equals, read } from '../../../src/bytes/read.ts';
import { ImagerError } from '../../../src/errors.ts';
import { guidOfLabel, parseGuid } from '../../../src/formats/gpt/guid.ts';
import { decodeVhd } from '../../../src/formats/vhd/decode.ts';
import { AZURE_SIZE_UNIT, layoutVhd } from '../../../src/formats/vhd/layout.ts';
import { checkVhdOptions } from '../../../src/formats/vhd/options.ts';
import { sampleDisk } from '../../support/disks.ts';
import { FUZZ_RUNS, vectorLines } from '../../support/vectors.ts';

interface FormatVector {
  readonly id: string;
  readonly profile: string;
  readonly vhd?: { readonly size: number; readonly footer: Readonly<Record<string, string | number | boolean>> };
}

const OPTIONS = { epoch: 1559424892, uuid: parseGuid('00112233-4455-6677-8899-aabbccddeeff') };

/** Footer fields under the names of the vectors. */
async function footerOf(file: Bytes): Promise<Readonly<Record<string, string | number | boolean>>> {
  const data = Buffer.from(await read(file, file.size - 512));
  const checked = data.readUInt32BE(0x40);
  const sum = data.reduce((total, byte, index) => (index >= 0x40 && index < 0x44 ? total : total + byte), 0);
  return {
    cookie: data.toString('latin1', 0, 8),
    features: data.readUInt32BE(8),
    version: `0x${data.readUInt32BE(0x0c).toString(16)}`,
    dataOffset: data.toString('hex', 0x10, 0x18),
    timestamp: data.readUInt32BE(0x18),
    creatorApp: data.toString('latin1', 0x1c, 0x20),
    creatorVersion: data.toString('hex', 0x20, 0x24),
    creatorOS: data.toString('latin1', 0x24, 0x28),
    originalSize: Number(data.readBigUInt64BE(0x28)),
    currentSize: Number(data.readBigUInt64BE(0x30)),
    geometry: data.toString('hex', 0x38, 0x3c),
    diskType: data.readUInt32BE(0x3c),
    checksum: checked,
    uuid: data.toString('hex', 0x44, 0x54),
    savedState: data[0x54]!,
    restZero: data.subarray(0x55).every((byte) => byte === 0),
    checksumOk: checked === ~sum >>> 0,
  };
}

for (const { id, profile, vhd } of vectorLines<FormatVector>('images/disk-formats.jsonl.gz')) {
  if (vhd === undefined) continue;
  test(`${id}: the footer of upstream's file`, async () => {
    checkVhdOptions(/diskFormatOptions: (\S*)/.exec(profile)?.[1] ?? '');
    const file = layoutVhd(zeros(vhd.size - 512), { ...OPTIONS, sizeUnit: AZURE_SIZE_UNIT });
    assert.equal(file.size, vhd.size);
    const ours = await footerOf(file);
    const { checksum, timestamp, uuid } = ours;
    // These three vary in upstream's files.
    const { footer } = vhd;
    assert.deepEqual([footer.checksum, footer.timestamp, footer.uuid], ['varies', 'varies', 'varies']);
    assert.deepEqual(ours, { ...footer, checksum, timestamp, uuid });
    assert.equal(timestamp, 1559424892 - 946684800);
    assert.equal(uuid, '00112233445566778899aabbccddeeff');
  });
}

test('the disk comes back with time and UUID, unread', async () => {
  const { disk, source } = sampleDisk();
  const file = layoutVhd(disk, OPTIONS);
  const back = await decodeVhd(file);
  assert.equal(source.reads.length, 0);
  assert.ok(await equals(back.disk, disk));
  assert.deepEqual(back.footer, { size: disk.size, timestamp: 1559424892 - 946684800, uuid: OPTIONS.uuid });
});

test('times that the footer cannot tell', async () => {
  for (const epoch of [0, -5, 946684800]) {
    assert.equal((await footerOf(layoutVhd(zeros(512), { ...OPTIONS, epoch }))).timestamp, 0);
  }
  for (const epoch of [946684800 + 2 ** 32, 1559424892.5, Number.NaN]) {
    assert.throws(() => layoutVhd(zeros(512), { ...OPTIONS, epoch }), { code: 'invalid-input' }, `${epoch}`);
  }
});

test('sizes are kept, never rounded', () => {
  assert.throws(() => layoutVhd(zeros(1000), OPTIONS), { code: 'invalid-input', message: /multiple of 512/ });
  const odd = zeros((3 << 20) + 512);
  assert.equal(layoutVhd(odd, OPTIONS).size, odd.size + 512);
  assert.throws(() => layoutVhd(odd, { ...OPTIONS, sizeUnit: AZURE_SIZE_UNIT }), { message: /multiple of 1048576/ });
  assert.equal(layoutVhd(zeros(2040 * 2 ** 30), OPTIONS).size, 2040 * 2 ** 30 + 512);
  assert.throws(() => layoutVhd(zeros(2041 * 2 ** 30), OPTIONS), { code: 'invalid-input' });
});

const FILE = await read(layoutVhd(zeros(1024), { ...OPTIONS, uuid: guidOfLabel('fuzz') }));

/** With the checksum made right again. */
function changed(at: number, hex: string): Uint8Array {
  const data = Buffer.from(FILE);
  data.write(hex, 1024 + at, 'hex');
  const footer = data.subarray(1024);
  footer.writeUInt32BE(0, 0x40);
  footer.writeUInt32BE(~footer.reduce((sum, byte) => sum + byte, 0) >>> 0, 0x40);
  return data;
}

test('damaged and other files', async () => {
  const reject = (data: Uint8Array, code: string): Promise<void> => assert.rejects(decodeVhd(ofMemory(data)), { code });
  await reject(new Uint8Array(), 'invalid-input');
  await reject(FILE.subarray(0, 511), 'invalid-input');
  await reject(FILE.subarray(0, 1535), 'invalid-input');
  await reject(
    Uint8Array.from(FILE, (byte, index) => (index === 1024 + 0x50 ? byte ^ 1 : byte)),
    'invalid-input',
  );
  await reject(changed(0, '64'), 'invalid-input');
  await reject(changed(0x30, '0000000000000401'), 'invalid-input');
  await reject(changed(0x30, 'ffffffffffffffff'), 'invalid-input');
  await reject(changed(0x3c, '00000003'), 'unsupported');
  assert.equal((await decodeVhd(ofMemory(changed(0x30, '0000000000000200')))).disk.size, 512);
});

test('any damage gives a disk or an error that says what is wrong', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(511), fc.uint8Array({ maxLength: 8 }), fc.boolean(), async (at, value, sound) => {
      const hex = Buffer.from(value.subarray(0, 512 - at)).toString('hex');
      const data = sound ? changed(at, hex) : Buffer.concat([FILE.subarray(0, 1024 + at), value]);
      try {
        const { disk } = await decodeVhd(ofMemory(data));
        assert.ok(disk.size <= data.length - 512);
      } catch (error) {
        assert.ok(error instanceof ImagerError && ['invalid-input', 'unsupported'].includes(error.code), String(error));
      }
    }),
    { numRuns: FUZZ_RUNS },
  );
});
