/** All inodes in use, each in the table of its group. */
import { inodeSeed } from './checksum.ts';
import { INODE_SIZE } from './geometry.ts';
import { inodesUsedIn } from './group.ts';
import { encodeBadBlocksInode, encodeInode, encodeUnusedInode, INODE } from './inode.ts';
import type { EncodedInode, Written } from './inode-encoding.ts';
import type { Placement } from './placement.ts';
import type { Timestamp } from './timestamp.ts';

/** Of fixed numbers, for quotas and other systems: nobody has them here. */
const UNUSED = [3, 4, 5, 6, 9, 10];

/** Of each group with inodes in use the start of its table, as far as they are. `seed` is the volume's, `made` when inodes were made and changed. */
export function encodeInodeTables(
  placement: Placement,
  inodes: readonly EncodedInode[],
  seed: number,
  made: Timestamp,
): Written[] {
  const { geometry, tables } = placement;
  const { inodesPerGroup, blockSize } = geometry;
  const encoded: Written[] = [];
  for (let group = 0; group < tables.length; group++) {
    const used = inodesUsedIn(placement, group);
    if (used === 0) break;
    encoded.push({ at: tables[group]!.inodeTable * blockSize, data: new Uint8Array(used * INODE_SIZE) });
  }
  const slotOf = (number: number): Uint8Array => {
    const at = ((number - 1) % inodesPerGroup) * INODE_SIZE;
    return encoded[Math.floor((number - 1) / inodesPerGroup)]!.data.subarray(at, at + INODE_SIZE);
  };
  encodeBadBlocksInode(slotOf(INODE.badBlocks), made, inodeSeed(seed, INODE.badBlocks));
  for (const number of UNUSED) encodeUnusedInode(slotOf(number), inodeSeed(seed, number));
  for (const { number, fields } of inodes) {
    encodeInode(slotOf(number), { ...fields, changed: made }, inodeSeed(seed, number));
  }
  return encoded;
}
