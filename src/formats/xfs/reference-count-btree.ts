/**
 * The B+tree of blocks that several files share. In a volume nobody has written to it is empty.
 * Source: XFS Algorithms and Data Structures, "Reference Count B+tree".
 */
import type { TreeKind } from './btree.ts';

export const REFERENCE_COUNT_TREE: TreeKind<never> = {
  magic: 0x52334643,
  recordSize: 12,
  keySize: 4,
  encodeRecord(): void {},
  encodeKey(): void {},
};
