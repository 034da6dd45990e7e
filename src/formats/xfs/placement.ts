/**
 * Where everything in a volume goes. The trees about space take space themselves, so it is tried with as many blocks for them as the
 * attempt before turned out to need.
 */
import { blockCount, SHORT, shapeOf, type TreeShape } from './btree.ts';
import { FREE_BY_BLOCK, FREE_BY_SIZE, type FreeExtent } from './free-space-btree.ts';
import {
  afterLog,
  BLOCKS_PER_CHUNK,
  blockOf,
  firstChunk,
  freeListLength,
  type Geometry,
  headerBlocks,
  INODES_PER_BLOCK,
  INODES_PER_CHUNK,
  leastFreeListLength,
  rootsOf,
} from './geometry.ts';
import { FREE_INODE_TREE, INODE_TREE, type InodeChunk } from './inode-btree.ts';
import { type PlacedInode, type PlacedTree, placeFile, placeSmall } from './inode-placement.ts';
import type { PlannedInode } from './inode-plan.ts';
import { OWNER, REVERSE_MAP_TREE, type ReverseMapping } from './reverse-map-btree.ts';
import { type Alignment, Space } from './space.ts';

/** An AG with all its trees. Blocks of trees are volume blocks, the root first. */
export interface PlacedGroup {
  readonly ag: number;
  readonly chunks: readonly InodeChunk[];
  /** In the order of their blocks. */
  readonly free: readonly FreeExtent[];
  readonly mappings: readonly ReverseMapping[];
  /** AG blocks. */
  readonly freeList: readonly number[];
  readonly freeByBlock: PlacedTree;
  readonly freeBySize: PlacedTree;
  readonly inodeTree: PlacedTree;
  readonly freeInodeTree: PlacedTree;
  readonly reverseMap: PlacedTree | undefined;
  readonly referenceCount: PlacedTree;
}

export interface Placement {
  readonly inodes: readonly PlacedInode[];
  readonly groups: readonly PlacedGroup[];
}

export interface Demand {
  /** In the order of their creation. */
  readonly planned: readonly PlannedInode[];
  /** Inodes in use, by AG. */
  readonly inodesUsed: readonly number[];
  /** Those of `planned` that are files, in the order in which their content shall lie. */
  readonly files: readonly PlannedInode[];
  alignmentOf(size: number): Alignment;
}

/** `undefined` when it does not fit. */
export function placeAll(geometry: Geometry, demand: Demand): Placement | undefined {
  // Blocks for trees about space, by AG, besides the least length of the free list.
  const extra = Array.from({ length: geometry.agCount }, () => 0);
  for (;;) {
    const space = new Space(geometry);
    const starts = extra.map((count, ag) => claimGroup(geometry, space, ag, demand.inodesUsed[ag]!, count));
    const inodes = placeInodes(demand, space);
    if (space.exhausted) return undefined;
    const missing = extra.map((count, ag) => missingBlocks(geometry, space, ag, count));
    if (missing.every((count) => count === 0)) {
      const groups = starts.map((start, ag) => placeGroup(geometry, space, start, ag, extra[ag]!));
      return { inodes, groups };
    }
    for (const [ag, count] of missing.entries()) extra[ag]! += count;
  }
}

interface GroupStart {
  readonly chunks: readonly InodeChunk[];
  /** AG blocks for trees of inodes, roots not counted, and for trees about space. */
  readonly inodeTreeBlocks: number;
  readonly spaceTreeBlocks: number;
}

/** Headers, roots, log, free list, inodes, and the blocks for trees, in this order. */
function claimGroup(geometry: Geometry, space: Space, ag: number, inodesUsed: number, extra: number): GroupStart {
  const { reverseMap } = rootsOf(geometry);
  space.claimNext(ag, headerBlocks(geometry), OWNER.headers);
  space.claimNext(ag, 2, OWNER.ag); // free space by block and by size
  space.claimNext(ag, 2, OWNER.inodeTrees);
  if (reverseMap !== undefined) space.claimNext(ag, 1, OWNER.ag);
  space.claimNext(ag, 1, OWNER.referenceCount);
  if (ag === geometry.logAg) space.claimNext(ag, geometry.logBlocks, OWNER.log);
  space.claimNext(ag, leastFreeListLength(geometry), OWNER.ag);
  const chunks = chunksOf(geometry, ag, inodesUsed);
  if (chunks.length > 0) space.claim(ag, firstChunk(geometry, ag), chunks.length * BLOCKS_PER_CHUNK, OWNER.inodes);
  const inodeTreeBlocks = space.claimNext(ag, extraInodeTreeBlocks(chunks), OWNER.inodeTrees);
  const spaceTreeBlocks = space.claimNext(ag, extra, OWNER.ag);
  return { chunks, inodeTreeBlocks, spaceTreeBlocks };
}

function chunksOf(geometry: Geometry, ag: number, inodesUsed: number): InodeChunk[] {
  const first = firstChunk(geometry, ag) * INODES_PER_BLOCK;
  return Array.from({ length: Math.ceil(inodesUsed / INODES_PER_CHUNK) }, (_, index) => ({
    firstInode: first + index * INODES_PER_CHUNK,
    used: Math.min(INODES_PER_CHUNK, inodesUsed - index * INODES_PER_CHUNK),
  }));
}

function chunksWithFree(chunks: readonly InodeChunk[]): InodeChunk[] {
  return chunks.filter(({ used }) => used < INODES_PER_CHUNK);
}

function extraInodeTreeBlocks(chunks: readonly InodeChunk[]): number {
  const all = shapeOf(chunks.length, INODE_TREE, SHORT);
  const free = shapeOf(chunksWithFree(chunks).length, FREE_INODE_TREE, SHORT);
  return blockCount(all) - 1 + (blockCount(free) - 1);
}

function placeInodes({ planned, files, alignmentOf }: Demand, space: Space): PlacedInode[] {
  const placed = new Map<PlannedInode, PlacedInode>();
  // What drivers read first lies first, close together.
  for (const one of planned) if (one.data.kind !== 'file') placed.set(one, placeSmall(one, space));
  for (const one of files) {
    if (one.data.kind !== 'file') continue;
    const { size } = one.data.content;
    placed.set(one, placeFile(one, size, alignmentOf(size), space));
  }
  return planned.map((one) => placed.get(one)!);
}

function spaceTreeShapes(geometry: Geometry, space: Space, ag: number) {
  const free = space.freeExtents(ag);
  const mappings = space.mappings(ag);
  return {
    free,
    mappings,
    freeByBlock: shapeOf(free.length, FREE_BY_BLOCK, SHORT),
    freeBySize: shapeOf(free.length, FREE_BY_SIZE, SHORT),
    reverseMap: geometry.features.rmapbt ? shapeOf(mappings.length, REVERSE_MAP_TREE, SHORT) : undefined,
  };
}

/** How many blocks more than `extra` this AG's trees about space and its free list take. */
function missingBlocks(geometry: Geometry, space: Space, ag: number, extra: number): number {
  const { freeByBlock, freeBySize, reverseMap } = spaceTreeShapes(geometry, space, ag);
  const levels = {
    freeByBlock: freeByBlock.length,
    freeBySize: freeBySize.length,
    reverseMap: reverseMap?.length ?? 0,
  };
  const borrowed =
    blockCount(freeByBlock) -
    1 +
    (blockCount(freeBySize) - 1) +
    (reverseMap === undefined ? 0 : blockCount(reverseMap) - 1);
  return Math.max(0, borrowed + freeListLength(levels) - leastFreeListLength(geometry) - extra);
}

function placeGroup(geometry: Geometry, space: Space, start: GroupStart, ag: number, extra: number): PlacedGroup {
  const { chunks } = start;
  const { free, mappings, freeByBlock, freeBySize, reverseMap } = spaceTreeShapes(geometry, space, ag);
  const roots = rootsOf(geometry);
  const forInodes = range(start.inodeTreeBlocks, extraInodeTreeBlocks(chunks));
  const forSpace = [
    ...range(afterLog(geometry, ag), leastFreeListLength(geometry)),
    ...range(start.spaceTreeBlocks, extra),
  ];
  const place = (shape: TreeShape, root: number, pool: number[]): PlacedTree => {
    const rest = pool.splice(pool.length - (blockCount(shape) - 1), blockCount(shape) - 1);
    return { shape, blocks: [root, ...rest].map((agBlock) => blockOf(geometry, ag, agBlock)) };
  };
  return {
    ag,
    chunks,
    free,
    mappings,
    freeByBlock: place(freeByBlock, roots.freeByBlock, forSpace),
    freeBySize: place(freeBySize, roots.freeBySize, forSpace),
    reverseMap:
      reverseMap === undefined || roots.reverseMap === undefined
        ? undefined
        : place(reverseMap, roots.reverseMap, forSpace),
    inodeTree: place(shapeOf(chunks.length, INODE_TREE, SHORT), roots.inode, forInodes),
    freeInodeTree: place(shapeOf(chunksWithFree(chunks).length, FREE_INODE_TREE, SHORT), roots.freeInode, forInodes),
    referenceCount: { shape: [[{ first: 0, count: 0 }]], blocks: [blockOf(geometry, ag, roots.referenceCount)] },
    freeList: forSpace,
  };
}

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}
