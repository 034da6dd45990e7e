/** A compressed grain: a marker of 12 bytes, little-endian, and a zlib stream (RFC 1950), padded to a sector. */
import { getU64, putU64, structure, viewOf } from '../../bytes/field.ts';
import { GRAIN_SECTORS, SECTOR } from './sparse-header.ts';

export const MARKER_SIZE = 12;

/** Of grain `number` of the disk, whose compressed form has `size` bytes. */
export function encodeMarker(number: number, size: number): Uint8Array {
  const { data, view } = structure(MARKER_SIZE);
  putU64(view, 0, number * GRAIN_SECTORS, true);
  view.setUint32(8, size, true);
  return data;
}

export function decodeMarker(data: Uint8Array): { readonly sector: number; readonly size: number } {
  const view = viewOf(data);
  return { sector: getU64(view, 0, true), size: view.getUint32(8, true) };
}

/** Sectors that a grain of `size` compressed bytes takes in the file. */
export function sectorsOf(size: number): number {
  return Math.ceil((MARKER_SIZE + size) / SECTOR);
}
