/** Blocks, and numbers stored in both byte orders: little-endian first. Source: ECMA-119 sections 6.1.2, 7.2.3, 7.3.3. */
import { invalid } from '../../errors.ts';

/** Bytes of a logical block: everything addressed in a volume begins at a multiple of it. */
export const BLOCK_SIZE = 2048;

export function blocksOf(size: number): number {
  return Math.ceil(size / BLOCK_SIZE);
}

export function putBothU16(view: DataView, offset: number, value: number): void {
  view.setUint16(offset, value, true);
  view.setUint16(offset + 2, value, false);
}

export function putBothU32(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value, true);
  view.setUint32(offset + 4, value, false);
}

/** Throws `invalid-input` when the two forms differ. */
export function getBothU16(view: DataView, offset: number, what: string): number {
  return agreed(view.getUint16(offset, true), view.getUint16(offset + 2, false), what);
}

/** Throws `invalid-input` when the two forms differ. */
export function getBothU32(view: DataView, offset: number, what: string): number {
  return agreed(view.getUint32(offset, true), view.getUint32(offset + 4, false), what);
}

function agreed(little: number, big: number, what: string): number {
  if (little !== big) throw invalid(`ISO 9660 ${what}: ${little} in one byte order, ${big} in the other`);
  return little;
}
