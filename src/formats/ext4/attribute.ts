/**
 * Extended attributes: behind the fields of their inode, and, where those are full, in one block besides. Little-endian.
 * Source: Linux `Documentation/filesystems/ext4/attributes.rst`.
 */
import { structure, viewOf } from '../../bytes/field.ts';
import { ImagerError, invalid } from '../../errors.ts';
import { after64, checksum } from './checksum.ts';

const MAGIC = 0xea020000;
const ENTRY_SIZE = 16;
/** Four zero bytes end the entries. */
const END_SIZE = 4;

const INODE_HEADER = 4;
const BLOCK_HEADER = 32;
const CHECKSUM_OFFSET = 16;

/** Namespaces, by the number that stands for them and their dot. */
const NAMESPACE = { user: 1, trusted: 4, security: 6 } as const;

const MAXIMUM_NAME = 255;

export interface Attribute {
  /** Number of the namespace. */
  readonly index: number;
  /** Without the namespace. */
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** Throws `invalid-input` for names that are too long, `unsupported` for other namespaces. */
export function attributeOf(fullName: string, value: Uint8Array, path: string): Attribute {
  const dot = fullName.indexOf('.');
  const prefix = dot < 0 ? fullName : fullName.slice(0, dot);
  const index = Object.hasOwn(NAMESPACE, prefix) ? (NAMESPACE as Readonly<Record<string, number>>)[prefix] : undefined;
  if (index === undefined) {
    throw new ImagerError(
      'unsupported',
      `attribute "${fullName}" of "${path}": on ext4 those of ${Object.keys(NAMESPACE).join(', ')} are written`,
    );
  }
  const rest = fullName.slice(prefix.length + 1);
  const name = new TextEncoder().encode(rest);
  if (name.length < 1 || name.length > MAXIMUM_NAME || rest.includes('\0')) {
    throw invalid(`attribute "${fullName}" of "${path}": want a name of 1 to ${MAXIMUM_NAME} bytes`);
  }
  return { index, name, value };
}

function entrySize({ name }: Attribute): number {
  return ENTRY_SIZE + align4(name.length);
}

function sizeOf(attribute: Attribute): number {
  return entrySize(attribute) + align4(attribute.value.length);
}

function align4(size: number): number {
  return Math.ceil(size / 4) * 4;
}

/** Which attributes lie where; either may be none. */
export interface AttributePlan {
  readonly inInode: readonly Attribute[];
  readonly inBlock: readonly Attribute[];
}

/** As many in the inode as have room there. Throws `invalid-input` when the rest is more than a block holds. */
export function planAttributes(
  attributes: readonly Attribute[],
  inodeRoom: number,
  blockSize: number,
  path: string,
): AttributePlan {
  const inInode: Attribute[] = [];
  const inBlock: Attribute[] = [];
  let inodeLeft = inodeRoom - INODE_HEADER - END_SIZE;
  let blockLeft = blockSize - BLOCK_HEADER - END_SIZE;
  for (const attribute of [...attributes].sort(byName)) {
    const size = sizeOf(attribute);
    if (size <= inodeLeft) {
      inodeLeft -= size;
      inInode.push(attribute);
    } else {
      blockLeft -= size;
      inBlock.push(attribute);
    }
  }
  if (blockLeft < 0) {
    const total = attributes.reduce((sum, attribute) => sum + sizeOf(attribute), 0);
    throw invalid(
      `attributes of "${path}": ${total} bytes, want what fits an inode and a block of ${blockSize} on ext4`,
    );
  }
  return { inInode, inBlock };
}

/** The order in which the kernel expects them in a block. */
function byName(a: Attribute, b: Attribute): number {
  if (a.index !== b.index) return a.index - b.index;
  if (a.name.length !== b.name.length) return a.name.length - b.name.length;
  const differing = a.name.findIndex((byte, index) => byte !== b.name[index]);
  return differing < 0 ? 0 : a.name[differing]! - b.name[differing]!;
}

/** What follows the fields of an inode: `room` bytes. */
export function encodeInodeAttributes(attributes: readonly Attribute[], room: number): Uint8Array {
  const { data, view } = structure(room);
  view.setUint32(0, MAGIC, true);
  // Entries of an inode go without hashes: there is nothing to share.
  putEntries(data, INODE_HEADER, INODE_HEADER, attributes, () => 0);
  return data;
}

/** `seed` is the volume's. */
export function encodeAttributeBlock(
  attributes: readonly Attribute[],
  block: number,
  blockSize: number,
  seed: number,
): Uint8Array {
  const { data, view } = structure(blockSize);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, 1, true); // inodes that share it
  view.setUint32(8, 1, true); // blocks
  const hashes = attributes.map(hashAttribute);
  putEntries(data, BLOCK_HEADER, 0, attributes, (index) => hashes[index]!);
  view.setUint32(12, hashBlock(hashes), true);
  view.setUint32(CHECKSUM_OFFSET, checksum(after64(seed, block), data), true);
  return data;
}

/** Entries from `at` on, values from the end; offsets of values count from `origin`. */
function putEntries(
  data: Uint8Array,
  at: number,
  origin: number,
  attributes: readonly Attribute[],
  hashOf: (index: number) => number,
): void {
  const view = viewOf(data);
  let entry = at;
  let end = data.length;
  for (const [index, attribute] of attributes.entries()) {
    const { name, value } = attribute;
    end -= align4(value.length);
    view.setUint8(entry, name.length);
    view.setUint8(entry + 1, attribute.index);
    view.setUint16(entry + 2, value.length === 0 ? 0 : end - origin, true);
    view.setUint32(entry + 8, value.length, true);
    view.setUint32(entry + 12, hashOf(index), true);
    data.set(name, entry + ENTRY_SIZE);
    data.set(value, end);
    entry += entrySize(attribute);
  }
}

function hashAttribute({ name, value }: Attribute): number {
  let hash = 0;
  for (const byte of name) hash = ((hash << 5) | (hash >>> 27)) ^ byte;
  const words = structure(align4(value.length));
  words.data.set(value);
  for (let at = 0; at < words.data.length; at += 4) {
    hash = ((hash << 16) | (hash >>> 16)) ^ words.view.getUint32(at, true);
  }
  return hash >>> 0;
}

/** By which a block is found again to be shared; 0 if it shall not be. */
function hashBlock(hashes: readonly number[]): number {
  if (hashes.includes(0)) return 0;
  return hashes.reduce((hash, one) => (((hash << 16) | (hash >>> 16)) ^ one) >>> 0, 0);
}

/** Of what follows the fields of an inode, by full name. Throws `invalid-input` when they are damaged. */
export function decodeInodeAttributes(data: Uint8Array, inode: number): Map<string, Uint8Array> {
  if (data.length < INODE_HEADER || viewOf(data).getUint32(0, true) !== MAGIC) return new Map();
  return decodeEntries(data, INODE_HEADER, INODE_HEADER, inode);
}

export function decodeAttributeBlock(data: Uint8Array, inode: number): Map<string, Uint8Array> {
  const view = viewOf(data);
  if (view.getUint32(0, true) !== MAGIC || view.getUint32(8, true) !== 1) throw damaged(inode);
  return decodeEntries(data, BLOCK_HEADER, 0, inode);
}

/** `seed` is the volume's. */
export function isSealedAttributeBlock(data: Uint8Array, block: number, seed: number): boolean {
  const copy = data.slice();
  viewOf(copy).setUint32(CHECKSUM_OFFSET, 0, true);
  return viewOf(data).getUint32(CHECKSUM_OFFSET, true) === checksum(after64(seed, block), copy);
}

function damaged(inode: number): ImagerError {
  return invalid(`ext4 inode ${inode}: its attributes are damaged`);
}

function decodeEntries(data: Uint8Array, at: number, origin: number, inode: number): Map<string, Uint8Array> {
  const view = viewOf(data);
  const found = new Map<string, Uint8Array>();
  for (let entry = at; ; ) {
    if (entry + END_SIZE > data.length) throw damaged(inode);
    if (view.getUint32(entry, true) === 0) return found;
    if (entry + ENTRY_SIZE > data.length) throw damaged(inode);
    const nameEnd = entry + ENTRY_SIZE + view.getUint8(entry);
    const size = view.getUint32(entry + 8, true);
    const start = origin + view.getUint16(entry + 2, true);
    if (nameEnd > data.length || (size > 0 && start + size > data.length)) throw damaged(inode);
    if (view.getUint32(entry + 4, true) !== 0) {
      throw new ImagerError('unsupported', `ext4 inode ${inode}: attributes in inodes of their own`);
    }
    const name = fullNameOf(view.getUint8(entry + 1), data.subarray(entry + ENTRY_SIZE, nameEnd), inode);
    found.set(name, size === 0 ? new Uint8Array(0) : data.slice(start, start + size));
    entry += ENTRY_SIZE + align4(nameEnd - entry - ENTRY_SIZE);
  }
}

function fullNameOf(index: number, name: Uint8Array, inode: number): string {
  const prefix = Object.entries(NAMESPACE).find(([, number]) => number === index)?.[0];
  if (prefix === undefined) {
    throw new ImagerError('unsupported', `ext4 inode ${inode}: attributes of namespace ${index}`);
  }
  return `${prefix}.${new TextDecoder().decode(name)}`;
}
