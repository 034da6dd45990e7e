/**
 * A kernel module as ELF file of either class and byte order, read as libkmod reads it: sections by name, the first of a name that lies
 * inside the file. Only those are read. Sources: System V ABI chapter 4 (gABI); kmod, libkmod/libkmod-elf.c.
 */
import { viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { type ModuleWindow, READ_AT_ONCE } from './module-window.ts';

export type SectionName = '.modinfo' | '.symtab' | '.strtab' | '__ksymtab_strings' | '__versions';

const SECTION_NAMES: readonly SectionName[] = ['.modinfo', '.symtab', '.strtab', '__ksymtab_strings', '__versions'];

export interface ModuleElf {
  readonly bits: 32 | 64;
  readonly isLittleEndian: boolean;
  /** e_machine. */
  readonly machine: number;
  /** Their content, of those that are there. */
  readonly sections: ReadonlyMap<SectionName, Uint8Array>;
}

/** The names of symbols and of sections lie before the section table, which ends a file but for its signature. Bytes. */
const TAIL: number = READ_AT_ONCE - (8 << 10);

/** Throws `invalid-input` when this is no ELF file with a section table inside it. */
export async function readModuleElf(module: ModuleWindow): Promise<ModuleElf> {
  if (module.size < 17) throw invalid(`${module.size} bytes: not an ELF file`);
  const identification = await module.at(0, 16);
  if (viewOf(identification).getUint32(0) !== 0x7f454c46) throw invalid('not an ELF file');
  const [bits, isLittleEndian] = [BITS[identification[4]!], BYTE_ORDERS[identification[5]!]];
  if (bits === undefined || isLittleEndian === undefined) {
    throw invalid(`ELF class ${identification[4]} and byte order ${identification[5]}: want 1 or 2 of each`);
  }
  const headerSize = bits === 32 ? 52 : 64;
  if (module.size <= headerSize) throw invalid(`${module.size} bytes, want more than the ELF header of ${headerSize}`);
  const header = viewOf(await module.at(0, headerSize));
  const table = bits === 32 ? header.getUint32(32, isLittleEndian) : safeU64(header, 40, isLittleEndian);
  const [entrySize, count, namesIndex] = [-6, -4, -2].map((at) => header.getUint16(headerSize + at, isLittleEndian));
  const wantedSize = bits === 32 ? 40 : 64;
  if (entrySize !== wantedSize) throw invalid(`section headers of ${entrySize} bytes, want ${wantedSize}`);
  if (table + count! * entrySize > module.size)
    throw invalid(`section table at ${table} passes the end at ${module.size}`);

  const tableSize = count! * entrySize;
  const tail = Math.max(headerSize, table - TAIL);
  if (table >= tail) await module.at(tail, table + tableSize - tail);
  const headers = { view: viewOf(await module.at(table, tableSize)), bits, isLittleEndian };
  const namesSection = namesIndex! < count! ? sectionAt(headers, namesIndex!) : undefined;
  if (
    namesIndex === 0 ||
    namesSection === undefined ||
    namesSection.nameOffset >= namesSection.size ||
    !isInside(namesSection, module.size)
  ) {
    throw invalid(`names of sections in section ${namesIndex} of ${count}: not there`);
  }
  const names = await module.at(namesSection.offset, namesSection.size);
  if (names.at(-1) !== 0) throw invalid('names of sections do not end with NUL');
  const sections = new Map<SectionName, Uint8Array>();
  for (const [name, { offset, size }] of findSections(headers, names, module.size)) {
    // As libkmod has it, a section at offset 0 is one that was not found.
    if (offset > 0) sections.set(name, await module.at(offset, size));
  }
  return { bits, isLittleEndian, machine: header.getUint16(18, isLittleEndian), sections };
}

const BITS: readonly (32 | 64 | undefined)[] = [undefined, 32, 64];
const BYTE_ORDERS: readonly (boolean | undefined)[] = [undefined, true, false];

interface Section {
  readonly nameOffset: number;
  readonly offset: number;
  readonly size: number;
}

interface SectionHeaders {
  readonly view: DataView;
  readonly bits: 32 | 64;
  readonly isLittleEndian: boolean;
}

function sectionAt({ view, bits, isLittleEndian }: SectionHeaders, index: number): Section {
  const at = index * (bits === 32 ? 40 : 64);
  const nameOffset = view.getUint32(at, isLittleEndian);
  if (bits === 32) {
    return {
      nameOffset,
      offset: view.getUint32(at + 16, isLittleEndian),
      size: view.getUint32(at + 20, isLittleEndian),
    };
  }
  return { nameOffset, offset: safeU64(view, at + 24, isLittleEndian), size: safeU64(view, at + 32, isLittleEndian) };
}

function isInside({ offset, size }: Section, fileSize: number): boolean {
  return offset + size <= fileSize;
}

/** A number past every file's end where it is not exact: sections are checked against that. */
function safeU64(view: DataView, at: number, isLittleEndian: boolean): number {
  const high = view.getUint32(isLittleEndian ? at + 4 : at, isLittleEndian);
  const low = view.getUint32(isLittleEndian ? at : at + 4, isLittleEndian);
  return high * 2 ** 32 + low;
}

function findSections(headers: SectionHeaders, names: Uint8Array, fileSize: number): Map<SectionName, Section> {
  const found = new Map<SectionName, Section>();
  const entrySize = headers.bits === 32 ? 40 : 64;
  for (let at = entrySize; at < headers.view.byteLength && found.size < SECTION_NAMES.length; at += entrySize) {
    const nameOffset = headers.view.getUint32(at, headers.isLittleEndian);
    for (const name of SECTION_NAMES) {
      if (!isNameAt(names, nameOffset, name) || found.has(name)) continue;
      const section = sectionAt(headers, at / entrySize);
      if (isInside(section, fileSize)) found.set(name, section);
    }
  }
  return found;
}

function isNameAt(names: Uint8Array, offset: number, wanted: string): boolean {
  if (names[offset + wanted.length] !== 0) return false;
  for (let index = 0; index < wanted.length; index++) {
    if (names[offset + index] !== wanted.charCodeAt(index)) return false;
  }
  return true;
}
