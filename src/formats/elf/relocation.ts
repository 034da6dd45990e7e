/** ELF relocations of 64-bit files. Source: System V ABI, chapter 4 (gABI), "Relocation". */
import { getU64, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { type ElfFile, type ElfSection, sectionData, TYPE_RELA } from './section.ts';

export interface ElfRelocation {
  /** Bytes into the section that is changed. */
  readonly offset: number;
  /** Index in the symbol table. */
  readonly symbol: number;
  /** Processor-specific. */
  readonly type: number;
  /** 0 in tables without addends, where it is what the place holds. */
  readonly addend: bigint;
}

/** All entries of a REL or RELA section. Throws `invalid-input`. */
export function parseRelocations(elf: ElfFile, table: ElfSection): ElfRelocation[] {
  if (elf.bits !== 64) throw invalid(`${elf.what}: a 32-bit file; want 64 bits for its relocations`);
  const withAddend = table.type === TYPE_RELA;
  const entrySize = withAddend ? 24 : 16;
  if (table.entrySize !== entrySize) {
    throw invalid(`${elf.what}: relocations of ${table.entrySize} bytes in ${table.name}, want ${entrySize}`);
  }
  const data = sectionData(elf, table);
  const view = viewOf(data);
  return Array.from({ length: Math.floor(data.length / entrySize) }, (_, index) => {
    const at = index * entrySize;
    return {
      offset: getU64(view, at, true),
      symbol: view.getUint32(at + 12, true),
      type: view.getUint32(at + 8, true),
      addend: withAddend ? view.getBigInt64(at + 16, true) : 0n,
    };
  });
}
