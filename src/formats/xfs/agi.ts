/**
 * AGI, the third sector of an allocation group: its inodes. Big-endian but for the checksum.
 * Source: XFS Algorithms and Data Structures, "AG Inode Management".
 */
import { structure } from '../../bytes/field.ts';
import type { TreeRoot } from './agf.ts';
import { seal } from './checksum.ts';

const MAGIC = 0x58414749;
const CHECKSUM_OFFSET = 0x138;

/** No inode, no block. */
export const NULL_32 = 0xffffffff;

/** Heads of the lists of inodes that were deleted while open. */
const UNLINKED_OFFSET = 0x28;
const UNLINKED_LISTS = 64;

export interface InodeHeader {
  readonly sectorSize: number;
  readonly uuid: Uint8Array;
  readonly ag: number;
  /** Blocks of the AG. */
  readonly length: number;
  readonly inodes: number;
  readonly freeInodes: number;
  /** First inode within the AG of the chunk made last; `undefined` when there is none. */
  readonly newestChunk: number | undefined;
  readonly inodeTree: TreeRoot;
  readonly freeInodeTree: TreeRoot;
}

/** One sector. */
export function encodeAgi(header: InodeHeader): Uint8Array {
  const { inodeTree, freeInodeTree } = header;
  const { data, view } = structure(header.sectorSize);
  view.setUint32(0x00, MAGIC);
  view.setUint32(0x04, 1);
  view.setUint32(0x08, header.ag);
  view.setUint32(0x0c, header.length);
  view.setUint32(0x10, header.inodes);
  view.setUint32(0x14, inodeTree.root);
  view.setUint32(0x18, inodeTree.levels);
  view.setUint32(0x1c, header.freeInodes);
  view.setUint32(0x20, header.newestChunk ?? NULL_32);
  view.setUint32(0x24, NULL_32); // out of use
  for (let list = 0; list < UNLINKED_LISTS; list++) view.setUint32(UNLINKED_OFFSET + list * 4, NULL_32);
  data.set(header.uuid, 0x128);
  view.setUint32(0x148, freeInodeTree.root);
  view.setUint32(0x14c, freeInodeTree.levels);
  view.setUint32(0x150, inodeTree.blocks);
  view.setUint32(0x154, freeInodeTree.blocks);
  seal(data, CHECKSUM_OFFSET);
  return data;
}
