/**
 * The two B+trees of inode chunks: all of them, and those with a free inode. Records as with sparse inodes, though our chunks are whole.
 * Source: XFS Algorithms and Data Structures, "Inode B+trees", "Sparse Inodes".
 */
import type { TreeKind } from './btree.ts';
import { INODES_PER_CHUNK } from './geometry.ts';

export interface InodeChunk {
  /** First inode within the AG. */
  readonly firstInode: number;
  /** Inodes in use: the first ones. */
  readonly used: number;
}

export const INODE_TREE: TreeKind<InodeChunk> = kindOf(0x49414233);
export const FREE_INODE_TREE: TreeKind<InodeChunk> = kindOf(0x46494233);

const ALL = (1n << BigInt(INODES_PER_CHUNK)) - 1n;

function kindOf(magic: number): TreeKind<InodeChunk> {
  return {
    magic,
    recordSize: 16,
    keySize: 4,
    encodeRecord(view, at, { firstInode, used }): void {
      view.setUint32(at, firstInode);
      view.setUint16(at + 4, 0); // no holes
      view.setUint8(at + 6, INODES_PER_CHUNK);
      view.setUint8(at + 7, INODES_PER_CHUNK - used);
      view.setBigUint64(at + 8, (ALL << BigInt(used)) & ALL);
    },
    encodeKey: (view, at, records) => view.setUint32(at, records[0]!.firstInode),
  };
}
