/** ELF section headers. Source: System V ABI, chapter 4 (gABI), "Sections". */
import { getU64, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { decodeElfHeader, SECTION_HEADER_SIZE } from './header.ts';
import { stringAt } from './string-table.ts';

export const TYPE_PROGBITS = 1;
export const TYPE_SYMTAB = 2;
export const TYPE_RELA = 4;
export const TYPE_NOBITS = 8;
export const TYPE_REL = 9;

export const FLAG_ALLOC = 2;
export const FLAG_EXEC = 4;

export interface ElfSection {
  readonly name: string;
  /** sh_type. */
  readonly type: number;
  /** sh_flags, lower 32 bits. */
  readonly flags: number;
  /** sh_addr. */
  readonly address: bigint;
  /** sh_offset, bytes into the file. */
  readonly offset: number;
  /** sh_size, bytes. */
  readonly size: number;
  /** sh_link and sh_info: other sections, by index. */
  readonly link: number;
  readonly info: number;
  /** sh_addralign, bytes; 0 and 1 mean none. */
  readonly alignment: number;
  /** sh_entsize, bytes. */
  readonly entrySize: number;
}

export interface ElfFile {
  /** How messages call it. */
  readonly what: string;
  readonly data: Uint8Array;
  readonly bits: 32 | 64;
  /** e_machine. */
  readonly machine: number;
  readonly sections: readonly ElfSection[];
}

/** The section table with names. Throws `invalid-input`; contents are only checked when `sectionData` asks for them. */
export function parseElf(data: Uint8Array, what: string): ElfFile {
  const header = decodeElfHeader(data, what);
  const view = viewOf(data);
  const raw = Array.from({ length: header.sectionCount }, (_, index) =>
    decodeSectionHeader(view, header.sectionTable + index * SECTION_HEADER_SIZE[header.bits], header.bits),
  );
  const file = { what, data, bits: header.bits, machine: header.machine };
  if (raw.length === 0) return { ...file, sections: [] };
  const table = raw[header.sectionNames];
  if (table === undefined) {
    throw invalid(`${what}: names in section ${header.sectionNames}, want one of ${raw.length}`);
  }
  const names = contentOf(data, what, { ...table, name: 'of names' });
  const sections = raw.map((section) => ({ ...section, name: stringAt(names, section.nameOffset, what) }));
  return { ...file, sections };
}

/** The bytes of a section as they are in the file. Throws `invalid-input` when they are not all there, or not at all. */
export function sectionData(elf: ElfFile, section: ElfSection): Uint8Array {
  if (section.type === TYPE_NOBITS) throw invalid(`${elf.what}: section ${section.name} has no bytes in the file`);
  return contentOf(elf.data, elf.what, section);
}

function contentOf(data: Uint8Array, what: string, section: Omit<ElfSection, 'nameOffset'>): Uint8Array {
  const end = section.offset + section.size;
  if (end > data.length) throw invalid(`${what}: section ${section.name} ends at ${end}, the file at ${data.length}`);
  return data.subarray(section.offset, end);
}

function decodeSectionHeader(
  view: DataView,
  at: number,
  bits: 32 | 64,
): Omit<ElfSection, 'name'> & { readonly nameOffset: number } {
  const nameOffset = view.getUint32(at, true);
  const type = view.getUint32(at + 4, true);
  if (bits === 32) {
    const word = (index: number): number => view.getUint32(at + index * 4, true);
    return {
      nameOffset,
      type,
      flags: word(2),
      address: BigInt(word(3)),
      offset: word(4),
      size: word(5),
      link: word(6),
      info: word(7),
      alignment: word(8),
      entrySize: word(9),
    };
  }
  return {
    nameOffset,
    type,
    flags: view.getUint32(at + 8, true),
    address: view.getBigUint64(at + 16, true),
    offset: getU64(view, at + 24, true),
    size: getU64(view, at + 32, true),
    link: view.getUint32(at + 40, true),
    info: view.getUint32(at + 44, true),
    alignment: getU64(view, at + 48, true),
    entrySize: getU64(view, at + 56, true),
  };
}
