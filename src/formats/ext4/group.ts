/** A group's bitmaps, and what its descriptor says. */
import { encodeBitmap } from './bitmap.ts';
import { checksum } from './checksum.ts';
import type { VolumeBlock } from './extent-tree.ts';
import { type Geometry, groupLength, groupStart } from './geometry.ts';
import { GROUP_FLAGS, type GroupState } from './group-descriptor.ts';
import { INODE } from './inode.ts';
import type { Placement } from './placement.ts';
import { lengthOf } from './space.ts';

export interface EncodedGroup {
  readonly state: GroupState;
  /** Bitmaps; one that says nothing is left out. */
  readonly bitmaps: readonly VolumeBlock[];
}

/** All groups. `seed` is the volume's. */
export function encodeGroups(placement: Placement, seed: number): EncodedGroup[] {
  const { geometry } = placement;
  const full = encodeBitmap(geometry.groupBlocks, geometry.blockSize, [{ start: 0, end: geometry.groupBlocks }]);
  const fullBitmap: Bitmap = { data: full, checksum: checksum(seed, full) };
  const directories = directoriesByGroup(placement);
  return placement.tables.map((_, group) => encodeGroup(placement, group, directories[group]!, fullBitmap, seed));
}

interface Bitmap {
  readonly data: Uint8Array;
  readonly checksum: number;
}

function encodeGroup(
  placement: Placement,
  group: number,
  directories: number,
  full: Bitmap,
  seed: number,
): EncodedGroup {
  const { geometry, tables } = placement;
  const { inodesPerGroup, groupCount } = geometry;
  const place = tables[group]!;
  const length = groupLength(geometry, group);
  const usedInodes = inodesUsedIn(placement, group);
  const { bitmap, usedBlocks } = blockBitmap(placement, group, full, seed);
  const inodeBitmap = usedInodes > 0 ? encodeInodeBitmap(geometry, usedInodes, seed) : undefined;
  // The last group's bitmap has to say where the volume ends.
  const blocksUnused = usedBlocks === 0 && usedInodes === 0 && group < groupCount - 1;
  const flags =
    GROUP_FLAGS.tableZeroed |
    (usedInodes === 0 ? GROUP_FLAGS.inodesUnused : 0) |
    (blocksUnused ? GROUP_FLAGS.blocksUnused : 0);
  const bitmaps: VolumeBlock[] = [];
  if (!blocksUnused) bitmaps.push({ block: place.blockBitmap, data: bitmap.data });
  if (inodeBitmap !== undefined) bitmaps.push({ block: place.inodeBitmap, data: inodeBitmap.data });
  return {
    bitmaps,
    state: {
      tables: place,
      freeBlocks: length - usedBlocks,
      freeInodes: inodesPerGroup - usedInodes,
      directories,
      unusedInodes: inodesPerGroup - usedInodes,
      flags,
      blockBitmapChecksum: blocksUnused ? 0 : bitmap.checksum,
      inodeBitmapChecksum: inodeBitmap?.checksum ?? 0,
    },
  };
}

function blockBitmap(
  { geometry, space }: Placement,
  group: number,
  full: Bitmap,
  seed: number,
): { readonly bitmap: Bitmap; readonly usedBlocks: number } {
  const start = groupStart(geometry, group);
  const length = groupLength(geometry, group);
  const used = space
    .usedBetween(start, start + length)
    .map((run) => ({ start: run.start - start, end: run.end - start }));
  const usedBlocks = lengthOf(used);
  // Groups filled by contents are many, and all the same.
  if (usedBlocks === length) return { bitmap: full, usedBlocks };
  const data = encodeBitmap(length, geometry.blockSize, used);
  return { bitmap: { data, checksum: checksum(seed, data) }, usedBlocks };
}

/** Inodes are given out in order, so those in use come first. */
function encodeInodeBitmap({ inodesPerGroup, blockSize }: Geometry, used: number, seed: number): Bitmap {
  const data = encodeBitmap(inodesPerGroup, blockSize, [{ start: 0, end: used }]);
  return { data, checksum: checksum(seed, data.subarray(0, inodesPerGroup / 8)) };
}

/** Inodes in use, those of fixed numbers too. */
export function inodesUsedIn({ geometry, inodes }: Placement, group: number): number {
  const before = group * geometry.inodesPerGroup;
  return Math.min(Math.max(lastInode(inodes) - before, 0), geometry.inodesPerGroup);
}

function lastInode(inodes: Placement['inodes']): number {
  return Math.max(INODE.orphans, inodes.at(-1)!.planned.number);
}

function directoriesByGroup({ geometry, inodes, tables }: Placement): number[] {
  const counts = tables.map(() => 0);
  for (const { planned } of inodes) {
    if (planned.data.kind === 'directory') {
      counts[Math.floor((planned.number - 1) / geometry.inodesPerGroup)]!++;
    }
  }
  return counts;
}
