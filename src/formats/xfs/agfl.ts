/**
 * AGFL, the fourth sector of an allocation group: blocks set aside for its B+trees about space. Big-endian but for the checksum.
 * Source: XFS Algorithms and Data Structures, "AG Free List".
 */
import { structure } from '../../bytes/field.ts';
import { NULL_32 } from './agi.ts';
import { seal } from './checksum.ts';

const MAGIC = 0x5841464c;
const CHECKSUM_OFFSET = 0x20;
const HEADER_SIZE = 0x24;

/** Index of the first entry: as mkfs.xfs leaves it. */
export const FREE_LIST_FIRST = 1;

/** Blocks that fit behind the first entry. */
export function freeListCapacity(sectorSize: number): number {
  return Math.floor((sectorSize - HEADER_SIZE) / 4) - FREE_LIST_FIRST;
}

/** One sector. `blocks` are AG blocks, at most `freeListCapacity`. */
export function encodeAgfl(sectorSize: number, uuid: Uint8Array, ag: number, blocks: readonly number[]): Uint8Array {
  const { data, view } = structure(sectorSize);
  view.setUint32(0x00, MAGIC);
  view.setUint32(0x04, ag);
  data.set(uuid, 0x08);
  for (let at = HEADER_SIZE; at + 4 <= sectorSize; at += 4) view.setUint32(at, NULL_32);
  for (const [index, block] of blocks.entries()) view.setUint32(HEADER_SIZE + (FREE_LIST_FIRST + index) * 4, block);
  seal(data, CHECKSUM_OFFSET);
  return data;
}
