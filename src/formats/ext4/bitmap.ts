/** Bitmaps of blocks and inodes: a bit each, the lowest first, set when it is in use or stands for nothing. */
import type { Run } from './space.ts';

/** `bits` bits of which those in `used` are set, in `size` bytes; what lies behind the last bit is set. Positions count from the first bit. */
export function encodeBitmap(bits: number, size: number, used: readonly Run[]): Uint8Array {
  const data = new Uint8Array(size);
  for (const { start, end } of used) setBits(data, start, end);
  setBits(data, bits, size * 8);
  return data;
}

function setBits(data: Uint8Array, start: number, end: number): void {
  let bit = start;
  for (; bit < end && bit % 8 !== 0; bit++) data[bit >>> 3]! |= 1 << (bit & 7);
  data.fill(0xff, bit >>> 3, Math.max(bit, end) >>> 3);
  for (bit = Math.max(bit, end - (end % 8)); bit < end; bit++) data[bit >>> 3]! |= 1 << (bit & 7);
}
