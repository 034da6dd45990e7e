/** PE32+ files read as headers and sections whose contents are ranges of the file. Source: spec boot-and-images 1.4, 1.5. */
import { type Bytes, concat, ofMemory, slice, zeros } from '../../bytes/bytes.ts';
import { read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import { COFF_HEADER_SIZE, type CoffHeader, decodeCoffHeader } from './coff-header.ts';
import { DOS_HEADER_SIZE, decodeDosHeader } from './dos-header.ts';
import { decodeOptionalHeader, type OptionalHeader } from './optional-header.ts';
import { decodeSectionHeader, SECTION_HEADER_SIZE, type SectionHeader } from './section-header.ts';

export interface PeSection extends SectionHeader {
  /** All `rawSize` bytes, padding included. */
  readonly raw: Bytes;
}

export interface PeImage {
  readonly coff: CoffHeader;
  readonly optional: OptionalHeader;
  /** Position of the optional header in the file. */
  readonly optionalOffset: number;
  /** In table order; names may repeat. */
  readonly sections: readonly PeSection[];
}

/** What firmware and old boot loaders take at most. */
export const LARGEST_SECTION_COUNT = 96;

/**
 * Reads the headers, never section contents. Throws `invalid-input` naming `what` when it is no PE32+ file or a section lies
 * outside the file.
 */
export async function readPe(file: Bytes, what: string): Promise<PeImage> {
  const start = decodeDosHeader(await readUpTo(file, 0, DOS_HEADER_SIZE), what);
  const coff = decodeCoffHeader(await readUpTo(file, start, COFF_HEADER_SIZE), what);
  return decodeHeaders(await readUpTo(file, 0, headersEnd(start, coff, what)), file, what);
}

/** The same for a file in memory. */
export function decodePe(file: Uint8Array, what: string): PeImage {
  return decodeHeaders(file, ofMemory(file), what);
}

/** What memory holds of a section once loaded: cut to the virtual size, or filled up to it with zeros. */
export function sectionContent(section: PeSection): Bytes {
  const { raw, virtualSize } = section;
  return virtualSize <= raw.size ? slice(raw, 0, virtualSize) : concat([raw, zeros(virtualSize - raw.size)]);
}

function decodeHeaders(head: Uint8Array, file: Bytes, what: string): PeImage {
  const start = decodeDosHeader(head, what);
  const coff = decodeCoffHeader(head.subarray(start), what);
  const end = headersEnd(start, coff, what);
  if (head.length < end) throw invalid(`${what}: ${file.size} bytes, its headers alone need ${end}`);
  const optionalOffset = start + COFF_HEADER_SIZE;
  const table = optionalOffset + coff.sizeOfOptionalHeader;
  const optional = decodeOptionalHeader(head.subarray(optionalOffset, table), what);
  const sections = Array.from({ length: coff.numberOfSections }, (_, index) =>
    withContent(decodeSectionHeader(head, table + index * SECTION_HEADER_SIZE), file, what),
  );
  return { coff, optional, optionalOffset, sections };
}

function headersEnd(start: number, coff: CoffHeader, what: string): number {
  if (coff.numberOfSections > LARGEST_SECTION_COUNT) {
    throw invalid(`${what}: ${coff.numberOfSections} sections, want at most ${LARGEST_SECTION_COUNT}`);
  }
  return start + COFF_HEADER_SIZE + coff.sizeOfOptionalHeader + coff.numberOfSections * SECTION_HEADER_SIZE;
}

function withContent(header: SectionHeader, file: Bytes, what: string): PeSection {
  const { name, rawOffset, rawSize } = header;
  if (rawSize > 0 && rawOffset + rawSize > file.size) {
    throw invalid(`${what}: section ${name} at ${rawOffset}+${rawSize} reaches past the file's ${file.size} bytes`);
  }
  return { ...header, raw: rawSize === 0 ? zeros(0) : slice(file, rawOffset, rawOffset + rawSize) };
}

/** Fewer bytes at the end of the file: what decodes them says what is missing. */
async function readUpTo(file: Bytes, start: number, length: number): Promise<Uint8Array> {
  const from = Math.min(start, file.size);
  return read(file, from, Math.min(length, file.size - from));
}
