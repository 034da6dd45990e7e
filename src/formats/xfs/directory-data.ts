/**
 * Data blocks of directories: the entries themselves, and a record of the space that is left. Big-endian but for the checksum.
 * Source: XFS Algorithms and Data Structures, "Block Directories", "Leaf Directories".
 */
import { structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { isSealed, seal } from './checksum.ts';
import { BLOCK_SIZE, diskAddress } from './geometry.ts';

/** A directory of one block, which has the hashes at its end too. */
export const BLOCK_MAGIC = 0x58444233;
export const DATA_MAGIC = 0x58444433;

/** Of the free space blocks of a directory; they begin alike. */
export const CHECKSUM_OFFSET = 4;

export const HEADER_SIZE = 0x40;

/** Unused space begins with this where an inode number would be. */
const UNUSED = 0xffff;

/** An entry that has its place: `offset` within the directory, in bytes. */
export interface Slot {
  readonly name: Uint8Array;
  readonly inode: number;
  readonly type: number;
  readonly offset: number;
}

/** Inode number, length, name, type, and at the end the offset within the block; a multiple of 8. */
export function slotSize(nameLength: number): number {
  return Math.ceil((8 + 1 + nameLength + 1 + 2) / 8) * 8;
}

export interface DataHeader {
  readonly magic: number;
  /** Volume block. */
  readonly self: number;
  readonly uuid: Uint8Array;
  readonly inode: number;
}

/** The 48 bytes that data blocks and free space blocks begin with. */
export function encodeDirectoryHeader(view: DataView, header: DataHeader): void {
  view.setUint32(0x00, header.magic);
  view.setBigUint64(0x08, BigInt(diskAddress(header.self)));
  new Uint8Array(view.buffer).set(header.uuid, 0x18);
  view.setBigUint64(0x28, BigInt(header.inode));
}

/** `slots` of one block; from `limit` on the block is not for entries, and `finish` may write there. */
export function encodeDataBlock(
  header: DataHeader,
  slots: readonly Slot[],
  limit: number,
  finish: (view: DataView) => void = () => undefined,
): Uint8Array {
  const { data, view } = structure(BLOCK_SIZE);
  encodeDirectoryHeader(view, header);
  let end = HEADER_SIZE;
  for (const { name, inode, type, offset } of slots) {
    end = offset % BLOCK_SIZE;
    view.setBigUint64(end, BigInt(inode));
    view.setUint8(end + 8, name.length);
    data.set(name, end + 9);
    view.setUint8(end + 9 + name.length, type);
    const size = slotSize(name.length);
    view.setUint16(end + size - 2, end);
    end += size;
  }
  if (end < limit) {
    view.setUint16(end, UNUSED);
    view.setUint16(end + 2, limit - end);
    view.setUint16(limit - 2, end);
    // The longest free space of the block, of three that could be listed.
    view.setUint16(0x30, end);
    view.setUint16(0x32, limit - end);
  }
  finish(view);
  seal(data, CHECKSUM_OFFSET);
  return data;
}

export interface DecodedSlot {
  readonly name: Uint8Array;
  readonly inode: bigint;
}

/** Entries of a block of either kind, `.` and `..` included. Throws `invalid-input` when it is none of `inode`'s, or not sound. */
export function decodeDataBlock(
  data: Uint8Array,
  inode: number,
  { checksums }: { readonly checksums: boolean },
): DecodedSlot[] {
  const view = viewOf(data);
  const magic = view.getUint32(0);
  const wrong = (): Error => invalid(`XFS directory ${inode}: one of its blocks is damaged`);
  if ((magic !== BLOCK_MAGIC && magic !== DATA_MAGIC) || view.getBigUint64(0x28) !== BigInt(inode)) throw wrong();
  if (checksums && !isSealed(data, CHECKSUM_OFFSET)) throw wrong();
  let limit = data.length;
  if (magic === BLOCK_MAGIC) {
    limit -= 8 + 8 * view.getUint32(data.length - 8);
    if (limit < HEADER_SIZE) throw wrong();
  }
  const slots: DecodedSlot[] = [];
  for (let at = HEADER_SIZE; at < limit; ) {
    const unused = view.getUint16(at) === UNUSED;
    const nameLength = unused || at + 9 > limit ? 0 : view.getUint8(at + 8);
    const size = unused ? view.getUint16(at + 2) : slotSize(nameLength);
    if (size < 8 || size % 8 !== 0 || at + size > limit || (!unused && nameLength === 0)) throw wrong();
    if (!unused) slots.push({ name: data.subarray(at + 9, at + 9 + nameLength), inode: view.getBigUint64(at) });
    at += size;
  }
  return slots;
}
