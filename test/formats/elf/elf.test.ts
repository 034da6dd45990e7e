import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ImagerError } from '../../../src/errors.ts';
import { parseRelocations } from '../../../src/formats/elf/relocation.ts';
import { parseElf, sectionData, TYPE_NOBITS } from '../../../src/formats/elf/section.ts';
import { parseSymbols } from '../../../src/formats/elf/symbol.ts';
import { elfFile, relocationSection, symbolSections } from '../../support/elf.ts';
import { FUZZ_RUNS } from '../../support/vectors.ts';

const SYMBOLS = [
  { name: 'start', section: 1, value: 0x10n },
  { name: 'far', section: 0xfff1, value: 0xffffffff81000000n },
  { name: '', section: 1, value: 0n },
];
const RELOCATIONS = [
  { offset: 4, symbol: 1, type: 2, addend: -4n },
  { offset: 8, symbol: 2, type: 1, addend: 0x7fffffffffffffffn },
];
const TEXT = { name: '.text', type: 1, flags: 6, data: Buffer.from('some code that is none'), alignment: 16 } as const;
const OBJECT = elfFile(64, 62, [
  TEXT,
  { name: '.bss', type: 8, flags: 3, size: 0x1234, alignment: 32 },
  relocationSection('.rela.text', 1, 4, RELOCATIONS),
  ...symbolSections(SYMBOLS, 5),
]);

describe('an ELF file', () => {
  test('of 64 bits gives sections, symbols and relocations', () => {
    const elf = parseElf(OBJECT, 'x.o');
    assert.deepEqual(
      elf.sections.map(({ name }) => name),
      ['', '.text', '.bss', '.rela.text', '.symtab', '.strtab', '.shstrtab'],
    );
    assert.deepEqual([elf.bits, elf.machine], [64, 62]);
    const text = elf.sections[1]!;
    assert.equal(new TextDecoder().decode(sectionData(elf, text)), 'some code that is none');
    assert.deepEqual([text.type, text.flags, text.alignment], [1, 6, 16]);
    assert.deepEqual(parseSymbols(elf, elf.sections[4]!).slice(1), SYMBOLS);
    assert.deepEqual(parseRelocations(elf, elf.sections[3]!), RELOCATIONS);
  });

  test('of 32 bits gives sections', () => {
    const elf = parseElf(elfFile(32, 3, [{ ...TEXT, address: 0xffff9000 }]), 'x');
    assert.deepEqual([elf.bits, elf.machine, elf.sections.length], [32, 3, 3]);
    assert.equal(elf.sections[1]!.address, 0xffff9000n);
    assert.equal(sectionData(elf, elf.sections[1]!).length, TEXT.data.length);
    assert.throws(() => parseSymbols(elf, elf.sections[1]!), /32-bit file/);
    assert.throws(() => parseRelocations(elf, elf.sections[1]!), /32-bit file/);
  });

  test('may have no sections at all', () => {
    const bare = Buffer.from(OBJECT.subarray(0, 64));
    bare.writeBigUInt64LE(0n, 40);
    bare.fill(0, 58);
    assert.deepEqual(parseElf(bare, 'x').sections, []);
  });

  test('without bytes of a section says so', () => {
    const elf = parseElf(OBJECT, 'x.o');
    const bss = elf.sections.find(({ type }) => type === TYPE_NOBITS)!;
    assert.equal(bss.size, 0x1234);
    assert.throws(() => sectionData(elf, bss), /^ImagerError: x\.o: section \.bss has no bytes in the file$/);
  });
});

describe('an ELF file that is wrong', () => {
  const change = (edit: (data: Buffer) => void): Buffer => {
    const data = Buffer.from(OBJECT);
    edit(data);
    return data;
  };
  const table = Number(OBJECT.readBigUInt64LE(40));

  test('is refused by what is wrong', () => {
    const cases: readonly (readonly [Buffer, RegExp])[] = [
      [Buffer.alloc(0), /^x: not an ELF file$/],
      [change((data) => data.writeUInt8(0x7e, 0)), /^x: not an ELF file$/],
      [change((data) => data.writeUInt8(3, 4)), /^x: ELF class 3, want 1/],
      [change((data) => data.writeUInt8(2, 5)), /^x: ELF byte order 2, want 1/],
      [change((data) => data.writeUInt8(0, 6)), /^x: ELF version 0, want 1$/],
      [OBJECT.subarray(0, 60), /^x: 60 bytes, too short for an ELF header of 64$/],
      [change((data) => data.writeUInt16LE(40, 58)), /^x: section headers of 40 bytes, want 64$/],
      [OBJECT.subarray(0, OBJECT.length - 1), /^x: section table at \d+ passes the end at \d+$/],
      [change((data) => data.writeBigUInt64LE(2n ** 63n, 40)), /too large/],
      [change((data) => data.writeUInt16LE(99, 62)), /^x: names in section 99, want one of 7$/],
      [change((data) => data.writeUInt32LE(9999, table + 64)), /^x: name at 9999/],
      [change((data) => data.writeBigUInt64LE(2n ** 40n, table + 6 * 64 + 24)), /^x: section of names ends at/],
    ];
    for (const [data, message] of cases) assert.throws(() => parseElf(data, 'x'), { code: 'invalid-input', message });
  });

  test('is refused when its tables are asked for', () => {
    const wrongSize = parseElf(
      change((data) => data.writeBigUInt64LE(25n, table + 4 * 64 + 56)),
      'x',
    );
    assert.throws(() => parseSymbols(wrongSize, wrongSize.sections[4]!), /symbols of 25 bytes, want 24/);
    const wrongEntry = parseElf(
      change((data) => data.writeBigUInt64LE(16n, table + 3 * 64 + 56)),
      'x',
    );
    assert.throws(
      () => parseRelocations(wrongEntry, wrongEntry.sections[3]!),
      /relocations of 16 bytes in \.rela\.text/,
    );
    const noNames = parseElf(
      change((data) => data.writeUInt32LE(77, table + 4 * 64 + 40)),
      'x',
    );
    assert.throws(() => parseSymbols(noNames, noNames.sections[4]!), /symbol names in section 77/);
  });

  test('never does anything but throw an ImagerError', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.noBias(fc.nat({ max: OBJECT.length - 1 })), fc.nat({ max: 255 })), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.nat({ max: OBJECT.length }),
        (edits, length) => {
          const damaged = Buffer.from(OBJECT);
          for (const [at, value] of edits) damaged[at] = value;
          for (const data of [damaged, damaged.subarray(0, length)]) {
            try {
              const elf = parseElf(data, 'x');
              for (const section of elf.sections) {
                if (section.type === 2) parseSymbols(elf, section);
                else if (section.type === 4 || section.type === 9) parseRelocations(elf, section);
                else if (section.type !== TYPE_NOBITS) sectionData(elf, section);
              }
            } catch (error) {
              assert.ok(error instanceof ImagerError, String(error));
            }
          }
        },
      ),
      { seed: 4, numRuns: FUZZ_RUNS },
    );
  });
});
