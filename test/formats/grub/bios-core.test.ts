import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type BiosCoreFiles, composeBiosCore } from '../../../src/formats/grub/bios-core.ts';
import { type CorePayload, encodePayload } from '../../../src/formats/grub/payload.ts';
import { stream } from '../../support/bytes.ts';
import { elfFile, type TestSection } from '../../support/elf.ts';
import { splitBiosCore, withoutCompressedSize } from '../../support/grub.ts';

const TEXT = 'The quick brown fox jumps over the lazy dog, and the lazy dog sleeps. '.repeat(4);
const CODE: TestSection = { name: '.text', type: 1, flags: 6, address: 0x9000, data: Buffer.from(TEXT), alignment: 1 };
const DATA: TestSection = { name: '.data', type: 1, flags: 3, address: 0x9120, data: Buffer.from('initialised data') };
const BSS: TestSection = { name: '.bss', type: 8, flags: 3, address: 0x9140, size: 4096 };

const diskBoot = Buffer.alloc(512, 0xbb);
diskBoot.writeUInt16LE(0x820, 510);
const FILES: BiosCoreFiles = {
  kernel: elfFile(32, 3, [CODE, DATA, BSS]),
  decompressor: Buffer.alloc(64, 0xdd),
  diskBoot,
};
const PAYLOAD: CorePayload = { modules: [], prefix: '/p' };

/**
 * From grub-mkimage 2.06 with a directory of these files and `-p /p`: what follows diskboot.img, whose end became 0100 2008.
 */
const THEIRS =
  `dddddddddddddddd7300000070010000${'dd'.repeat(48)}` +
  '002a1a08a2032566f14b78c5a205ff2ee6d9d2201aad34f8e21de84136fadc0669bb3ce410342709ebb366e3d46d7b2646d67a507a3f187ffaecc254' +
  'c304c122e0a8bedc8d61f1d0c02c372ac405b5dee4d8b957ec57efeab5bbe5b04843a1148bbc64093f605e0dcbbba6f2218e809c8be000';

describe('a BIOS core image', () => {
  test("is grub-mkimage's but for the choices of compression", () => {
    const list = Buffer.from('01002008', 'hex');
    const theirs = splitBiosCore(Buffer.concat([Buffer.alloc(508, 0xbb), list, Buffer.from(THEIRS, 'hex')]), {
      cd: false,
    });
    const ours = splitBiosCore(composeBiosCore(FILES, { ...PAYLOAD, modules: MODULES }), { cd: false });
    assert.deepEqual(ours.diskBoot, theirs.diskBoot);
    assert.deepEqual(withoutCompressedSize(ours.decompressor), withoutCompressedSize(theirs.decompressor));
    assert.deepEqual(ours.unpacked, theirs.unpacked);
    assert.equal(Buffer.from(ours.decompressor).readUInt32LE(8), ours.packed.length);
  });

  test('has cdboot.img before it for El Torito', () => {
    const cdBoot = Buffer.alloc(2048, 0xcd);
    const plain = composeBiosCore(FILES, PAYLOAD);
    assert.deepEqual(Buffer.from(composeBiosCore({ ...FILES, cdBoot }, PAYLOAD)), Buffer.concat([cdBoot, plain]));
  });

  test('counts its sectors without the first', () => {
    for (const size of [1000, 5000]) {
      const image = Buffer.from(composeBiosCore(FILES, { ...PAYLOAD, memdisk: stream('noise', size) }));
      assert.equal(image.readUInt16LE(0x1fc), Math.ceil((image.length - 512) / 512));
    }
  });

  test('is the same every time', () => {
    const payload = { ...PAYLOAD, memdisk: stream('again', 9000) };
    assert.deepEqual(composeBiosCore(FILES, payload), composeBiosCore(FILES, payload));
  });
});

/** What `one` of that directory's `moddep.lst` led to: `one: two`. */
const MODULES = [Buffer.from('module two!'), Buffer.from('module one')];

describe('a payload', () => {
  test('is objects with type and size, rounded up to pointers', () => {
    const small = Buffer.from(encodePayload({ modules: [Buffer.from('abcde')], prefix: '/p', config: 'x\n' }, 4));
    assert.equal(
      small.toString('hex'),
      '6d696d67' +
        '0c000000' +
        '34000000' + // info
        '00000000' +
        '10000000' +
        '6162636465000000' +
        '02000000' +
        '0c000000' +
        '780a0000' +
        '03000000' +
        '0c000000' +
        '2f700000',
    );
    const large = Buffer.from(encodePayload({ modules: [Buffer.from('abcdefghi')], prefix: '/boot/g' }, 8));
    assert.equal(
      large.toString('hex'),
      '6d696d67' +
        '00000000' +
        '1800000000000000' +
        '4000000000000000' +
        '00000000' +
        '18000000' +
        '61626364656667686900000000000000' +
        '03000000' +
        '10000000' +
        '2f626f6f742f6700',
    );
  });

  test('rounds a memdisk up to sectors', () => {
    const area = Buffer.from(encodePayload({ modules: [], prefix: '', memdisk: new Uint8Array(513) }, 4));
    assert.equal(area.readUInt32LE(12), 1);
    assert.equal(area.readUInt32LE(16), 8 + 1024);
    assert.equal(area.length, 12 + 8 + 1024 + 8 + 4);
  });
});

describe('files of GRUB that are wrong', () => {
  const refuse = (files: Partial<BiosCoreFiles>, message: RegExp, payload: CorePayload = PAYLOAD): void => {
    assert.throws(() => composeBiosCore({ ...FILES, ...files }, payload), { code: 'invalid-input', message });
  };
  const kernel = (...sections: TestSection[]): Partial<BiosCoreFiles> => ({ kernel: elfFile(32, 3, sections) });

  test('are refused by what is wrong', () => {
    refuse({ kernel: Buffer.from('not ELF') }, /^kernel\.img: not an ELF file$/);
    refuse({ kernel: elfFile(64, 62, [CODE]) }, /^kernel\.img: ELF machine 62 of 64 bits, want 3 \(i386\) of 32 bits$/);
    refuse(kernel(DATA), /^kernel\.img: no code section, want one code section at 0x9000$/);
    refuse(kernel({ ...CODE, address: 0x8200 }), /^kernel\.img: code at 0x8200, want/);
    refuse(kernel(CODE, { ...CODE, address: 0x9200 }), /^kernel\.img: code at 0x9000, 0x9200, want/);
    refuse({ decompressor: Buffer.alloc(20) }, /^lzma_decompress\.img: 20 bytes, want 28\.\.3584$/);
    refuse({ decompressor: Buffer.alloc(3585) }, /^lzma_decompress\.img: 3585 bytes/);
    refuse({ diskBoot: Buffer.alloc(511) }, /^diskboot\.img: 511 bytes, want 512$/);
    refuse({ diskBoot: Buffer.alloc(512) }, /^diskboot\.img: segment 0x0, want 0x820$/);
    refuse({ cdBoot: Buffer.alloc(2000) }, /^cdboot\.img: 2000 bytes, want 2048$/);
  });

  test('are refused where they do not fit the memory', () => {
    refuse(
      kernel(CODE, { ...DATA, address: 0x8fff }),
      /section \.data at 0x8fff of 16 bytes: want it within 0x9000\.\.0x68000/,
    );
    refuse(kernel(CODE, { ...BSS, size: 0x68000 - 0x9140 + 1 }), /section \.bss/);
    composeBiosCore({ ...FILES, ...kernel(CODE, { ...BSS, size: 0x68000 - 0x9140 }) }, PAYLOAD);
    refuse({}, /^GRUB core image: \d+ bytes, want at most 454656$/, { ...PAYLOAD, memdisk: stream('big', 460000) });
  });
});
