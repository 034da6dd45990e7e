/** Group descriptors of 64 bytes, little-endian. Source: Linux `Documentation/filesystems/ext4/group_descr.rst`. */
import { structure, viewOf } from '../../bytes/field.ts';
import { after32, checksum } from './checksum.ts';
import { DESCRIPTOR_SIZE } from './geometry.ts';
import type { GroupTables } from './group-tables.ts';

/** Bits of `bg_flags`. The first two: the bitmap says nothing, all is free but the group's own metadata. */
export const GROUP_FLAGS = { inodesUnused: 1, blocksUnused: 2, tableZeroed: 4 } as const;

const CHECKSUM_OFFSET = 0x1e;

export interface GroupState {
  readonly tables: GroupTables;
  readonly freeBlocks: number;
  readonly freeInodes: number;
  readonly directories: number;
  /** Inodes at the end of the table that were never in use. */
  readonly unusedInodes: number;
  readonly flags: number;
  /** Checksums of the bitmaps; 0 for one that says nothing. */
  readonly blockBitmapChecksum: number;
  readonly inodeBitmapChecksum: number;
}

export function encodeGroupDescriptor(group: number, state: GroupState, seed: number): Uint8Array {
  const { data, view } = structure(DESCRIPTOR_SIZE);
  const put16 = (low: number, high: number, value: number): void => {
    view.setUint16(low, value & 0xffff, true);
    view.setUint16(high, value >>> 16, true);
  };
  // Block numbers have 32 bits, so their high halves stay 0.
  view.setUint32(0x00, state.tables.blockBitmap, true);
  view.setUint32(0x04, state.tables.inodeBitmap, true);
  view.setUint32(0x08, state.tables.inodeTable, true);
  put16(0x0c, 0x2c, state.freeBlocks);
  put16(0x0e, 0x2e, state.freeInodes);
  put16(0x10, 0x30, state.directories);
  view.setUint16(0x12, state.flags, true);
  put16(0x18, 0x38, state.blockBitmapChecksum);
  put16(0x1a, 0x3a, state.inodeBitmapChecksum);
  put16(0x1c, 0x32, state.unusedInodes);
  view.setUint16(CHECKSUM_OFFSET, descriptorChecksum(group, data, seed), true);
  return data;
}

function descriptorChecksum(group: number, data: Uint8Array, seed: number): number {
  const copy = data.slice();
  viewOf(copy).setUint16(CHECKSUM_OFFSET, 0, true);
  return checksum(after32(seed, group), copy) & 0xffff;
}

/** Whether the descriptor has its checksum; it may be of 32 bytes. */
export function isSealedDescriptor(group: number, data: Uint8Array, seed: number): boolean {
  return viewOf(data).getUint16(CHECKSUM_OFFSET, true) === descriptorChecksum(group, data, seed);
}

export interface DecodedGroupDescriptor {
  /** Block. */
  readonly inodeTable: number;
  readonly flags: number;
  /** Inodes at the end of the table that were never in use. */
  readonly unusedInodes: number;
}

/** `data` has 32 bytes or, with high halves, 64. */
export function decodeGroupDescriptor(data: Uint8Array): DecodedGroupDescriptor {
  const view = viewOf(data);
  const large = data.length >= DESCRIPTOR_SIZE;
  return {
    inodeTable: view.getUint32(0x08, true) + (large ? view.getUint32(0x28, true) : 0) * 2 ** 32,
    flags: view.getUint16(0x12, true),
    unusedInodes: view.getUint16(0x1c, true) + (large ? view.getUint16(0x32, true) : 0) * 2 ** 16,
  };
}
