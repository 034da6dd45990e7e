/**
 * The B+tree of who owns each block. A parent knows the least and the greatest key below a block, because extents of files may overlap in
 * other volumes. Source: XFS Algorithms and Data Structures, "Reverse-Mapping B+tree".
 */
import type { TreeKind } from './btree.ts';

/** Owners that are no inode. */
export const OWNER = {
  /** Super block, AGF, AGI, AGFL. */
  headers: -3,
  log: -4,
  /** Free list, and the trees that live off it. */
  ag: -5,
  inodeTrees: -6,
  inodes: -7,
  referenceCount: -8,
} as const;

/** What of an inode a mapping belongs to. */
export type Fork = 'data' | 'attribute' | 'data tree';

export interface ReverseMapping {
  /** AG block. */
  readonly start: number;
  /** Blocks. */
  readonly count: number;
  /** An inode number, or one of `OWNER`. */
  readonly owner: number;
  /** Block within the fork; 0 for what is no file's content. */
  readonly offset: number;
  readonly fork: Fork;
}

const ATTRIBUTE_FORK = 1n << 63n;
const TREE_BLOCK = 1n << 62n;

export const REVERSE_MAP_TREE: TreeKind<ReverseMapping> = {
  magic: 0x524d4233,
  recordSize: 24,
  keySize: 40,
  encodeRecord(view, at, mapping): void {
    view.setUint32(at, mapping.start);
    view.setUint32(at + 4, mapping.count);
    encodeOwner(view, at + 8, mapping, mapping.offset);
  },
  encodeKey(view, at, records): void {
    const first = records[0]!;
    view.setUint32(at, first.start);
    encodeOwner(view, at + 4, first, first.offset);
    // Extents do not overlap here, so the last record ends last; it is its last block that counts.
    const last = records.at(-1)!;
    view.setUint32(at + 20, last.start + last.count - 1);
    encodeOwner(view, at + 24, last, hasOffset(last) ? last.offset + last.count - 1 : last.offset);
  },
};

/** Whether both are one mapping, `b` going on where `a` ends. */
export function continues(a: ReverseMapping, b: ReverseMapping): boolean {
  return (
    a.start + a.count === b.start &&
    a.owner === b.owner &&
    a.fork === b.fork &&
    (!hasOffset(a) || a.offset + a.count === b.offset)
  );
}

function hasOffset({ owner, fork }: ReverseMapping): boolean {
  return owner >= 0 && fork !== 'data tree';
}

function encodeOwner(view: DataView, at: number, { owner, fork }: ReverseMapping, offset: number): void {
  const flags = fork === 'attribute' ? ATTRIBUTE_FORK : fork === 'data tree' ? TREE_BLOCK : 0n;
  view.setBigInt64(at, BigInt(owner));
  view.setBigUint64(at + 8, BigInt(offset) | flags);
}
