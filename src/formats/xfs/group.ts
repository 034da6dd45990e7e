/** The metadata of one allocation group: headers, B+trees, inode chunks that nobody has written to yet. */
import { borrowedBlocks, encodeAgf, type SpaceHeader, type TreeRoot } from './agf.ts';
import { encodeAgfl, FREE_LIST_FIRST, freeListCapacity } from './agfl.ts';
import { encodeAgi } from './agi.ts';
import { encodeTree, shortForm, type TreeBlock, type TreeKind } from './btree.ts';
import { compareBySize, FREE_BY_BLOCK, FREE_BY_SIZE } from './free-space-btree.ts';
import { agBlockOf, agLength, type Geometry, INODES_PER_CHUNK } from './geometry.ts';
import { FREE_INODE_TREE, INODE_TREE } from './inode-btree.ts';
import type { PlacedTree } from './inode-placement.ts';
import type { PlacedGroup } from './placement.ts';
import { REFERENCE_COUNT_TREE } from './reference-count-btree.ts';
import { REVERSE_MAP_TREE } from './reverse-map-btree.ts';
import type { Counters } from './superblock.ts';

export interface EncodedGroup {
  /** AGF, AGI and AGFL: the three sectors behind the super block. */
  readonly headers: readonly Uint8Array[];
  readonly trees: readonly TreeBlock[];
  readonly counters: Counters;
}

export function encodeGroup(geometry: Geometry, uuid: Uint8Array, group: PlacedGroup): EncodedGroup {
  const { ag, free, chunks, mappings, freeList } = group;
  const { sectorSize } = geometry;
  if (freeList.length > freeListCapacity(sectorSize)) throw new Error(`free list of ${freeList.length} blocks`);
  const space = spaceHeaderOf(geometry, uuid, group);
  const inodes = chunks.length * INODES_PER_CHUNK;
  const freeInodes = chunks.reduce((sum, { used }) => sum + INODES_PER_CHUNK - used, 0);
  const agi = encodeAgi({
    sectorSize,
    uuid,
    ag,
    length: space.length,
    inodes,
    freeInodes,
    newestChunk: chunks.at(-1)?.firstInode,
    inodeTree: rootOf(geometry, group.inodeTree),
    freeInodeTree: rootOf(geometry, group.freeInodeTree),
  });
  const form = shortForm(geometry, uuid, ag);
  const tree = <R>(records: readonly R[], placed: PlacedTree | undefined, kind: TreeKind<R>): TreeBlock[] =>
    placed === undefined ? [] : encodeTree(records, placed.shape, placed.blocks, kind, form);
  const chunksWithFree = chunks.filter(({ used }) => used < INODES_PER_CHUNK);
  return {
    headers: [encodeAgf(space), agi, encodeAgfl(sectorSize, uuid, ag, freeList)],
    trees: [
      ...tree(free, group.freeByBlock, FREE_BY_BLOCK),
      ...tree([...free].sort(compareBySize), group.freeBySize, FREE_BY_SIZE),
      ...tree(chunks, group.inodeTree, INODE_TREE),
      ...tree(chunksWithFree, group.freeInodeTree, FREE_INODE_TREE),
      ...tree(mappings, group.reverseMap, REVERSE_MAP_TREE),
      ...tree([], group.referenceCount, REFERENCE_COUNT_TREE),
    ],
    counters: { inodes, freeInodes, freeBlocks: space.freeBlocks + freeList.length + borrowedBlocks(space) },
  };
}

function spaceHeaderOf(geometry: Geometry, uuid: Uint8Array, group: PlacedGroup): SpaceHeader {
  const { ag, free, freeList, reverseMap } = group;
  return {
    sectorSize: geometry.sectorSize,
    uuid,
    ag,
    length: agLength(geometry, ag),
    freeByBlock: rootOf(geometry, group.freeByBlock),
    freeBySize: rootOf(geometry, group.freeBySize),
    reverseMap: reverseMap === undefined ? undefined : rootOf(geometry, reverseMap),
    referenceCount: rootOf(geometry, group.referenceCount),
    freeList: {
      first: FREE_LIST_FIRST,
      last: FREE_LIST_FIRST + freeList.length - 1,
      count: freeList.length,
    },
    freeBlocks: free.reduce((sum, { count }) => sum + count, 0),
    longestFree: free.reduce((longest, { count }) => Math.max(longest, count), 0),
  };
}

function rootOf(geometry: Geometry, { shape, blocks }: PlacedTree): TreeRoot {
  return { root: agBlockOf(geometry, blocks[0]!), levels: shape.length, blocks: blocks.length };
}
