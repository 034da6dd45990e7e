/** The small structures, each against bytes that xorriso wrote or the standards give. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, joinMemory, toHex } from '../../../src/bytes/field.ts';
import { decodeDirectoryRecord, encodeDirectoryRecord, FLAG } from '../../../src/formats/iso9660/directory-record.ts';
import { decodeBootCatalog, efiSectors, encodeBootCatalog } from '../../../src/formats/iso9660/el-torito.ts';
import { decodePathTable, encodePathTable } from '../../../src/formats/iso9660/path-table.ts';
import { decodeRockRidge, encodeEntry } from '../../../src/formats/iso9660/rock-ridge.ts';
import { decodeFields } from '../../../src/formats/iso9660/system-use.ts';
import {
  decodeRecordTime,
  encodeRecordTime,
  encodeVolumeTime,
  volumeTimeDigits,
} from '../../../src/formats/iso9660/timestamp.ts';
import type { Entry } from '../../../src/tree/tree.ts';

test('times are seven bytes in records and sixteen digits in descriptors', () => {
  assert.equal(toHex(encodeRecordTime(1559424892)), '77060115223400');
  assert.equal(toHex(encodeRecordTime(0)), '46010100000000');
  assert.equal(toHex(encodeRecordTime(2208988800)), '8c010100000000');
  assert.equal(volumeTimeDigits(1559424892), '2019060121345200');
  assert.equal(Buffer.from(encodeVolumeTime(undefined)).toString('latin1'), '0000000000000000\0');
  for (const time of [-2208988800, -1, 0, 1559424893, 0xffffffff]) {
    assert.equal(decodeRecordTime(encodeRecordTime(time)), time);
  }
  assert.equal(decodeRecordTime(fromHex('77060117223408')), 1559424892, 'two hours east');
  assert.throws(() => encodeRecordTime(8e9), /1900 to 2155/);
  assert.throws(() => encodeRecordTime(-2208988801), /1900 to 2155/);
});

test('a directory record is xorriso’s', () => {
  const record = {
    identifier: '\0',
    block: 0x12,
    size: 0x2000,
    flags: FLAG.directory,
    time: 1559424892,
    systemUse: new Uint8Array(),
  };
  const hex = '22001200000000000012002000000000200077060115223400020000010000010100';
  assert.equal(toHex(encodeDirectoryRecord(record)), hex);
  assert.deepEqual(decodeDirectoryRecord(fromHex(hex)), record);
});

test('records that contradict themselves are refused', () => {
  const good = encodeDirectoryRecord({
    identifier: 'A.;1',
    block: 20,
    size: 5,
    flags: 0,
    time: 0,
    systemUse: new Uint8Array(7),
  });
  const changed = (at: number, value: number): Uint8Array => good.with(at, value) as Uint8Array;
  assert.throws(() => decodeDirectoryRecord(changed(0, 200)), /does not fit/);
  assert.throws(() => decodeDirectoryRecord(changed(32, 0)), /does not fit/);
  assert.throws(() => decodeDirectoryRecord(changed(32, 60)), /does not fit/);
  assert.throws(() => decodeDirectoryRecord(changed(2, 21)), /extent location: 21 in one byte order, 20 in the other/);
  const large = { identifier: 'A.;1', block: 2 ** 32, size: 5, flags: 0, time: 0, systemUse: new Uint8Array() };
  assert.throws(() => encodeDirectoryRecord(large), /does not fit 32 bits/);
});

test('Rock Ridge fields are xorriso’s', () => {
  const common = { uid: 0, gid: 0, mtime: 1559424892 };
  const link: Entry = { kind: 'symlink', path: 'lnk', target: '../target/abc', mode: 0o555, ...common };
  const fields = encodeEntry(link, 'lnk');
  assert.deepEqual(
    fields.map((field) => Buffer.from(field.subarray(0, 2)).toString('latin1')),
    ['PX', 'TF', 'NM', 'SL'],
  );
  assert.equal(toHex(fields[0]!), '505824016da100000000a16d01000000000000010000000000000000' + '0000000000000000');
  assert.equal(toHex(fields[1]!), '54461a010e770601152234007706011522340077060115223400');
  assert.equal(toHex(fields[2]!), '4e4d0801006c6e6b');
  assert.equal(toHex(fields[3]!), '534c140100040000067461726765740003616263');
  const { mode, target, name, kind, mtime, links } = decodeRockRidge(decodeFields(joinMemory(fields)));
  assert.deepEqual([mode, target, name, kind, mtime, links], [0o555, '../target/abc', 'lnk', 'symlink', 1559424892, 1]);
});

test('targets of links come back', () => {
  const common = { mode: 0o777, uid: 0, gid: 0, mtime: 0 };
  const long = Array.from({ length: 5 }, () => 'c'.repeat(200)).join('/');
  for (const target of ['a', '/', '/abs/x', './a', '../..', '.', `/${'e'.repeat(255)}/../f`, long, 'é/ü']) {
    const fields = encodeEntry({ kind: 'symlink', path: 'l', target, ...common }, 'l');
    assert.equal(decodeRockRidge(decodeFields(joinMemory(fields))).target, target);
    assert.ok(fields.every((field) => field.length <= 255 && field[2] === field.length));
  }
  for (const target of ['', 'x'.repeat(5000)]) {
    assert.throws(() => encodeEntry({ kind: 'symlink', path: 'l', target, ...common }, 'l'), /link target/);
  }
  assert.throws(
    () => encodeEntry({ kind: 'fifo', path: 'l', ...common }, 'n'.repeat(256)),
    /256 bytes, want at most 255/,
  );
});

test('path tables have both byte orders', () => {
  const records = [
    { identifier: '\0', block: 18, parent: 1 },
    { identifier: 'BOOT', block: 19, parent: 1 },
    { identifier: 'EFI', block: 258, parent: 2 },
  ];
  assert.equal(
    toHex(encodePathTable(records, 'little')),
    '0100120000000100' + '0000' + '0400130000000100' + '424f4f54' + '0300020100000200' + '45464900',
  );
  for (const order of ['little', 'big'] as const) {
    assert.deepEqual(decodePathTable(encodePathTable(records, order), order), records);
  }
  assert.throws(() => encodePathTable([{ identifier: 'A', block: 1, parent: 65536 }], 'big'), /65535 directories/);
  assert.throws(() => decodePathTable(fromHex('030012000000090000'), 'little'), /does not fit/);
  assert.throws(() => decodePathTable(fromHex('01001200000009000000'), 'little'), /parent 9/);
});

test('boot catalogs are those of the vectors', () => {
  const uefi = encodeBootCatalog([{ platform: 0xef, sectors: 0, block: 21504 }]);
  assert.equal(
    toHex(uefi).replace(/0+$/, ''),
    '01ef0000000000000000000000000000000000000000000000000000aa6655aa88000000000000000054',
  );
  const images = [
    { platform: 0, sectors: 4, block: 614 },
    { platform: 0xef, sectors: 0, block: 43520 },
  ] as const;
  const hybrid = encodeBootCatalog(images);
  const zeros = (count: number): string => '00'.repeat(count);
  assert.equal(
    toHex(hybrid).replace(/(00)+$/, ''),
    `01${zeros(27)}aa5555aa880000000000040066020000${zeros(20)}91ef0100${zeros(28)}880000000000000000aa`,
  );
  assert.deepEqual(decodeBootCatalog(hybrid), images);
  assert.equal(hybrid.length, 2048);
  assert.throws(() => encodeBootCatalog([]), /0 images/);
  assert.throws(() => decodeBootCatalog(hybrid.with(1, 1)), /validation entry/);
  assert.equal(efiSectors(31 * 1048576), 63488);
  assert.equal(efiSectors(32 * 1048576), 0);
});
