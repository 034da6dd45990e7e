import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pxeKinds } from '../../src/pxe/directory.ts';
import { formatChecksums } from '../../src/report/checksums.ts';

test('kinds by SecureBoot and version', () => {
  assert.deepEqual(pxeKinds({ secureBoot: false, supportsUki: true }), ['uki', 'initramfs', 'kernel', 'cmdline']);
  assert.deepEqual(pxeKinds({ secureBoot: false, supportsUki: false }), ['initramfs', 'kernel', 'cmdline']);
  assert.deepEqual(pxeKinds({ secureBoot: true, supportsUki: true }), ['uki', 'cmdline']);
});

test('checksum lines as sha256sum has them', () => {
  const files = [
    { name: 'a', checksum: '00' },
    { name: 'b', checksum: 'ff' },
  ];
  assert.equal(formatChecksums(files), '00  a\nff  b\n');
});
