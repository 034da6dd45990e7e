/** Where everything lies: tables and journal at their places, then what is small, then the contents in tree order, in one piece as far as can be. */
import { type Extent, extentsOf, treeBlockCount } from './extent-tree.ts';
import { FLEXIBLE_GROUPS, type Geometry, groupLength, groupStart, headerBlocks, inodeTableBlocks } from './geometry.ts';
import { claimGroupTables, type GroupTables } from './group-tables.ts';
import type { PlannedInode } from './inode-plan.ts';
import { lengthOf, type Run, Space } from './space.ts';

export interface PlacedData {
  readonly extents: readonly Extent[];
  /** Blocks of the tree of extents, its root apart. */
  readonly treeBlocks: readonly number[];
}

export interface PlacedInode extends PlacedData {
  readonly planned: PlannedInode;
  /** 0 for none. */
  readonly attributeBlock: number;
}

export interface Placement {
  readonly geometry: Geometry;
  readonly tables: readonly GroupTables[];
  readonly space: Space;
  /** In the order of their numbers. */
  readonly inodes: readonly PlacedInode[];
  /** The doubly indirect block of the resize inode. */
  readonly resizeBlock: number;
  readonly journal: PlacedData;
  readonly orphans: PlacedData;
}

/** `planned` is in the order of its numbers, root and lost+found first. Gives `undefined` when there is no room for all. */
export function placeAll(geometry: Geometry, planned: readonly PlannedInode[]): Placement | undefined {
  const space = new Space(geometry.firstBlock, geometry.blocks);
  const tables = claimGroupTables(geometry, space);
  if (space.exhausted) return undefined;
  const middle = journalGroup(geometry, space);
  const claimed = middle === 0 ? undefined : space.claimPieces(groupStart(geometry, middle), geometry.journalBlocks);
  const place = (runs: readonly Run[]): PlacedData => placed(geometry, space, runs);
  const data = new Map<PlannedInode, PlacedData>();
  const placeData = (one: PlannedInode): void => {
    data.set(one, place(space.allocate(one.blocks)));
  };
  const [root, lostAndFound, ...rest] = planned;
  placeData(root!);
  placeData(lostAndFound!);
  const resizeBlock = firstOf(space.allocate(1));
  const journal = place(claimed ?? space.allocate(geometry.journalBlocks));
  const orphans = place(space.allocate(geometry.orphanBlocks));
  for (const one of rest) if (one.data.kind !== 'file') placeData(one);
  const attributeBlocks = new Map<PlannedInode, number>();
  for (const one of planned) {
    if (one.attributes.inBlock.length > 0) attributeBlocks.set(one, firstOf(space.allocate(1)));
  }
  for (const one of rest) if (one.data.kind === 'file') placeData(one);
  if (space.exhausted) return undefined;
  const inodes = planned.map((one) => ({
    planned: one,
    ...data.get(one)!,
    attributeBlock: attributeBlocks.get(one) ?? 0,
  }));
  return { geometry, tables, space, inodes, resizeBlock, journal, orphans };
}

function placed({ blockSize }: Geometry, space: Space, runs: readonly Run[]): PlacedData {
  const extents = extentsOf(runs);
  const treeBlocks = space.allocate(treeBlockCount(extents.length, blockSize)).flatMap(blocksIn);
  return { extents, treeBlocks };
}

export function blocksIn({ start, end }: Run): number[] {
  return Array.from({ length: end - start }, (_, index) => start + index);
}

function firstOf([run]: readonly Run[]): number {
  return run!.start;
}

/** Where mke2fs has the journal begin: about the middle, so that no block is far from it, in the emptiest of the groups there. */
function journalGroup(geometry: Geometry, space: Space): number {
  const { blocks, firstBlock, groupBlocks, groupCount } = geometry;
  const free = (group: number): number => {
    const start = groupStart(geometry, group);
    const length = groupLength(geometry, group);
    return length - lengthOf(space.usedBetween(start, start + length));
  };
  const middle = Math.floor((Math.floor((blocks - firstBlock) / 2) - firstBlock) / groupBlocks);
  const inFirst = middle <= FLEXIBLE_GROUPS;
  const first = inFirst ? Math.max(0, middle - 1) : middle - (middle % FLEXIBLE_GROUPS);
  const last = Math.min((inFirst ? middle : first) + 1, groupCount - 1);
  let best = first;
  for (let group = first + 1; group <= last; group++) if (free(group) > free(best)) best = group;
  return best;
}

/** Blocks that are not there for what the volume holds. */
export function overheadOf(geometry: Geometry): number {
  const { groupCount, firstBlock, journalBlocks } = geometry;
  let blocks = firstBlock + journalBlocks + groupCount * (2 + inodeTableBlocks(geometry));
  for (let group = 0; group < groupCount; group++) blocks += headerBlocks(geometry, group);
  return blocks;
}
