/** ELF header: little-endian files of 32 and 64 bits. Source: System V ABI, chapter 4 (gABI), "ELF Header". */
import { getU64, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';

export const MACHINE_I386 = 3;
export const MACHINE_X86_64 = 62;
export const MACHINE_AARCH64 = 183;

export interface ElfHeader {
  readonly bits: 32 | 64;
  /** e_machine. */
  readonly machine: number;
  /** e_shoff, bytes into the file. */
  readonly sectionTable: number;
  /** e_shnum. */
  readonly sectionCount: number;
  /** e_shstrndx: the section that holds the names of sections. */
  readonly sectionNames: number;
}

/** e_shentsize, bytes. */
export const SECTION_HEADER_SIZE = { 32: 40, 64: 64 } as const;

/**
 * Throws `invalid-input` when `data` is no little-endian ELF file with a section table inside it. `what` is how messages
 * call the file.
 */
export function decodeElfHeader(data: Uint8Array, what: string): ElfHeader {
  if (data.length < 20 || data[0] !== 0x7f || data[1] !== 0x45 || data[2] !== 0x4c || data[3] !== 0x46) {
    throw invalid(`${what}: not an ELF file`);
  }
  if (data[4] !== 1 && data[4] !== 2) throw invalid(`${what}: ELF class ${data[4]}, want 1 (32 bits) or 2 (64 bits)`);
  if (data[5] !== 1) throw invalid(`${what}: ELF byte order ${data[5]}, want 1 (little-endian)`);
  if (data[6] !== 1) throw invalid(`${what}: ELF version ${data[6]}, want 1`);
  const bits = data[4] === 1 ? 32 : 64;
  const size = bits === 32 ? 52 : 64;
  if (data.length < size) throw invalid(`${what}: ${data.length} bytes, too short for an ELF header of ${size}`);
  const view = viewOf(data);
  const tail = bits === 32 ? 46 : 58;
  const header: ElfHeader = {
    bits,
    machine: view.getUint16(18, true),
    sectionTable: bits === 32 ? view.getUint32(32, true) : getU64(view, 40, true),
    sectionCount: view.getUint16(tail + 2, true),
    sectionNames: view.getUint16(tail + 4, true),
  };
  const entrySize = view.getUint16(tail, true);
  if (header.sectionCount > 0 && entrySize !== SECTION_HEADER_SIZE[bits]) {
    throw invalid(`${what}: section headers of ${entrySize} bytes, want ${SECTION_HEADER_SIZE[bits]}`);
  }
  if (header.sectionTable + header.sectionCount * entrySize > data.length) {
    throw invalid(`${what}: section table at ${header.sectionTable} passes the end at ${data.length}`);
  }
  return header;
}
