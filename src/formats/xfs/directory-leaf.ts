/**
 * Hashes of a directory's names with the places of their entries: at the end of a directory of one block, in one leaf, or in many below a
 * hash tree. Big-endian. Source: XFS Algorithms and Data Structures, "Block Directories", "Leaf Directories", "Node Directories".
 */
import { encodeDaBlock } from './da-block.ts';
import type { ForkBlocks } from './da-node.ts';
import type { Slot } from './directory-data.ts';
import { BLOCK_SIZE } from './geometry.ts';
import { hashName } from './name-hash.ts';

/** The only leaf, which has the free space of all data blocks at its end. */
const LEAF_1_MAGIC = 0x3df1;
/** One of several; the free space has blocks of its own. */
const LEAF_N_MAGIC = 0x3dff;

const HEADER_SIZE = 0x40;
const ENTRY_SIZE = 8;
const BEST_SIZE = 2;
const TAIL_SIZE = 4;

/** Entries of one of several leaves. */
export const LEAF_CAPACITY: number = (BLOCK_SIZE - HEADER_SIZE) / ENTRY_SIZE;

export interface HashEntry {
  readonly hash: number;
  /** Offset in the directory, in units of 8 bytes. */
  readonly address: number;
}

/** In the order of their hashes. */
export function hashEntriesOf(slots: readonly Slot[]): HashEntry[] {
  return slots
    .map(({ name, offset }) => ({ hash: hashName(name), address: offset / 8 }))
    .sort((a, b) => a.hash - b.hash || a.address - b.address);
}

export function encodeHashEntries(view: DataView, at: number, entries: readonly HashEntry[]): void {
  for (const [index, { hash, address }] of entries.entries()) {
    view.setUint32(at + index * ENTRY_SIZE, hash);
    view.setUint32(at + index * ENTRY_SIZE + 4, address);
  }
}

/** Whether one leaf is enough for so many entries and data blocks. */
export function fitsOneLeaf(entries: number, dataBlocks: number): boolean {
  return HEADER_SIZE + entries * ENTRY_SIZE + dataBlocks * BEST_SIZE + TAIL_SIZE <= BLOCK_SIZE;
}

/** `best` has the longest free space of each data block. */
export function encodeOnlyLeaf(
  entries: readonly HashEntry[],
  best: readonly number[],
  self: number,
  fork: ForkBlocks,
): Uint8Array {
  const header = { magic: LEAF_1_MAGIC, self, previous: 0, next: 0, uuid: fork.uuid, inode: fork.inode };
  return encodeDaBlock(header, (view) => {
    view.setUint16(0x38, entries.length);
    encodeHashEntries(view, HEADER_SIZE, entries);
    const bests = BLOCK_SIZE - TAIL_SIZE - best.length * BEST_SIZE;
    for (const [index, free] of best.entries()) view.setUint16(bests + index * BEST_SIZE, free);
    view.setUint32(BLOCK_SIZE - TAIL_SIZE, best.length);
  });
}

export function encodeLeaf(
  entries: readonly HashEntry[],
  self: number,
  siblings: { readonly previous: number; readonly next: number },
  fork: ForkBlocks,
): Uint8Array {
  const header = { magic: LEAF_N_MAGIC, self, ...siblings, uuid: fork.uuid, inode: fork.inode };
  return encodeDaBlock(header, (view) => {
    view.setUint16(0x38, entries.length);
    encodeHashEntries(view, HEADER_SIZE, entries);
  });
}
