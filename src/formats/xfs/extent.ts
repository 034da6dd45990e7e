/**
 * Extents of files: 128 bits, big-endian. Source: XFS Algorithms and Data Structures, "Extent List".
 *
 * | bits | |
 * |---|---|
 * | 127 | unwritten: allocated, reads as zeros |
 * | 126..73 | block within the file |
 * | 72..21 | file system block |
 * | 20..0 | blocks |
 */
export const EXTENT_SIZE = 16;

/** Blocks of one extent: 21 bits. */
export const MAXIMUM_EXTENT_BLOCKS: number = 2 ** 21 - 1;

export interface Extent {
  /** Block within the file. */
  readonly offset: number;
  /** File system block. */
  readonly start: number;
  /** Blocks. */
  readonly count: number;
  readonly unwritten: boolean;
}

export function encodeExtent(view: DataView, at: number, { offset, start, count, unwritten }: Extent): void {
  const value = (BigInt(unwritten ? 1 : 0) << 127n) | (BigInt(offset) << 73n) | (BigInt(start) << 21n) | BigInt(count);
  view.setBigUint64(at, value >> 64n);
  view.setBigUint64(at + 8, value & 0xffffffffffffffffn);
}

export function decodeExtent(view: DataView, at: number): Extent {
  const high = view.getBigUint64(at);
  const low = view.getBigUint64(at + 8);
  return {
    offset: Number((high >> 9n) & ((1n << 54n) - 1n)),
    start: Number(((high & 0x1ffn) << 43n) | (low >> 21n)),
    count: Number(low & 0x1fffffn),
    unwritten: high >> 63n === 1n,
  };
}
