import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assignIdentifiers } from '../../../src/formats/iso9660/identifier.ts';

function identifiers(names: readonly string[], kind = 'file'): string[] {
  const assigned = assignIdentifiers(names.map((name) => ({ name, kind })));
  return names.map((name) => assigned.get(name)!);
}

// Measured on xorriso 1.5.4, level 3.
const FILES: readonly (readonly [name: string, identifier: string])[] = [
  ['vmlinuz', 'VMLINUZ.;1'],
  ['initramfs.xz', 'INITRAMFS.XZ;1'],
  ['Talos-v1.14.0-rc.1.efi', 'TALOS_V1_14_0_RC_1.EFI;1'],
  ['random-seed', 'RANDOM_SEED.;1'],
  ['a.b.c.d', 'A_B_C.D;1'],
  ['name.', 'NAME_.;1'],
  ['.hidden', '.HIDDEN;1'],
  ['.hid.den.txt', '_HID_DEN.TXT;1'],
  ['sp ace', 'SP_ACE.;1'],
  ['A Long Name.With.Dots', 'A_LONG_NAME_WITH.DOTS;1'],
  ['ünïcode.txt', '_N_CODE.TXT;1'],
  ['x'.repeat(255), `${'X'.repeat(30)}.;1`],
  [`${'w'.repeat(29)}.e`, `${'W'.repeat(29)}.E;1`],
  [`${'y'.repeat(40)}.tar.gz`, `${'Y'.repeat(28)}.GZ;1`],
  [`${'z'.repeat(25)}.extension`, `${'Z'.repeat(25)}.EXTEN;1`],
  [`${'q'.repeat(35)}.abcdefghijkl`, `${'Q'.repeat(27)}.ABC;1`],
  [`p.${'q'.repeat(40)}`, `P.${'Q'.repeat(29)};1`],
  ['sha256-8ba0d06bc5a88966b1f681d9cab28709781ad7c450802d0e477132d8919e0cbf', 'SHA256_8BA0D06BC5A88966B1F681D.;1'],
];

const DIRECTORIES: readonly (readonly [name: string, identifier: string])[] = [
  ['i386-pc', 'I386_PC'],
  ['.disk', '.DISK'],
  ['docker.io', 'DOCKER.IO'],
  ['ddd.a.b', 'DDD_A.B'],
  ['dot.', 'DOT_'],
  ['k'.repeat(40), 'K'.repeat(30)],
  [`${'l'.repeat(40)}.ext`, `${'L'.repeat(27)}.EXT`],
  [`${'n'.repeat(20)}.${'e'.repeat(20)}`, `${'N'.repeat(20)}.${'E'.repeat(10)}`],
];

test('names become upper case, underscores and one dot', () => {
  for (const [name, identifier] of FILES) assert.deepEqual(identifiers([name]), [identifier]);
  for (const [name, identifier] of DIRECTORIES) assert.deepEqual(identifiers([name], 'directory'), [identifier]);
});

test('names that come out the same are numbered in the order of the names', () => {
  assert.deepEqual(identifiers(['foo-bar', 'foo_bar', 'foo+bar']), ['FOO_BAR1.;1', 'FOO_BAR2.;1', 'FOO_BAR0.;1']);
  assert.deepEqual(identifiers(['foo.txt', 'FOO0.TXT', 'Foo.txt']), ['FOO2.TXT;1', 'FOO0.TXT;1', 'FOO1.TXT;1']);
  assert.deepEqual(identifiers(['v'.repeat(30), 'v'.repeat(31)]), [`${'V'.repeat(29)}0.;1`, `${'V'.repeat(29)}1.;1`]);
  const directories = [`sha256-${'d1'.repeat(40)}`, `sha256-${'d1'.repeat(41)}`];
  assert.deepEqual(identifiers(directories, 'directory'), [
    'SHA256_D1D1D1D1D1D1D1D1D1D1D1D0',
    'SHA256_D1D1D1D1D1D1D1D1D1D1D1D1',
  ]);
  const twelve = Array.from({ length: 12 }, (_, index) => `collide-${'a'.repeat(30)}-${index}.mod`);
  assert.equal(identifiers(twelve)[2], 'COLLIDE_AAAAAAAAAAAAAAAAA04.MOD;1');
  const many = Array.from({ length: 1200 }, (_, index) => `zcol-${'a'.repeat(30)}-${index}.mod`);
  assert.equal(identifiers(many)[1003], 'ZCOL_AAAAAAAAAAAAAAAAAA0007.MOD;1');
  const short = Array.from({ length: 16 }, (_, index) =>
    [...'abcd'].map((one, bit) => (index & (1 << bit) ? one : one.toUpperCase())).join(''),
  );
  assert.ok(identifiers(short).includes('ABCD015.;1'));
});

test('identifiers of a directory differ and fit', () => {
  const name = fc.stringMatching(/^[aAbB.\-_ é]{1,40}$/);
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 40 }), fc.boolean(), (names, isDirectory) => {
      const found = identifiers(names, isDirectory ? 'directory' : 'file');
      assert.equal(new Set(found).size, names.length);
      for (const one of found) assert.match(one, isDirectory ? /^[A-Z0-9_.]{1,31}$/ : /^[A-Z0-9_.]{1,31};1$/);
    }),
    { seed: 1, numRuns: 200 },
  );
});
