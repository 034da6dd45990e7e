/**
 * Inodes, little-endian: 16 bytes that all have, then what their type has. Each kind has two types: a short one for what most files need and an extended one
 * with links, attributes and 64-bit sizes. Source: Linux fs/squashfs/squashfs_fs.h; squashfs-tools squashfs_fs.h for sockets and indexes.
 */
import { putU64, structure } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import type { DirectoryIndex } from './directory.ts';
import type { Reference } from './superblock.ts';

/** Short types, which directory entries have too. The extended ones come seven later. */
export const TYPE = {
  directory: 1,
  file: 2,
  symlink: 3,
  block: 4,
  character: 5,
  fifo: 6,
  socket: 7,
} as const;
export type InodeKind = keyof typeof TYPE;
export const EXTENDED = 7;

/** In place of the number of a fragment or of a set of attributes. */
export const NONE = 0xffffffff;

/** Added to the size of a listing: for `.` and `..`, which are not in it. */
export const UNLISTED_SIZE = 3;

/** A block of data as the list of blocks has it: its packed size, with this bit where it is stored as it is; 0 for zeros. */
export const STORED_BLOCK: number = 1 << 24;

/** Of device numbers; the kernel's own limits. */
const MAXIMUM_MAJOR = 0xfff;
const MAXIMUM_MINOR = 0xfffff;

export interface InodeCommon {
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  /** In the table of identifiers. */
  readonly uidIndex: number;
  readonly gidIndex: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** From 1. */
  readonly number: number;
  /** Names; for a directory 2 and one for each directory in it. */
  readonly links: number;
  /** The set of attributes. */
  readonly attributes: number | undefined;
}

export interface FileInode extends InodeCommon {
  readonly kind: 'file';
  /** Bytes. */
  readonly size: number;
  /** Of the first block in the image. */
  readonly start: number;
  /** As in `STORED_BLOCK`. What a fragment holds is not among them. */
  readonly blocks: ArrayLike<number>;
  readonly fragment: FragmentPlace | undefined;
  /** Bytes of blocks that are zeros. */
  readonly sparse: number;
}

/** The content, or the end of it, in a block shared with other files. */
export interface FragmentPlace {
  readonly index: number;
  readonly offset: number;
}

export interface DirectoryInode extends InodeCommon {
  readonly kind: 'directory';
  /** In the directory table. */
  readonly listing: Reference;
  /** Bytes of the listing. */
  readonly size: number;
  /** Number of the directory it is in. */
  readonly parent: number;
  readonly index: readonly DirectoryIndex[];
}

export interface SymlinkInode extends InodeCommon {
  readonly kind: 'symlink';
  readonly target: Uint8Array;
}

export interface DeviceInode extends InodeCommon {
  readonly kind: 'character' | 'block';
  readonly major: number;
  readonly minor: number;
}

export interface PipeInode extends InodeCommon {
  readonly kind: 'fifo' | 'socket';
}

export type Inode = FileInode | DirectoryInode | SymlinkInode | DeviceInode | PipeInode;

/** Throws `invalid-input` for device numbers and listings that are too large. */
export function encodeInode(inode: Inode): Uint8Array {
  switch (inode.kind) {
    case 'file':
      return encodeFile(inode);
    case 'directory':
      return encodeDirectory(inode);
    case 'symlink':
      return encodeSymlink(inode);
    case 'character':
    case 'block':
      return encodeDevice(inode);
    case 'fifo':
    case 'socket':
      return encodePipe(inode);
  }
}

function begin(inode: Inode, extended: boolean, size: number): { readonly data: Uint8Array; readonly view: DataView } {
  const made = structure(size);
  const { view } = made;
  view.setUint16(0, TYPE[inode.kind] + (extended ? EXTENDED : 0), true);
  view.setUint16(2, inode.mode, true);
  view.setUint16(4, inode.uidIndex, true);
  view.setUint16(6, inode.gidIndex, true);
  view.setUint32(8, inode.mtime, true);
  view.setUint32(12, inode.number, true);
  return made;
}

const FILE_SIZE = 32;
const EXTENDED_FILE_SIZE = 56;
const LIMIT_32 = 2 ** 32;

function encodeFile(inode: FileInode): Uint8Array {
  const { size, start, blocks, fragment, sparse, links, attributes } = inode;
  const extended = links > 1 || attributes !== undefined || sparse > 0 || size >= LIMIT_32 || start >= LIMIT_32;
  const fixed = extended ? EXTENDED_FILE_SIZE : FILE_SIZE;
  const { data, view } = begin(inode, extended, fixed + blocks.length * 4);
  if (extended) {
    putU64(view, 16, start, true);
    putU64(view, 24, size, true);
    // Not all of it: the kernel would show a file without any blocks, which some programs take for one on no disk.
    putU64(view, 32, Math.min(sparse, size - 1), true);
    view.setUint32(40, links, true);
    view.setUint32(44, fragment?.index ?? NONE, true);
    view.setUint32(48, fragment?.offset ?? 0, true);
    view.setUint32(52, attributes ?? NONE, true);
  } else {
    view.setUint32(16, start, true);
    view.setUint32(20, fragment?.index ?? NONE, true);
    view.setUint32(24, fragment?.offset ?? 0, true);
    view.setUint32(28, size, true);
  }
  for (let index = 0; index < blocks.length; index++) view.setUint32(fixed + index * 4, blocks[index]!, true);
  return data;
}

const DIRECTORY_SIZE = 32;
const EXTENDED_DIRECTORY_SIZE = 40;
const INDEX_SIZE = 12;

function encodeDirectory(inode: DirectoryInode): Uint8Array {
  const { listing, parent, index, links, attributes } = inode;
  const size = inode.size + UNLISTED_SIZE;
  if (size >= LIMIT_32) throw invalid(`squashfs directory of ${size} bytes: want less than 4 GiB`);
  const extended = size > 0xffff || attributes !== undefined || index.length > 0;
  if (!extended) {
    const { data, view } = begin(inode, false, DIRECTORY_SIZE);
    view.setUint32(16, listing.block, true);
    view.setUint32(20, links, true);
    view.setUint16(24, size, true);
    view.setUint16(26, listing.offset, true);
    view.setUint32(28, parent, true);
    return data;
  }
  const indexSize = index.reduce((sum, { name }) => sum + INDEX_SIZE + name.length, 0);
  const { data, view } = begin(inode, true, EXTENDED_DIRECTORY_SIZE + indexSize);
  view.setUint32(16, links, true);
  view.setUint32(20, size, true);
  view.setUint32(24, listing.block, true);
  view.setUint32(28, parent, true);
  view.setUint16(32, index.length, true);
  view.setUint16(34, listing.offset, true);
  view.setUint32(36, attributes ?? NONE, true);
  let position = EXTENDED_DIRECTORY_SIZE;
  for (const { at, block, name } of index) {
    view.setUint32(position, at, true);
    view.setUint32(position + 4, block, true);
    view.setUint32(position + 8, name.length - 1, true);
    data.set(name, position + INDEX_SIZE);
    position += INDEX_SIZE + name.length;
  }
  return data;
}

const SYMLINK_SIZE = 24;

function encodeSymlink(inode: SymlinkInode): Uint8Array {
  const { target, links, attributes } = inode;
  const extended = attributes !== undefined;
  const { data, view } = begin(inode, extended, SYMLINK_SIZE + target.length + (extended ? 4 : 0));
  view.setUint32(16, links, true);
  view.setUint32(20, target.length, true);
  data.set(target, SYMLINK_SIZE);
  if (extended) view.setUint32(SYMLINK_SIZE + target.length, attributes, true);
  return data;
}

const DEVICE_SIZE = 24;

function encodeDevice(inode: DeviceInode): Uint8Array {
  const { major, minor, links, attributes } = inode;
  if (major > MAXIMUM_MAJOR || minor > MAXIMUM_MINOR) {
    throw invalid(`squashfs device ${major}:${minor}: want at most ${MAXIMUM_MAJOR}:${MAXIMUM_MINOR}`);
  }
  const extended = attributes !== undefined;
  const { data, view } = begin(inode, extended, DEVICE_SIZE + (extended ? 4 : 0));
  view.setUint32(16, links, true);
  view.setUint32(20, encodeDeviceNumber(major, minor), true);
  if (extended) view.setUint32(DEVICE_SIZE, attributes, true);
  return data;
}

/** The low byte of the minor number, then the major number, then the rest of the minor number: Linux' `new_encode_dev`. */
function encodeDeviceNumber(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

export function decodeDeviceNumber(value: number): { readonly major: number; readonly minor: number } {
  return { major: (value >>> 8) & 0xfff, minor: (value & 0xff) | ((value >>> 12) & 0xfff00) };
}

const PIPE_SIZE = 20;

function encodePipe(inode: PipeInode): Uint8Array {
  const { links, attributes } = inode;
  const extended = attributes !== undefined;
  const { data, view } = begin(inode, extended, PIPE_SIZE + (extended ? 4 : 0));
  view.setUint32(16, links, true);
  if (extended) view.setUint32(PIPE_SIZE, attributes, true);
  return data;
}
