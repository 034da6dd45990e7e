/** Blocks for what inodes do not hold themselves, and with that how each shares its room between data and attributes. */
import { type AttributePlan, planAttributes } from './attribute-blocks.ts';
import { extentTreeShape } from './bmap-btree.ts';
import { blockCount, type TreeShape } from './btree.ts';
import { FREE_SEGMENT, HASH_SEGMENT } from './directory.ts';
import { EXTENT_SIZE, type Extent, MAXIMUM_EXTENT_BLOCKS } from './extent.ts';
import { chooseDeviceForks, chooseForks, type ForkChoice, LEAST_DATA, ONE_EXTENT } from './forks.ts';
import { BLOCK_SIZE, fileSystemBlock, type Geometry } from './geometry.ts';
import type { PlannedInode } from './inode-plan.ts';
import { remoteBlocks } from './remote-value.ts';
import type { Alignment, Piece, Space } from './space.ts';

/** A B+tree and the volume blocks for it, the top level's first. */
export interface PlacedTree {
  readonly shape: TreeShape;
  readonly blocks: readonly number[];
}

export interface PlacedInode {
  readonly planned: PlannedInode;
  readonly choice: ForkChoice;
  /** Where the data lies, by offset; none when it lies in the inode or there is none. */
  readonly pieces: readonly Piece[];
  /** Of the data's extents, when there are more than the inode has room for. */
  readonly extentTree: PlacedTree | undefined;
  readonly attributes: { readonly plan: AttributePlan; readonly block: number } | undefined;
  /** All blocks that are the inode's. */
  readonly blocks: number;
}

/** Devices, links and directories: everything but files. */
export function placeSmall(planned: PlannedInode, space: Space): PlacedInode {
  const { data, node, attributesSize } = planned;
  switch (data.kind) {
    case 'device':
      return finish(planned, chooseDeviceForks(attributesSize), [], undefined, space);
    case 'symlink': {
      const choice = chooseForks([data.target.length, ONE_EXTENT], attributesSize);
      const segments = [{ offset: 0, count: choice.data === 0 ? 0 : remoteBlocks(data.target.length) }];
      return finish(planned, choice, allocateSegments(planned, segments, space), undefined, space);
    }
    case 'directory': {
      const { dataBlocks, hashBlocks, freeBlocks } = data.blocks;
      const segments = [
        { offset: 0, count: dataBlocks },
        { offset: HASH_SEGMENT, count: hashBlocks },
        { offset: FREE_SEGMENT, count: freeBlocks },
      ].filter(({ count }) => count > 0);
      const inline = data.inline?.length ?? Number.POSITIVE_INFINITY;
      const choice = chooseForks([inline, segments.length * EXTENT_SIZE], attributesSize);
      const pieces = choice.data === 0 ? [] : allocateSegments(planned, segments, space);
      return finish(planned, choice, pieces, undefined, space);
    }
    case 'file':
      throw new Error(`inode ${node.number} is a file`);
  }
}

/** A file; `alignment` is for its content. */
export function placeFile(planned: PlannedInode, size: number, alignment: Alignment, space: Space): PlacedInode {
  const { node, attributesSize } = planned;
  const count = Math.ceil(size / BLOCK_SIZE);
  const pieces = count === 0 ? [] : space.allocateContent(count, node.number, alignment);
  const extents = pieces.reduce((sum, piece) => sum + Math.ceil(piece.count / MAXIMUM_EXTENT_BLOCKS), 0);
  const choice = chooseForks([extents * EXTENT_SIZE, LEAST_DATA], attributesSize);
  if (choice.data === 0) return finish(planned, choice, pieces, undefined, space);
  const shape = extentTreeShape(extents, choice.dataRoom);
  const blocks = Array.from({ length: blockCount(shape) }, () =>
    space.allocate(1, node.ag, { owner: node.number, fork: 'data tree', offset: 0 }),
  );
  return finish(planned, choice, pieces, { shape, blocks }, space);
}

function allocateSegments(
  { node }: PlannedInode,
  segments: readonly { readonly offset: number; readonly count: number }[],
  space: Space,
): Piece[] {
  return segments
    .filter(({ count }) => count > 0)
    .map(({ offset, count }) => ({
      offset,
      count,
      block: space.allocate(count, node.ag, { owner: node.number, fork: 'data', offset }),
    }));
}

function finish(
  planned: PlannedInode,
  choice: ForkChoice,
  pieces: readonly Piece[],
  extentTree: PlacedTree | undefined,
  space: Space,
): PlacedInode {
  const { node } = planned;
  const own = pieces.reduce((sum, { count }) => sum + count, extentTree?.blocks.length ?? 0);
  if (choice.attributes !== 'blocks') {
    return { planned, choice, pieces, extentTree, attributes: undefined, blocks: own };
  }
  const plan = planAttributes(planned.attributes);
  const block = space.allocate(plan.blocks, node.ag, { owner: node.number, fork: 'attribute', offset: 0 });
  return { planned, choice, pieces, extentTree, attributes: { plan, block }, blocks: own + plan.blocks };
}

/** As the disk has them: a piece may be longer than one extent can say. */
export function extentsOf(geometry: Geometry, pieces: readonly Piece[]): Extent[] {
  const extents: Extent[] = [];
  for (const { offset, block, count } of pieces) {
    for (let done = 0; done < count; done += MAXIMUM_EXTENT_BLOCKS) {
      extents.push({
        offset: offset + done,
        start: fileSystemBlock(geometry, block + done),
        count: Math.min(MAXIMUM_EXTENT_BLOCKS, count - done),
        unwritten: false,
      });
    }
  }
  return extents;
}

/** The volume block of a block of a fork. */
export function blockIn(pieces: readonly Piece[], forkBlock: number): number {
  const piece = pieces.find(({ offset, count }) => forkBlock >= offset && forkBlock < offset + count);
  if (piece === undefined) throw new Error(`block ${forkBlock} of a fork has no place`);
  return piece.block + forkBlock - piece.offset;
}
