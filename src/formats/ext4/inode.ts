/**
 * Inodes of 256 bytes: 128 as in ext2, 32 more, and room for extended attributes. Little-endian.
 * Source: Linux `Documentation/filesystems/ext4/inodes.rst`.
 */
import { viewOf } from '../../bytes/field.ts';
import type { StatFields } from '../volume/inode-entry.ts';
import { checksum } from './checksum.ts';
import { ROOT_SIZE } from './extent-tree.ts';
import { INODE_SIZE } from './geometry.ts';
import { decodeTime, type Timestamp } from './timestamp.ts';

/** Inodes with fixed purposes. `root` is the first that has a name. */
export const INODE = { badBlocks: 1, root: 2, resize: 7, journal: 8, lostAndFound: 11, orphans: 12 } as const;

/** Bits of `i_flags`. */
export const INODE_FLAGS = {
  encrypted: 0x800,
  /** A directory with a tree of hashes. */
  indexed: 0x1000,
  hugeFile: 0x40000,
  extents: 0x80000,
  attributeInode: 0x200000,
  inlineData: 0x10000000,
} as const;

const CLASSIC_SIZE = 128;
/** Of the fields behind the first 128 bytes that are in use. */
export const EXTRA_SIZE = 32;
/** Bytes behind all fields. */
export const ATTRIBUTE_ROOM: number = INODE_SIZE - CLASSIC_SIZE - EXTRA_SIZE;

const BLOCK_OFFSET = 0x28;
const CHECKSUM_LOW = 0x7c;
const EXTRA_SIZE_OFFSET = 0x80;
const CHECKSUM_HIGH = 0x82;

export interface InodeFields {
  /** Type and permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  /** Bytes. */
  readonly size: number;
  /** 512 bytes each: all blocks that the inode owns, whatever for. */
  readonly sectors: number;
  readonly flags: number;
  readonly modified: Timestamp;
  /** Also when it was made. */
  readonly changed: Timestamp;
  /** 60 bytes: root of the extents, device number, or target of a link. */
  readonly block: Uint8Array;
  /** Block with extended attributes, or 0. */
  readonly attributeBlock: number;
  /** As many bytes as there is room for; `undefined` for none. */
  readonly attributes: Uint8Array | undefined;
}

/** Fills `data`, 256 zero bytes; `seed` is the inode's own. */
export function encodeInode(data: Uint8Array, fields: InodeFields, seed: number): void {
  const view = viewOf(data);
  const { modified, changed } = fields;
  view.setUint16(0x00, fields.mode, true);
  view.setUint16(0x02, fields.uid & 0xffff, true);
  view.setUint32(0x04, fields.size % 2 ** 32, true);
  view.setUint32(0x08, modified.low, true); // read last
  view.setUint32(0x0c, changed.low, true);
  view.setUint32(0x10, modified.low, true);
  view.setUint16(0x18, fields.gid & 0xffff, true);
  view.setUint16(0x1a, fields.links, true);
  view.setUint32(0x1c, fields.sectors % 2 ** 32, true);
  view.setUint32(0x20, fields.flags, true);
  data.set(fields.block, BLOCK_OFFSET);
  view.setUint32(0x68, fields.attributeBlock, true);
  view.setUint32(0x6c, Math.floor(fields.size / 2 ** 32), true);
  view.setUint16(0x74, Math.floor(fields.sectors / 2 ** 32), true);
  view.setUint16(0x78, fields.uid >>> 16, true);
  view.setUint16(0x7a, fields.gid >>> 16, true);
  view.setUint16(EXTRA_SIZE_OFFSET, EXTRA_SIZE, true);
  view.setUint32(0x84, changed.epoch, true);
  view.setUint32(0x88, modified.epoch, true);
  view.setUint32(0x8c, modified.epoch, true);
  view.setUint32(0x90, changed.low, true); // made
  view.setUint32(0x94, changed.epoch, true);
  if (fields.attributes !== undefined) data.set(fields.attributes, CLASSIC_SIZE + EXTRA_SIZE);
  const sum = checksum(seed, data);
  view.setUint16(CHECKSUM_LOW, sum & 0xffff, true);
  view.setUint16(CHECKSUM_HIGH, sum >>> 16, true);
}

/** Inode 1 would list bad blocks. It is no file, and only has times; without fields behind the first 128 bytes half of its checksum has room. */
export function encodeBadBlocksInode(data: Uint8Array, { low }: Timestamp, seed: number): void {
  const view = viewOf(data);
  for (const at of [0x08, 0x0c, 0x10]) view.setUint32(at, low, true);
  encodeUnusedInode(data, seed);
}

/** An inode that nobody uses, among those that are: but for its checksum it is zeros. */
export function encodeUnusedInode(data: Uint8Array, seed: number): void {
  viewOf(data).setUint16(CHECKSUM_LOW, checksum(seed, data) & 0xffff, true);
}

export interface DecodedInode extends StatFields {
  readonly flags: number;
  /** 60 bytes. */
  readonly block: Uint8Array;
  /** Block of the volume, or 0. */
  readonly attributeBlock: number;
  /** What lies behind the fields. */
  readonly attributes: Uint8Array;
  /** What checksums of its blocks begin with. */
  readonly seed: number;
}

/** `data` has the size of the volume's inodes, at least 128 bytes. Gives `undefined` when its fields do not fit. */
export function decodeInode(data: Uint8Array, number: number, seed: number): DecodedInode | undefined {
  const view = viewOf(data);
  const extraSize = data.length > CLASSIC_SIZE ? view.getUint16(EXTRA_SIZE_OFFSET, true) : 0;
  if (extraSize % 4 !== 0 || CLASSIC_SIZE + extraSize > data.length) return undefined;
  const pair = (low: number, high: number): number => view.getUint16(low, true) + view.getUint16(high, true) * 2 ** 16;
  const epoch = CLASSIC_SIZE + extraSize >= 0x8c ? view.getUint32(0x88, true) & 3 : 0;
  return {
    number,
    mode: view.getUint16(0x00, true),
    uid: pair(0x02, 0x78),
    gid: pair(0x18, 0x7a),
    links: view.getUint16(0x1a, true),
    size: view.getUint32(0x04, true) + view.getUint32(0x6c, true) * 2 ** 32,
    flags: view.getUint32(0x20, true),
    modified: decodeTime({ low: view.getUint32(0x10, true), epoch }),
    block: data.subarray(BLOCK_OFFSET, BLOCK_OFFSET + ROOT_SIZE),
    attributeBlock: view.getUint32(0x68, true) + view.getUint16(0x76, true) * 2 ** 32,
    attributes: extraSize === 0 ? data.subarray(data.length) : data.subarray(CLASSIC_SIZE + extraSize),
    seed,
  };
}

export function generationOf(data: Uint8Array): number {
  return viewOf(data).getUint32(0x64, true);
}

/** `seed` is the inode's own. */
export function isSealedInode(data: Uint8Array, seed: number): boolean {
  const view = viewOf(data);
  const hasHigh = data.length > CLASSIC_SIZE && view.getUint16(EXTRA_SIZE_OFFSET, true) >= 4;
  const low = view.getUint16(CHECKSUM_LOW, true);
  const stored = hasHigh ? low + view.getUint16(CHECKSUM_HIGH, true) * 2 ** 16 : low;
  const copy = data.slice();
  const zeroed = viewOf(copy);
  zeroed.setUint16(CHECKSUM_LOW, 0, true);
  if (hasHigh) zeroed.setUint16(CHECKSUM_HIGH, 0, true);
  const sum = checksum(seed, copy);
  return stored === (hasHigh ? sum : sum & 0xffff);
}
