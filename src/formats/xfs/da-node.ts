/**
 * Inner blocks of hash trees: per child the greatest hash in it and its block. The root is the first block of its segment, so blocks are
 * numbered level by level from the top. Source: XFS Algorithms and Data Structures, "Internal Nodes" of variable length record B+trees.
 */
import { placesOf, split, type TreeBlock, type TreeShape } from './btree.ts';
import { encodeDaBlock } from './da-block.ts';
import { BLOCK_SIZE } from './geometry.ts';

export const NODE_MAGIC = 0x3ebe;
const HEADER_SIZE = 0x40;
const ENTRY_SIZE = 8;
const CAPACITY: number = (BLOCK_SIZE - HEADER_SIZE) / ENTRY_SIZE;

/** The levels over `leaves` leaves, those at the bottom. One leaf is its own root. */
export function hashTreeShape(leaves: number): TreeShape {
  const levels = [Array.from({ length: leaves }, (_, index) => ({ first: index, count: 1 }))];
  while (levels.at(-1)!.length > 1) levels.push(split(levels.at(-1)!.length, CAPACITY));
  return levels;
}

/** Per level, the number within the fork of each block, when the segment starts at `base`. */
export function hashTreePlaces(shape: TreeShape, base: number): readonly (readonly number[])[] {
  const count = shape.reduce((sum, level) => sum + level.length, 0);
  return placesOf(
    shape,
    Array.from({ length: count }, (_, index) => base + index),
  );
}

/** A fork, as far as writing its blocks goes. */
export interface ForkBlocks {
  readonly uuid: Uint8Array;
  readonly inode: number;
  /** The volume block of a block of the fork. */
  blockAt(forkBlock: number): number;
}

/** The blocks above the leaves, whose greatest hashes are `greatest`. */
export function encodeHashNodes(
  shape: TreeShape,
  places: readonly (readonly number[])[],
  greatest: readonly number[],
  fork: ForkBlocks,
): TreeBlock[] {
  const found: TreeBlock[] = [];
  let below = greatest;
  for (const [level, runs] of shape.entries()) {
    if (level === 0) continue;
    const here = below;
    for (const [index, { first, count }] of runs.entries()) {
      const block = fork.blockAt(places[level]![index]!);
      const siblings = siblingsOf(places[level]!, index);
      const data = encodeDaBlock(
        { magic: NODE_MAGIC, self: block, ...siblings, uuid: fork.uuid, inode: fork.inode },
        (view) => {
          view.setUint16(0x38, count);
          view.setUint16(0x3a, level);
          for (let item = 0; item < count; item++) {
            view.setUint32(HEADER_SIZE + item * ENTRY_SIZE, here[first + item]!);
            view.setUint32(HEADER_SIZE + item * ENTRY_SIZE + 4, places[level - 1]![first + item]!);
          }
        },
      );
      found.push({ block, data });
    }
    below = runs.map(({ first, count }) => here[first + count - 1]!);
  }
  return found;
}

export function siblingsOf(places: readonly number[], index: number): { previous: number; next: number } {
  return { previous: places[index - 1] ?? 0, next: places[index + 1] ?? 0 };
}

/** The first child of an inner block, or `undefined` when it has none that makes sense. */
export function firstChild(view: DataView): number | undefined {
  const count = view.getUint16(0x38);
  return count === 0 || HEADER_SIZE + count * ENTRY_SIZE > view.byteLength
    ? undefined
    : view.getUint32(HEADER_SIZE + 4);
}
