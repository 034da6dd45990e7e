/**
 * Section headers, 40 bytes each, integers little-endian: name (8, NUL-padded), u32 virtual size, u32 virtual address, u32 raw size,
 * u32 raw offset, 12 bytes for relocations and line numbers (object files only), u32 characteristics.
 * Source: PE/COFF specification, "Section Table".
 */
import { putAscii, structure, viewOf } from '../../bytes/field.ts';

export interface SectionHeader {
  /** Up to eight bytes, one character each; `/n` is a place in the string table. */
  readonly name: string;
  /** Bytes in memory. */
  readonly virtualSize: number;
  readonly virtualAddress: number;
  /** Bytes in the file; memory gets the lesser of both sizes and zeros for the rest. */
  readonly rawSize: number;
  readonly rawOffset: number;
  readonly characteristics: number;
}

export const SECTION_HEADER_SIZE = 40;
export const SECTION_NAME_SIZE = 8;

export const SECTION_FLAG = { initializedData: 0x40, read: 0x40000000 } as const;

export function decodeSectionHeader(data: Uint8Array, offset: number): SectionHeader {
  const view = viewOf(data);
  return {
    name: decodeName(data.subarray(offset, offset + SECTION_NAME_SIZE)),
    virtualSize: view.getUint32(offset + 8, true),
    virtualAddress: view.getUint32(offset + 12, true),
    rawSize: view.getUint32(offset + 16, true),
    rawOffset: view.getUint32(offset + 20, true),
    characteristics: view.getUint32(offset + 36, true),
  };
}

/** Throws `invalid-input` for a name that is not ASCII or longer than eight characters. */
export function encodeSectionHeader(header: SectionHeader): Uint8Array {
  const { data, view } = structure(SECTION_HEADER_SIZE);
  putAscii(data, 0, SECTION_NAME_SIZE, header.name);
  view.setUint32(8, header.virtualSize, true);
  view.setUint32(12, header.virtualAddress, true);
  view.setUint32(16, header.rawSize, true);
  view.setUint32(20, header.rawOffset, true);
  view.setUint32(36, header.characteristics, true);
  return data;
}

function decodeName(data: Uint8Array): string {
  const end = data.indexOf(0);
  return String.fromCharCode(...(end < 0 ? data : data.subarray(0, end)));
}
