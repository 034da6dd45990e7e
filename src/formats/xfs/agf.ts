/**
 * AGF, the second sector of an allocation group: its free space and where the B+trees about space begin. Big-endian but for the checksum.
 * Source: XFS Algorithms and Data Structures, "AG Free Space Management".
 */
import { structure } from '../../bytes/field.ts';
import { seal } from './checksum.ts';

const MAGIC = 0x58414746;
const CHECKSUM_OFFSET = 0xd8;

/** A B+tree of an AG. */
export interface TreeRoot {
  /** AG block. */
  readonly root: number;
  /** 1 for a root that is a leaf. */
  readonly levels: number;
  /** Blocks, the root included. */
  readonly blocks: number;
}

export interface SpaceHeader {
  readonly sectorSize: number;
  readonly uuid: Uint8Array;
  readonly ag: number;
  /** Blocks of the AG. */
  readonly length: number;
  readonly freeByBlock: TreeRoot;
  readonly freeBySize: TreeRoot;
  /** `undefined` without the feature. */
  readonly reverseMap: TreeRoot | undefined;
  readonly referenceCount: TreeRoot;
  /** Index of the first and the last block in the AGFL, and how many they are. */
  readonly freeList: { readonly first: number; readonly last: number; readonly count: number };
  /** Blocks, those of the free list and the trees not counted. */
  readonly freeBlocks: number;
  readonly longestFree: number;
}

/** Blocks of the three trees that live off the free list, roots not counted: they become free space again when the trees shrink. */
export function borrowedBlocks({ freeByBlock, freeBySize, reverseMap }: SpaceHeader): number {
  return freeByBlock.blocks - 1 + (freeBySize.blocks - 1) + (reverseMap === undefined ? 0 : reverseMap.blocks - 1);
}

/** One sector. */
export function encodeAgf(header: SpaceHeader): Uint8Array {
  const { freeByBlock, freeBySize, reverseMap, referenceCount, freeList } = header;
  const { data, view } = structure(header.sectorSize);
  view.setUint32(0x00, MAGIC);
  view.setUint32(0x04, 1);
  view.setUint32(0x08, header.ag);
  view.setUint32(0x0c, header.length);
  view.setUint32(0x10, freeByBlock.root);
  view.setUint32(0x14, freeBySize.root);
  view.setUint32(0x18, reverseMap?.root ?? 0);
  view.setUint32(0x1c, freeByBlock.levels);
  view.setUint32(0x20, freeBySize.levels);
  view.setUint32(0x24, reverseMap?.levels ?? 0);
  view.setUint32(0x28, freeList.first);
  view.setUint32(0x2c, freeList.last);
  view.setUint32(0x30, freeList.count);
  view.setUint32(0x34, header.freeBlocks);
  view.setUint32(0x38, header.longestFree);
  view.setUint32(0x3c, borrowedBlocks(header));
  data.set(header.uuid, 0x40);
  view.setUint32(0x50, reverseMap?.blocks ?? 0);
  view.setUint32(0x54, referenceCount.blocks);
  view.setUint32(0x58, referenceCount.root);
  view.setUint32(0x5c, referenceCount.levels);
  seal(data, CHECKSUM_OFFSET);
  return data;
}
