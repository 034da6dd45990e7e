/**
 * Blocks of a directory: entries of varying length that fill them without gaps, and a checksum in the guise of one more.
 * Little-endian. Source: Linux `Documentation/filesystems/ext4/directory.rst`, "Linear (Classic) Directories".
 */
import { structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import type { Entry } from '../../tree/tree.ts';
import { FILE_TYPE } from '../volume/directory-entry.ts';
import { checksum } from './checksum.ts';

const HEADER_SIZE = 8;

/** The checksum's entry: no inode, no name, this type. */
export const TAIL_SIZE = 12;
const TAIL_TYPE = 0xde;

/** A name and what it leads to. */
export interface DirectoryItem {
  readonly name: Uint8Array;
  readonly inode: number;
  readonly kind: Entry['kind'];
}

/** Bytes that an entry takes. */
export function itemSize({ name }: DirectoryItem): number {
  return HEADER_SIZE + Math.ceil(name.length / 4) * 4;
}

/** The two entries that each directory begins with. */
export function dotItems(self: number, parent: number): [DirectoryItem, DirectoryItem] {
  return [
    { name: Uint8Array.of(0x2e), inode: self, kind: 'directory' },
    { name: Uint8Array.of(0x2e, 0x2e), inode: parent, kind: 'directory' },
  ];
}

/** Writes an entry of `length` bytes at `at`. */
export function putItem(data: Uint8Array, at: number, length: number, { name, inode, kind }: DirectoryItem): void {
  const view = viewOf(data);
  view.setUint32(at, inode, true);
  view.setUint16(at + 4, length, true);
  view.setUint8(at + 6, name.length);
  view.setUint8(at + 7, FILE_TYPE[kind]);
  data.set(name, at + HEADER_SIZE);
}

/** A block of these entries, which must fit; the last one takes what is left. `seed` is the directory's inode's. */
export function encodeDirectoryBlock(items: readonly DirectoryItem[], blockSize: number, seed: number): Uint8Array {
  const { data, view } = structure(blockSize);
  const limit = blockSize - TAIL_SIZE;
  if (items.length === 0) view.setUint16(4, limit, true);
  let at = 0;
  for (const [index, item] of items.entries()) {
    const length = index === items.length - 1 ? limit - at : itemSize(item);
    putItem(data, at, length, item);
    at += length;
  }
  view.setUint16(limit + 4, TAIL_SIZE, true);
  view.setUint8(limit + 7, TAIL_TYPE);
  view.setUint32(limit + 8, checksum(seed, data.subarray(0, limit)), true);
  return data;
}

/** Whether a block of entries has its checksum. */
export function isSealedDirectoryBlock(data: Uint8Array, seed: number): boolean {
  const view = viewOf(data);
  const limit = data.length - TAIL_SIZE;
  return (
    view.getUint32(limit, true) === 0 &&
    view.getUint16(limit + 4, true) === TAIL_SIZE &&
    view.getUint16(limit + 6, true) === TAIL_TYPE << 8 &&
    view.getUint32(limit + 8, true) === checksum(seed, data.subarray(0, limit))
  );
}

export interface DecodedItem {
  readonly name: Uint8Array;
  readonly inode: number;
}

/** Entries in use. Throws `invalid-input` when they do not fill the block as they should. */
export function decodeDirectoryBlock(data: Uint8Array, directory: number): DecodedItem[] {
  const view = viewOf(data);
  const items: DecodedItem[] = [];
  for (let at = 0; at < data.length; ) {
    const left = data.length - at;
    const stored = left < HEADER_SIZE ? 0 : view.getUint16(at + 4, true);
    // 64 KiB does not go into 16 bits.
    const length = stored === 0xffff || (stored === 0 && left === 65536) ? left : stored;
    const nameLength = left < HEADER_SIZE ? 0 : view.getUint8(at + 6);
    if (length < HEADER_SIZE || length % 4 !== 0 || length > left || HEADER_SIZE + nameLength > length) {
      throw invalid(`ext4 directory ${directory}: an entry of ${length} bytes is damaged`);
    }
    const inode = view.getUint32(at, true);
    if (inode !== 0) {
      items.push({ inode, name: data.slice(at + HEADER_SIZE, at + HEADER_SIZE + nameLength) });
    }
    at += length;
  }
  return items;
}
