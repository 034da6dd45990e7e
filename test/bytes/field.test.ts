import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { crc32 } from '../../src/bytes/crc32.ts';
import { fromHex, getU64, joinMemory, putAscii, putU64, putUtf16le, structure, toHex } from '../../src/bytes/field.ts';
import { lba, parseDigest } from '../../src/bytes/units.ts';
import { stream } from '../support/bytes.ts';

test('crc32 is the CRC of zlib, also in pieces', () => {
  assert.equal(crc32(Buffer.from('123456789')), 0xcbf43926);
  for (let size = 0; size < 40; size++) {
    const data = stream('crc', size);
    assert.equal(crc32(data), zlibCrc32(data));
    assert.equal(crc32(data.subarray(3), crc32(data.subarray(0, 3))), zlibCrc32(data));
  }
});

test('fixed-width fields', () => {
  const { data, view } = structure(24);
  putAscii(data, 0, 8, 'EFI', 0x20);
  putUtf16le(data, 8, 8, 'ab');
  putU64(view, 16, 2 ** 40 + 5, true);
  assert.equal(toHex(data), '4546492020202020' + '6100620000000000' + '0500000000010000');
  assert.equal(getU64(view, 16, true), 2 ** 40 + 5);
  assert.throws(() => putAscii(data, 0, 2, 'abc'), { code: 'invalid-input' });
  assert.throws(() => putAscii(data, 0, 8, 'ü'), { code: 'invalid-input' });
  assert.throws(() => putUtf16le(data, 0, 4, 'abc'), { code: 'invalid-input' });
  view.setBigUint64(16, 2n ** 60n, false);
  assert.throws(() => getU64(view, 16, false), { code: 'invalid-input' });
});

test('hex both ways', () => {
  assert.deepEqual(fromHex('00ffA0'), Uint8Array.of(0, 255, 160));
  assert.equal(toHex(joinMemory([Uint8Array.of(1), Uint8Array.of(), Uint8Array.of(2, 3)])), '010203');
  for (const wrong of ['0', 'zz', '0 1']) assert.throws(() => fromHex(wrong), { code: 'invalid-input' });
});

test('digests and block addresses are checked where they enter', () => {
  const digest = `sha256:${'a0'.repeat(32)}`;
  assert.equal(parseDigest(digest), digest);
  for (const wrong of ['', 'sha256:', `sha256:${'A0'.repeat(32)}`, `sha512:${'a0'.repeat(32)}`, `${digest}0`]) {
    assert.throws(() => parseDigest(wrong), { code: 'invalid-input' });
  }
  assert.equal(lba(5), 5);
  for (const wrong of [-1, 1.5, Number.NaN]) assert.throws(() => lba(wrong), { code: 'invalid-input' });
});
