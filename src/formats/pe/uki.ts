/**
 * A PE file made of a stub's sections and more behind them: how a unified kernel image is laid out. The headers are written
 * anew, so sections of the stub move in the file and keep their addresses. Source: spec boot-and-images 1.4.
 */
import { alignUp, type Bytes, concat, ofMemory, padTo } from '../../bytes/bytes.ts';
import { invalid } from '../../errors.ts';
import { COFF_HEADER_SIZE, encodeCoffHeader } from './coff-header.ts';
import { movedDosHeader } from './dos-header.ts';
import { decodePe, LARGEST_SECTION_COUNT, type PeImage } from './image.ts';
import { resizedOptionalHeader } from './optional-header.ts';
import {
  encodeSectionHeader,
  SECTION_FLAG,
  SECTION_HEADER_SIZE,
  SECTION_NAME_SIZE,
  type SectionHeader,
} from './section-header.ts';
import { resolveSectionName } from './string-table.ts';

export interface UkiSection {
  /** At most eight ASCII characters; may repeat. */
  readonly name: string;
  readonly content: Bytes;
  /**
   * The content begins at a multiple of this in the file: a power of two. The raw size of the section before grows to that end, never a gap, because
   * Authenticode sums section sizes.
   */
  readonly rawAlignment?: number;
}

export interface UkiOptions {
  /** Seconds since 1970, 0..2^32-1. */
  readonly timestamp: number;
}

export interface PlacedSection {
  readonly name: string;
  /** In the file. */
  readonly offset: number;
  /** Of the content. */
  readonly size: number;
  /** In the file, with padding. */
  readonly rawSize: number;
  readonly virtualAddress: number;
}

export interface UkiLayout {
  readonly bytes: Bytes;
  /** In table order, the stub's first. */
  readonly sections: readonly PlacedSection[];
}

/** Where the PE signature goes; the stub's DOS program is dropped. */
const PE_OFFSET = 0x80;
const ADDRESS_LIMIT = 2 ** 32;

/** A section with its place still open. */
interface Draft {
  readonly name: string;
  readonly virtualSize: number;
  readonly virtualAddress: number;
  readonly characteristics: number;
  readonly content: Bytes;
  readonly rawSize: number;
  readonly rawAlignment: number;
}

/**
 * Throws `invalid-input` when the stub is no PE32+ file, has no room for the section headers, when names do not fit, the time is out of range or
 * the result would reach 4 GiB.
 */
export function layoutUki(stub: Uint8Array, sections: readonly UkiSection[], options: UkiOptions): UkiLayout {
  checkTimestamp(options.timestamp);
  const image = decodePe(stub, 'UEFI stub');
  const drafts = [...stubDrafts(stub, image, sections), ...addedDrafts(image, sections)];
  const sizeOfHeaders = headersSize(image, drafts);
  const placed = placeRaw(drafts, sizeOfHeaders);
  const headers = encodeHeaders(stub, image, placed, sizeOfHeaders, options.timestamp);
  const contents = placed.map(({ draft, header }) => padTo(draft.content, header.rawSize));
  return {
    bytes: concat([padTo(ofMemory(headers), sizeOfHeaders), ...contents]),
    sections: placed.map(({ header }) => ({
      name: header.name,
      offset: header.rawOffset,
      size: header.virtualSize,
      rawSize: header.rawSize,
      virtualAddress: header.virtualAddress,
    })),
  };
}

function checkTimestamp(timestamp: number): void {
  if (!Number.isInteger(timestamp) || timestamp < 0 || timestamp >= ADDRESS_LIMIT) {
    throw invalid(`PE timestamp ${timestamp}: want whole seconds in 0..${ADDRESS_LIMIT - 1}`, {
      hint: 'SOURCE_DATE_EPOCH must fit the 32 bits of the header',
    });
  }
}

function stubDrafts(stub: Uint8Array, image: PeImage, added: readonly UkiSection[]): Draft[] {
  const { fileAlignment } = image.optional;
  return image.sections.map((section) => ({
    name: shortName(resolveSectionName(stub, image.coff, section.name, 'UEFI stub'), added),
    virtualSize: section.virtualSize,
    virtualAddress: section.virtualAddress,
    characteristics: section.characteristics,
    content: section.raw,
    rawSize: alignUp(section.rawSize, fileAlignment),
    rawAlignment: 1,
  }));
}

/**
 * The string table is not copied (nothing loads it), so a long name is cut. What boot loaders look for is short; a cut name that
 * looks like one of those would mislead them.
 */
function shortName(name: string, added: readonly UkiSection[]): string {
  if (name.length <= SECTION_NAME_SIZE) return name;
  const cut = name.slice(0, SECTION_NAME_SIZE);
  if (added.some((section) => section.name === cut)) {
    throw invalid(`UEFI stub: section name ${name} would become ${cut}, which is added too`);
  }
  return cut;
}

/** New sections follow the highest end: a table need not be sorted by address, and the last entry's end may lie inside another section. */
function addedDrafts(image: PeImage, sections: readonly UkiSection[]): Draft[] {
  const { fileAlignment, sectionAlignment } = image.optional;
  let end = Math.max(0, ...image.sections.map(({ virtualAddress, virtualSize }) => virtualAddress + virtualSize));
  return sections.map(({ name, content, rawAlignment = 1 }) => {
    if (rawAlignment > 1 && rawAlignment % fileAlignment !== 0) {
      throw invalid(`section ${name}: raw alignment ${rawAlignment}, want a multiple of ${fileAlignment}`);
    }
    const virtualAddress = alignUp(end, sectionAlignment);
    end = virtualAddress + content.size;
    return {
      name,
      virtualSize: content.size,
      virtualAddress,
      characteristics: SECTION_FLAG.read | SECTION_FLAG.initializedData,
      content,
      rawSize: alignUp(content.size, fileAlignment),
      rawAlignment,
    };
  });
}

function headersSize(image: PeImage, drafts: readonly Draft[]): number {
  if (drafts.length > LARGEST_SECTION_COUNT) {
    throw invalid(`UKI: ${drafts.length} sections, want at most ${LARGEST_SECTION_COUNT}`);
  }
  const end = PE_OFFSET + COFF_HEADER_SIZE + image.coff.sizeOfOptionalHeader + drafts.length * SECTION_HEADER_SIZE;
  const size = alignUp(end, image.optional.fileAlignment);
  const first = Math.min(...image.sections.map(({ virtualAddress }) => virtualAddress));
  if (size > first) {
    throw invalid(
      `UEFI stub: its first section is loaded at ${first}, and the headers of ${drafts.length} sections need ${size}`,
    );
  }
  return size;
}

interface Placed {
  readonly draft: Draft;
  readonly header: SectionHeader;
}

/** One behind the other from `start`; where a section asks for an alignment the one before is padded. */
function placeRaw(drafts: readonly Draft[], start: number): Placed[] {
  const placed: Placed[] = [];
  let position = start;
  for (const draft of drafts) {
    const aligned = alignUp(position, draft.rawAlignment);
    if (aligned > position) growLast(placed, aligned - position, draft);
    position = aligned;
    const { name, virtualSize, virtualAddress, rawSize, characteristics } = draft;
    placed.push({
      draft,
      header: { name, virtualSize, virtualAddress, rawSize, rawOffset: position, characteristics },
    });
    position += rawSize;
    if (position >= ADDRESS_LIMIT || virtualAddress + virtualSize >= ADDRESS_LIMIT) {
      throw invalid(
        `UKI: section ${name} ends at ${Math.max(position, virtualAddress + virtualSize)}, want less than 4 GiB`,
      );
    }
  }
  return placed;
}

/**
 * Pads the last section that has bytes in the file. Loaders copy the lesser of raw and virtual size, so the padding is never loaded, except
 * where the virtual size is 0: then firmware takes the raw size.
 */
function growLast(placed: Placed[], padding: number, next: Draft): void {
  const index = placed.findLastIndex(({ header }) => header.rawSize > 0);
  const last = placed[index];
  if (last === undefined || last.header.virtualSize === 0) {
    throw invalid(
      `section ${next.name}: cannot be aligned to ${next.rawAlignment}, no section before it can be padded`,
    );
  }
  const header = { ...last.header, rawSize: last.header.rawSize + padding };
  placed[index] = { draft: last.draft, header };
  // Empty sections between the two have no bytes, but their offset has to stay in order.
  for (let later = index + 1; later < placed.length; later++) {
    const empty = placed[later]!;
    placed[later] = { draft: empty.draft, header: { ...empty.header, rawOffset: empty.header.rawOffset + padding } };
  }
}

function encodeHeaders(
  stub: Uint8Array,
  image: PeImage,
  placed: readonly Placed[],
  sizeOfHeaders: number,
  timestamp: number,
): Uint8Array {
  const { coff, optionalOffset } = image;
  const optionalHeader = resizedOptionalHeader(
    stub.subarray(optionalOffset, optionalOffset + coff.sizeOfOptionalHeader),
    { ...sizesOf(placed), sizeOfImage: imageSize(image, placed), sizeOfHeaders },
  );
  const headers = new Uint8Array(
    PE_OFFSET + COFF_HEADER_SIZE + optionalHeader.length + placed.length * SECTION_HEADER_SIZE,
  );
  headers.set(movedDosHeader(stub, PE_OFFSET));
  headers.set(
    encodeCoffHeader({
      ...coff,
      numberOfSections: placed.length,
      timeDateStamp: timestamp,
      // Symbols are not copied: stubs of systemd before 254 still carry some.
      pointerToSymbolTable: 0,
      numberOfSymbols: 0,
    }),
    PE_OFFSET,
  );
  headers.set(optionalHeader, PE_OFFSET + COFF_HEADER_SIZE);
  const table = PE_OFFSET + COFF_HEADER_SIZE + optionalHeader.length;
  for (const [index, { header }] of placed.entries()) {
    headers.set(encodeSectionHeader(header), table + index * SECTION_HEADER_SIZE);
  }
  return headers;
}

function sizesOf(placed: readonly Placed[]): { readonly sizeOfCode: number; readonly sizeOfInitializedData: number } {
  let sizeOfCode = 0;
  let sizeOfInitializedData = 0;
  for (const { header } of placed) {
    if (header.characteristics & SECTION_FLAG.initializedData) sizeOfInitializedData += header.rawSize;
    else sizeOfCode += header.rawSize;
  }
  return { sizeOfCode, sizeOfInitializedData };
}

/** Up to the highest end in memory, aligned as a whole with the image base. */
function imageSize(image: PeImage, placed: readonly Placed[]): number {
  const { imageBase, sectionAlignment } = image.optional;
  const end = Math.max(...placed.map(({ header }) => header.virtualAddress + header.virtualSize));
  const alignment = BigInt(sectionAlignment);
  const top = imageBase + BigInt(end);
  const aligned = ((top + alignment - 1n) / alignment) * alignment;
  const size = Number(aligned - imageBase);
  if (size >= ADDRESS_LIMIT) throw invalid(`UKI: ${size} bytes in memory, want less than 4 GiB`);
  return size;
}
