/**
 * The inode that keeps room for more group descriptors (resize_inode), so that a mounted volume can grow: an indirect block of indirect blocks
 * in the manner of ext2. The reserved blocks behind the descriptors of group 0 are these, and each names its copies in other groups.
 * Source: e2fsprogs `lib/ext2fs/res_gdt.c`, for the numbers.
 */
import { structure, viewOf } from '../../bytes/field.ts';
import { ROOT_SIZE, type VolumeBlock } from './extent-tree.ts';
import { type Geometry, hasCopy } from './geometry.ts';

/** Direct blocks, and one indirect, come before the doubly indirect one. */
const DIRECT_BLOCKS = 12;
const DOUBLY_INDIRECT_OFFSET = 13 * 4;

export interface ResizeInode {
  /** 60 bytes. */
  readonly root: Uint8Array;
  /** Bytes: as if all the doubly indirect block can name were there. */
  readonly size: number;
  readonly sectors: number;
  readonly blocks: readonly VolumeBlock[];
}

/** `place` is the doubly indirect block. */
export function encodeResizeInode(geometry: Geometry, place: number): ResizeInode {
  const { blockSize, firstBlock, descriptorBlocks, reservedBlocks, groupBlocks, groupCount } = geometry;
  const copies: number[] = [];
  for (let group = 1; group < groupCount; group++) if (hasCopy(group)) copies.push(group);
  const perBlock = blockSize / 4;
  const top = structure(blockSize);
  const blocks: VolumeBlock[] = [{ block: place, data: top.data }];
  for (let index = descriptorBlocks; index < descriptorBlocks + reservedBlocks; index++) {
    const block = firstBlock + 1 + index;
    top.view.setUint32((index % perBlock) * 4, block, true);
    // What follows in the block is zeros.
    const { data, view } = structure(copies.length * 4);
    for (const [slot, group] of copies.entries()) view.setUint32(slot * 4, block + group * groupBlocks, true);
    blocks.push({ block, data });
  }
  const root = new Uint8Array(ROOT_SIZE);
  viewOf(root).setUint32(DOUBLY_INDIRECT_OFFSET, place, true);
  const owned = 1 + reservedBlocks * (1 + copies.length);
  return {
    root,
    size: (DIRECT_BLOCKS + perBlock + perBlock ** 2) * blockSize,
    sectors: owned * (blockSize / 512),
    blocks,
  };
}
