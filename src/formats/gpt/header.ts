/** The GPT header: 92 bytes, little-endian, in the first and in the last sector of a table. Source: UEFI 2.10 section 5.3.2. */
import { crc32 } from '../../bytes/crc32.ts';
import { getU64, putAscii, putU64, structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { decodeGuid, encodeGuid, type Guid } from './guid.ts';

export const HEADER_SIZE = 92;

/** Addresses are in sectors of the disk, 512 or 4096 bytes. */
export interface GptHeader {
  /** Where this header lies, and where its twin does. */
  readonly lba: number;
  readonly alternateLba: number;
  /** Both inclusive. */
  readonly firstUsable: number;
  readonly lastUsable: number;
  readonly diskGuid: Guid;
  readonly entriesLba: number;
  readonly entryCount: number;
  /** Bytes. */
  readonly entrySize: number;
  /** CRC-32 over all entries. */
  readonly entriesCrc: number;
}

export function encodeHeader(header: GptHeader): Uint8Array {
  const { data, view } = structure(HEADER_SIZE);
  putAscii(data, 0, 8, 'EFI PART');
  view.setUint32(8, 0x00010000, true);
  view.setUint32(12, HEADER_SIZE, true);
  putU64(view, 24, header.lba, true);
  putU64(view, 32, header.alternateLba, true);
  putU64(view, 40, header.firstUsable, true);
  putU64(view, 48, header.lastUsable, true);
  data.set(encodeGuid(header.diskGuid), 56);
  putU64(view, 72, header.entriesLba, true);
  view.setUint32(80, header.entryCount, true);
  view.setUint32(84, header.entrySize, true);
  view.setUint32(88, header.entriesCrc, true);
  view.setUint32(16, crc32(data), true);
  return data;
}

/** Whether a sector begins with the signature of a header, sound or not. */
export function looksLikeHeader(sector: Uint8Array): boolean {
  return String.fromCharCode(...sector.subarray(0, 8)) === 'EFI PART';
}

/**
 * The header in a sector that should be at `lba`. Throws `invalid-input` when the signature, a size, the CRC or its own address is wrong.
 * What it says about other places is not judged.
 */
export function decodeHeader(sector: Uint8Array, lba: number): GptHeader {
  if (sector.length < HEADER_SIZE || !looksLikeHeader(sector)) throw invalid(`GPT header at ${lba}: no "EFI PART"`);
  const view = viewOf(sector);
  const size = view.getUint32(12, true);
  if (size < HEADER_SIZE || size > sector.length) {
    throw invalid(`GPT header at ${lba}: says it has ${size} bytes, want ${HEADER_SIZE} to ${sector.length}`);
  }
  const summed = sector.slice(0, size);
  summed.fill(0, 16, 20);
  const sum = crc32(summed);
  if (sum !== view.getUint32(16, true))
    throw invalid(`GPT header at ${lba}: CRC ${hex(view.getUint32(16, true))}, want ${hex(sum)}`);
  const own = getU64(view, 24, true);
  if (own !== lba) throw invalid(`GPT header at ${lba}: says it is at ${own}`);
  return {
    lba,
    alternateLba: getU64(view, 32, true),
    firstUsable: getU64(view, 40, true),
    lastUsable: getU64(view, 48, true),
    diskGuid: decodeGuid(sector.subarray(56)),
    entriesLba: getU64(view, 72, true),
    entryCount: view.getUint32(80, true),
    entrySize: view.getUint32(84, true),
    entriesCrc: view.getUint32(88, true),
  };
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
