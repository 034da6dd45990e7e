/** What an inode comes to on the disk: its fields, and the blocks of metadata that are its own. */
import { type Extent, encodeExtentTree, type VolumeBlock } from './extent-tree.ts';
import type { InodeFields } from './inode.ts';
import { blocksIn, type PlacedData } from './placement.ts';

/** Metadata at a byte of the volume. */
export interface Written {
  readonly at: number;
  readonly data: Uint8Array;
}

export interface EncodedInode {
  readonly number: number;
  readonly fields: Omit<InodeFields, 'changed'>;
  /** All that belongs to it but the contents of files. */
  readonly written: readonly Written[];
}

export function atBlocks(blocks: readonly VolumeBlock[], blockSize: number): Written[] {
  return blocks.map(({ block, data }) => ({ at: block * blockSize, data }));
}

/** The root of a tree of extents, and its blocks. `seed` is the inode's. */
export function encodeExtents(
  { extents, treeBlocks }: PlacedData,
  blockSize: number,
  seed: number,
): { readonly root: Uint8Array; readonly written: Written[] } {
  const { root, blocks } = encodeExtentTree(extents, treeBlocks, blockSize, seed);
  return { root, written: atBlocks(blocks, blockSize) };
}

/** Blocks of the volume, in the order of the file. */
export function placesOf(extents: readonly Extent[]): number[] {
  return extents.flatMap(({ start, count }) => blocksIn({ start, end: start + count }));
}
