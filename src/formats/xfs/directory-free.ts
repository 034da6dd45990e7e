/**
 * Blocks that list the longest free space of each data block of a directory with several leaves. Big-endian but for the checksum.
 * Source: XFS Algorithms and Data Structures, "Node Directories".
 */
import { structure } from '../../bytes/field.ts';
import { seal } from './checksum.ts';
import type { ForkBlocks } from './da-node.ts';
import { CHECKSUM_OFFSET, encodeDirectoryHeader } from './directory-data.ts';
import { BLOCK_SIZE } from './geometry.ts';

const MAGIC = 0x58444633;
const HEADER_SIZE = 0x40;

/** Data blocks that one block lists. */
export const FREE_CAPACITY: number = (BLOCK_SIZE - HEADER_SIZE) / 2;

/** `best` is that of the data blocks from `first` on. */
export function encodeFreeBlock(first: number, best: readonly number[], self: number, fork: ForkBlocks): Uint8Array {
  const { data, view } = structure(BLOCK_SIZE);
  encodeDirectoryHeader(view, { magic: MAGIC, self, uuid: fork.uuid, inode: fork.inode });
  view.setUint32(0x30, first);
  view.setUint32(0x34, best.length);
  view.setUint32(0x38, best.length); // all of the listed blocks are there
  for (const [index, free] of best.entries()) view.setUint16(HEADER_SIZE + index * 2, free);
  seal(data, CHECKSUM_OFFSET);
  return data;
}
