/**
 * Blocks that hold a piece of content too large for its place, each with a header of 56 bytes: values of attributes, and targets of
 * symbolic links. Big-endian but for the checksum. Source: XFS Algorithms and Data Structures, "Remote Attribute Values", "Extent Symbolic Links".
 */
import { structure, viewOf } from '../../bytes/field.ts';
import type { TreeBlock } from './btree.ts';
import { isSealed, seal } from './checksum.ts';
import { BLOCK_SIZE, diskAddress } from './geometry.ts';

const HEADER_SIZE = 0x38;
const CHECKSUM_OFFSET = 0x0c;

export type RemoteKind = 'attribute' | 'symlink';

const MAGIC = { attribute: 0x5841524d, symlink: 0x58534c4d } as const satisfies Record<RemoteKind, number>;

/** Written past the log, so none of its records is about them. Links are logged, and nothing is in the log yet. */
const LOG_SEQUENCE = { attribute: 0xffffffffffffffffn, symlink: 0n } as const satisfies Record<RemoteKind, bigint>;

export function remoteBlocks(size: number, blockSize: number = BLOCK_SIZE): number {
  return Math.ceil(size / (blockSize - HEADER_SIZE));
}

/** `first` is the volume block of the first one; the others follow. */
export function encodeRemote(
  kind: RemoteKind,
  content: Uint8Array,
  first: number,
  owner: { readonly inode: number; readonly uuid: Uint8Array },
): TreeBlock[] {
  const room = BLOCK_SIZE - HEADER_SIZE;
  return Array.from({ length: remoteBlocks(content.length) }, (_, index) => {
    const piece = content.subarray(index * room, (index + 1) * room);
    const { data, view } = structure(BLOCK_SIZE);
    view.setUint32(0x00, MAGIC[kind]);
    view.setUint32(0x04, index * room);
    view.setUint32(0x08, piece.length);
    data.set(owner.uuid, 0x10);
    view.setBigUint64(0x20, BigInt(owner.inode));
    view.setBigUint64(0x28, BigInt(diskAddress(first + index)));
    view.setBigUint64(0x30, LOG_SEQUENCE[kind]);
    data.set(piece, HEADER_SIZE);
    seal(data, CHECKSUM_OFFSET);
    return { block: first + index, data };
  });
}

/** The piece in one block, expected at `offset` of the whole; `undefined` when the block is something else or damaged. */
export function decodeRemote(
  kind: RemoteKind,
  data: Uint8Array,
  inode: number,
  offset: number,
  { checksums }: { readonly checksums: boolean },
): Uint8Array | undefined {
  const view = viewOf(data);
  const size = view.getUint32(0x08);
  const sound =
    view.getUint32(0x00) === MAGIC[kind] &&
    view.getUint32(0x04) === offset &&
    size > 0 &&
    HEADER_SIZE + size <= data.length &&
    view.getBigUint64(0x20) === BigInt(inode) &&
    (!checksums || isSealed(data, CHECKSUM_OFFSET));
  return sound ? data.subarray(HEADER_SIZE, HEADER_SIZE + size) : undefined;
}
