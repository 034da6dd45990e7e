/** ELF symbol tables of 64-bit files. Source: System V ABI, chapter 4 (gABI), "Symbol Table". */
import { viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { type ElfFile, type ElfSection, sectionData } from './section.ts';
import { stringAt } from './string-table.ts';

const ENTRY_SIZE = 24;

export const SECTION_UNDEFINED = 0;
/** st_shndx of values that no section moves. */
export const SECTION_ABSOLUTE = 0xfff1;

export interface ElfSymbol {
  /** Empty for symbols without one. */
  readonly name: string;
  /** st_shndx. */
  readonly section: number;
  /** st_value: in a relocatable file relative to the section. */
  readonly value: bigint;
}

/** All symbols of a table, the unused first one included, so that relocations can refer by index. Throws `invalid-input`. */
export function parseSymbols(elf: ElfFile, table: ElfSection): ElfSymbol[] {
  if (elf.bits !== 64) throw invalid(`${elf.what}: a 32-bit file; want 64 bits for its symbols`);
  if (table.entrySize !== ENTRY_SIZE) {
    throw invalid(`${elf.what}: symbols of ${table.entrySize} bytes, want ${ENTRY_SIZE}`);
  }
  const strings = elf.sections[table.link];
  if (strings === undefined) throw invalid(`${elf.what}: symbol names in section ${table.link}, which does not exist`);
  const names = sectionData(elf, strings);
  const data = sectionData(elf, table);
  const view = viewOf(data);
  return Array.from({ length: Math.floor(data.length / ENTRY_SIZE) }, (_, index) => {
    const at = index * ENTRY_SIZE;
    const name = view.getUint32(at, true);
    return {
      name: name === 0 ? '' : stringAt(names, name, elf.what),
      section: view.getUint16(at + 6, true),
      value: view.getBigUint64(at + 8, true),
    };
  });
}
