/**
 * A kernel module as ELF file of either class and byte order, read as libkmod reads it: sections by name, the first of a name that lies
 * inside the file. Only what is asked for is read. Sources: System V ABI chapter 4 (gABI); kmod, libkmod/libkmod-elf.c.
 */
import type { Bytes } from '../../bytes/bytes.ts';
import { viewOf } from '../../bytes/field.ts';
import { memoryAt, read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';

export type SectionName = '.modinfo' | '.symtab' | '.strtab' | '__ksymtab_strings' | '__versions';

const SECTION_NAMES: readonly SectionName[] = ['.modinfo', '.symtab', '.strtab', '__ksymtab_strings', '__versions'];

export interface ModuleElf {
  readonly bits: 32 | 64;
  readonly isLittleEndian: boolean;
  /** e_machine. */
  readonly machine: number;
  /** Content of a section; `undefined` where there is none. */
  section(name: SectionName): Promise<Uint8Array | undefined>;
}

/** A module up to this size is read at once: another read costs more than the bytes between. */
const READ_AT_ONCE: number = 256 << 10;

/** Throws `invalid-input` when this is no ELF file with a section table inside it. */
export async function readModuleElf(content: Bytes): Promise<ModuleElf> {
  if (content.size < 17) throw invalid(`${content.size} bytes: not an ELF file`);
  const whole = content.size > READ_AT_ONCE ? memoryAt(content, 0, content.size) : await read(content);
  const part = async (offset: number, size: number): Promise<Uint8Array> =>
    whole?.subarray(offset, offset + size) ?? read(content, offset, size);

  const identification = await part(0, 16);
  if (viewOf(identification).getUint32(0) !== 0x7f454c46) throw invalid('not an ELF file');
  const [bits, isLittleEndian] = [BITS[identification[4]!], BYTE_ORDERS[identification[5]!]];
  if (bits === undefined || isLittleEndian === undefined) {
    throw invalid(`ELF class ${identification[4]} and byte order ${identification[5]}: want 1 or 2 of each`);
  }
  const headerSize = bits === 32 ? 52 : 64;
  if (content.size <= headerSize)
    throw invalid(`${content.size} bytes, want more than the ELF header of ${headerSize}`);
  const header = viewOf(await part(0, headerSize));
  const table = bits === 32 ? header.getUint32(32, isLittleEndian) : safeU64(header, 40, isLittleEndian);
  const [entrySize, count, namesIndex] = [-6, -4, -2].map((at) => header.getUint16(headerSize + at, isLittleEndian));
  const wantedSize = bits === 32 ? 40 : 64;
  if (entrySize !== wantedSize) throw invalid(`section headers of ${entrySize} bytes, want ${wantedSize}`);
  if (table + count! * entrySize > content.size)
    throw invalid(`section table at ${table} passes the end at ${content.size}`);

  const sections = decodeSections(viewOf(await part(table, count! * entrySize)), bits, isLittleEndian);
  const names = sections[namesIndex!];
  if (
    namesIndex === 0 ||
    names === undefined ||
    names.nameOffset >= names.size ||
    names.offset + names.size > content.size
  ) {
    throw invalid(`names of sections in section ${namesIndex} of ${count}: not there`);
  }
  const nameData = await part(names.offset, names.size);
  if (nameData[names.size - 1] !== 0) throw invalid('names of sections do not end with NUL');
  const found = findSections(sections, nameData, content.size);
  return {
    bits,
    isLittleEndian,
    machine: header.getUint16(18, isLittleEndian),
    section: async (name) => {
      const section = found.get(name);
      // As libkmod has it, a section at offset 0 is one that was not found.
      return section === undefined || section.offset === 0 ? undefined : part(section.offset, section.size);
    },
  };
}

const BITS: readonly (32 | 64 | undefined)[] = [undefined, 32, 64];
const BYTE_ORDERS: readonly (boolean | undefined)[] = [undefined, true, false];

interface Section {
  readonly nameOffset: number;
  readonly offset: number;
  readonly size: number;
}

function decodeSections(view: DataView, bits: 32 | 64, isLittleEndian: boolean): Section[] {
  const entrySize = bits === 32 ? 40 : 64;
  return Array.from({ length: view.byteLength / entrySize }, (_, index) => {
    const at = index * entrySize;
    const nameOffset = view.getUint32(at, isLittleEndian);
    if (bits === 64) {
      return {
        nameOffset,
        offset: safeU64(view, at + 24, isLittleEndian),
        size: safeU64(view, at + 32, isLittleEndian),
      };
    }
    return {
      nameOffset,
      offset: view.getUint32(at + 16, isLittleEndian),
      size: view.getUint32(at + 20, isLittleEndian),
    };
  });
}

/** A number past every file's end where it is not exact: sections are checked against that. */
function safeU64(view: DataView, at: number, isLittleEndian: boolean): number {
  const high = view.getUint32(isLittleEndian ? at + 4 : at, isLittleEndian);
  const low = view.getUint32(isLittleEndian ? at : at + 4, isLittleEndian);
  return high * 2 ** 32 + low;
}

function findSections(sections: readonly Section[], names: Uint8Array, fileSize: number): Map<SectionName, Section> {
  const found = new Map<SectionName, Section>();
  for (const section of sections.slice(1)) {
    if (section.offset + section.size > fileSize) continue;
    const name = SECTION_NAMES.find((wanted) => isNameAt(names, section.nameOffset, wanted));
    if (name !== undefined && !found.has(name)) found.set(name, section);
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
