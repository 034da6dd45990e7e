/**
 * The optional header of PE32+ files: 112 bytes of fields and 8 for each data directory, integers little-endian.
 * Source: PE/COFF specification, "Optional Header".
 */
import { viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';

export interface DataDirectory {
  /** For certificates a file offset, for all others an address relative to the image base. */
  readonly address: number;
  readonly size: number;
}

export interface OptionalHeader {
  readonly entryPoint: number;
  readonly imageBase: bigint;
  /** Power of two. */
  readonly sectionAlignment: number;
  /** Power of two, at most `sectionAlignment`. */
  readonly fileAlignment: number;
  readonly sizeOfImage: number;
  readonly sizeOfHeaders: number;
  readonly checkSum: number;
  readonly subsystem: number;
  readonly directories: readonly DataDirectory[];
}

/** Fields whose value follows from the sections. */
export interface OptionalHeaderSizes {
  readonly sizeOfCode: number;
  readonly sizeOfInitializedData: number;
  readonly sizeOfImage: number;
  readonly sizeOfHeaders: number;
}

export const SUBSYSTEM_EFI_APPLICATION = 10;

/** Position of the checksum in the header; Authenticode leaves it out. */
export const CHECKSUM_FIELD = 64;
export const CERTIFICATE_DIRECTORY = 4;

const PE32_PLUS = 0x20b;
const PE32 = 0x10b;
const FIELDS_SIZE = 112;
const DIRECTORY_SIZE = 8;
const LARGEST_DIRECTORY_COUNT = 16;
const DEBUG_DIRECTORY = 6;

/** Smallest and largest file alignment; below 512 only where both alignments are equal, which old linkers do. */
const FILE_ALIGNMENTS = { least: 16, most: 1 << 16 } as const;
const LARGEST_SECTION_ALIGNMENT = 1 << 28;

/** Position of a data directory in the header. */
export function directoryField(index: number): number {
  return FIELDS_SIZE + index * DIRECTORY_SIZE;
}

/** `data` is the whole header. Throws `invalid-input` naming `what`. */
export function decodeOptionalHeader(data: Uint8Array, what: string): OptionalHeader {
  const view = viewOf(data);
  const magic = data.length >= 2 ? view.getUint16(0, true) : 0;
  if (magic === PE32) throw invalid(`${what}: a 32-bit PE file, want PE32+`);
  if (magic !== PE32_PLUS || data.length < FIELDS_SIZE) throw invalid(`${what}: no PE32+ optional header`);
  const count = view.getUint32(108, true);
  if (count > LARGEST_DIRECTORY_COUNT || FIELDS_SIZE + count * DIRECTORY_SIZE > data.length) {
    throw invalid(`${what}: ${count} data directories do not fit an optional header of ${data.length} bytes`);
  }
  const directories = Array.from({ length: count }, (_, index) => ({
    address: view.getUint32(directoryField(index), true),
    size: view.getUint32(directoryField(index) + 4, true),
  }));
  const sectionAlignment = view.getUint32(32, true);
  const fileAlignment = view.getUint32(36, true);
  checkAlignments(sectionAlignment, fileAlignment, what);
  return {
    entryPoint: view.getUint32(16, true),
    imageBase: view.getBigUint64(24, true),
    sectionAlignment,
    fileAlignment,
    sizeOfImage: view.getUint32(56, true),
    sizeOfHeaders: view.getUint32(60, true),
    checkSum: view.getUint32(CHECKSUM_FIELD, true),
    subsystem: view.getUint16(68, true),
    directories,
  };
}

/**
 * A copy of the header `data` for a file with other sections. The linker version and checksum become zero, as do the directories that hold file
 * offsets (certificates, debug): sections move, so what they point to is gone.
 */
export function resizedOptionalHeader(data: Uint8Array, sizes: OptionalHeaderSizes): Uint8Array {
  const header = new Uint8Array(data);
  const view = viewOf(header);
  header.fill(0, 2, 4);
  view.setUint32(4, sizes.sizeOfCode, true);
  view.setUint32(8, sizes.sizeOfInitializedData, true);
  view.setUint32(56, sizes.sizeOfImage, true);
  view.setUint32(60, sizes.sizeOfHeaders, true);
  view.setUint32(CHECKSUM_FIELD, 0, true);
  const count = view.getUint32(108, true);
  for (const index of [CERTIFICATE_DIRECTORY, DEBUG_DIRECTORY]) {
    if (index >= count) continue;
    const start = directoryField(index);
    header.fill(0, start, start + DIRECTORY_SIZE);
  }
  return header;
}

function checkAlignments(section: number, file: number, what: string): void {
  const { least, most } = FILE_ALIGNMENTS;
  if (!isPowerOfTwo(file) || file < least || file > most) {
    throw invalid(`${what}: file alignment ${file}, want a power of two in ${least}..${most}`);
  }
  if (!isPowerOfTwo(section) || section < file || section > LARGEST_SECTION_ALIGNMENT) {
    throw invalid(
      `${what}: section alignment ${section}, want a power of two in ${file}..${LARGEST_SECTION_ALIGNMENT}`,
    );
  }
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && 2 ** Math.round(Math.log2(value)) === value;
}
