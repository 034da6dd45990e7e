import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nameEntries } from '../../../src/formats/fat/short-name.ts';

/** Name, 11 characters, NT byte, long name needed: read from a volume that mtools 4.0.32 filled with them one by one. */
const MEASURED: readonly (readonly [string, string, number, boolean])[] = [
  ['EFI', 'EFI        ', 0x00, false],
  ['Linux', 'LINUX      ', 0x00, true],
  ['loader', 'LOADER     ', 0x08, false],
  ['loader.conf', 'LOADER~1CON', 0x00, true],
  ['loader.cfg', 'LOADER  CFG', 0x18, false],
  ['random-seed', 'RANDOM~1   ', 0x00, true],
  ['Talos-v1.13.0.efi', 'TALOS-~1EFI', 0x00, true],
  ['PK.auth', 'PK~1    AUT', 0x00, true],
  ['BOOTX64.efi', 'BOOTX64 EFI', 0x10, false],
  ['a b.txt', 'AB~1    TXT', 0x00, true],
  ['.hidden', 'HIDDEN~1   ', 0x00, true],
  ['..two', 'TWO~1      ', 0x00, true],
  ['x..y', 'X~1     Y  ', 0x00, true],
  ['foo.bar.baz', 'FOOBAR~1BAZ', 0x00, true],
  ['.disk_label', 'DISK_L~1   ', 0x00, true],
  ['.disk_label.contentDetails', 'DISK_L~1CON', 0x00, true],
  ['con.txt', 'CON~1   TXT', 0x00, true],
  ['a+b.c', 'A_B~1   C  ', 0x00, true],
  ['a[b].txt', 'A_B_~1  TXT', 0x00, true],
  ['UPPER.low', 'UPPER   LOW', 0x10, false],
  ['low.UPP', 'LOW     UPP', 0x08, false],
  ['12345678.123', '12345678123', 0x00, false],
  ['123456789.1', '123456~11  ', 0x00, true],
  ['12345678.1234', '123456~1123', 0x00, true],
  ['a~1', 'A~1        ', 0x08, false],
  ['A~1.TXT', 'A~1     TXT', 0x00, false],
  ['$x#y', '$X#Y       ', 0x08, false],
  ['sub.directory', 'SUB~1   DIR', 0x00, true],
  ['bcm2711-rpi-4-b.dtb', 'BCM271~1DTB', 0x00, true],
  ['u-boot.bin', 'U-BOOT  BIN', 0x18, false],
  ['aB', 'AB         ', 0x00, true],
];

for (const [name, short, caseBits, long] of MEASURED) {
  test(`${name} is ${short}`, () => {
    assert.deepEqual(nameEntries([name]).get(name), { short, caseBits, long });
  });
}

test('numbers follow byte order and shorten the base', () => {
  const names = Array.from({ length: 12 }, (_, index) => `LongFileName${String(index + 1).padStart(2, '0')}.efi`);
  const shorts = [...nameEntries(names.toReversed()).entries()].map(([name, { short }]) => [name, short]);
  assert.deepEqual(shorts.at(-1), ['LongFileName01.efi', 'LONGFI~1EFI']);
  assert.deepEqual(shorts.at(-9), ['LongFileName09.efi', 'LONGFI~9EFI']);
  assert.deepEqual(shorts.at(-10), ['LongFileName10.efi', 'LONGF~10EFI']);
});

test('a made-up name makes way for one that is really so', () => {
  const names = nameEntries(['Talos-v1.0.efi', 'TALOS-~1.EFI']);
  assert.equal(names.get('TALOS-~1.EFI')?.short, 'TALOS-~1EFI');
  assert.equal(names.get('Talos-v1.0.efi')?.short, 'TALOS-~2EFI');
});

test('names that need a code page get a made-up one', () => {
  assert.deepEqual(nameEntries(['日本.efi']).get('日本.efi'), { short: '__~1    EFI', caseBits: 0, long: true });
  assert.deepEqual(nameEntries(['𝒳']).get('𝒳'), { short: '_~1        ', caseBits: 0, long: true });
});

for (const bad of ['a"b', 'a:b', 'a\\b', 'tab\t', 'dot.', 'blank ', '...', '', 'x'.repeat(256), '\ud800']) {
  test(`${JSON.stringify(bad).slice(0, 20)} is refused`, () => {
    assert.throws(() => nameEntries([bad]), { code: 'invalid-input' });
  });
}

test('names that differ only in case are refused', () => {
  assert.throws(() => nameEntries(['Boot', 'bOOT']), { code: 'invalid-input', message: /"Boot" and "bOOT"/ });
});

test('short names are unique, eleven characters of ASCII, and all there is when no long name is needed', () => {
  const name = fc.stringMatching(/^[A-Za-z0-9._~ é+-]{0,18}[A-Za-z0-9]$/);
  fc.assert(
    fc.property(fc.uniqueArray(name, { selector: (one) => one.toUpperCase(), maxLength: 30 }), (names) => {
      const entries = nameEntries(names);
      assert.deepEqual([...entries.keys()], names);
      assert.equal(new Set([...entries.values()].map(({ short }) => short)).size, names.length);
      for (const [full, { short, caseBits, long }] of entries) {
        assert.match(short, /^[\x21-\x60\x7b-\x7e][\x20-\x60\x7b-\x7e]{10}$/);
        if (long) continue;
        const base = short.slice(0, 8).trimEnd();
        const extension = short.slice(8).trimEnd();
        const cased = [
          (caseBits & 0x08) === 0 ? base : base.toLowerCase(),
          (caseBits & 0x10) === 0 ? extension : extension.toLowerCase(),
        ];
        assert.equal(extension === '' ? cased[0] : cased.join('.'), full);
      }
    }),
    { numRuns: 300, seed: 3 },
  );
});
