/**
 * Where each group's bitmaps and inode table lie: with flexible groups those of sixteen groups are together at the start of the first
 * (flex_bg), so that what follows is not divided by them. As mke2fs has it, but for a group that is alone: there it leaves room for fifteen
 * more between them.
 */
import { FLEXIBLE_GROUPS, type Geometry, groupStart, headerBlocks, inodeTableBlocks } from './geometry.ts';
import type { Space } from './space.ts';

/** Blocks. */
export interface GroupTables {
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
}

/** Claims the headers of all groups and these, and gives their places by group. */
export function claimGroupTables(geometry: Geometry, space: Space): GroupTables[] {
  for (let group = 0; group < geometry.groupCount; group++) {
    const count = headerBlocks(geometry, group);
    if (count > 0) space.claim(groupStart(geometry, group), count);
  }
  const tables: GroupTables[] = [];
  for (let first = 0; first < geometry.groupCount; first += FLEXIBLE_GROUPS) {
    const count = Math.min(FLEXIBLE_GROUPS, geometry.groupCount - first);
    const from = groupStart(geometry, first);
    const blockBitmaps = space.claim(from, count);
    const inodeBitmaps = space.claim(blockBitmaps, count);
    for (let index = 0; index < count; index++) {
      tables.push({
        blockBitmap: blockBitmaps + index,
        inodeBitmap: inodeBitmaps + index,
        inodeTable: space.claim(inodeBitmaps, inodeTableBlocks(geometry)),
      });
    }
  }
  return tables;
}
