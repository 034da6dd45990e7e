/**
 * Reading ext4 volumes into Trees, hostile ones included. What is in the journal and not yet in its place is not seen: a volume that was not
 * closed in good order is refused.
 */
import type { Bytes } from '../../bytes/bytes.ts';
import { read } from '../../bytes/read.ts';
import { MIB } from '../../bytes/units.ts';
import { decodeUtf8 } from '../../bytes/utf8.ts';
import { invalid } from '../../errors.ts';
import { MODE, typeOfMode } from '../../tree/mode.ts';
import { type Attributes, type Entry, type Tree, treeOf } from '../../tree/tree.ts';
import { decodeAttributeBlock, decodeInodeAttributes, isSealedAttributeBlock } from './attribute.ts';
import { type DecodedItem, decodeDirectoryBlock, isSealedDirectoryBlock } from './directory-block.ts';
import { ROOT_SIZE } from './extent-tree.ts';
import { isSealedIndexBlock } from './hash-tree.ts';
import { type DecodedInode, INODE, INODE_FLAGS } from './inode.ts';
import { decodeDevice } from './inode-plan.ts';
import { openVolume, readBlock, readContent, readInode, type Volume } from './volume.ts';

export interface DecodeOptions {
  /** Whether metadata must have its checksum; true unless given. Without, a damaged volume may still be read. */
  readonly checksums?: boolean;
}

/** In a whole volume. */
const MAXIMUM_ENTRIES = 1_000_000;

const MAXIMUM_DEPTH = 1024;

/** All blocks of directories together. */
const MAXIMUM_DIRECTORY_BLOCKS = 1_000_000;

/** All attributes together; a block of them may be shared. */
const MAXIMUM_ATTRIBUTE_BYTES: number = 64 * MIB;

const MAXIMUM_TARGET = 4096;

/**
 * All that has a name, `lost+found` too; contents are parts of `bytes`. Throws `invalid-input` for anything that is no sound volume,
 * `unsupported` for features and attributes that a Tree or this reader does not know.
 */
export async function decodeExt4(bytes: Bytes, options: DecodeOptions = {}): Promise<Tree> {
  const walk: Walk = {
    volume: await openVolume(bytes, options.checksums ?? true),
    entries: [],
    known: new Map(),
    attributeBytesLeft: MAXIMUM_ATTRIBUTE_BYTES,
    blocksLeft: MAXIMUM_DIRECTORY_BLOCKS,
  };
  const { volume } = walk;
  const root = await readInode(volume, INODE.root);
  await addEntry(walk, root, '');
  const directories = new Set<number>([root.number]);
  const waiting = [{ inode: root, path: '', depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { inode, path, depth } = next;
    if (depth > MAXIMUM_DEPTH) throw invalid(`ext4 directory "${path}": deeper than ${MAXIMUM_DEPTH}`);
    for (const item of await readDirectory(walk, inode)) {
      const name = decodeName(item.name, inode.number);
      if (name === '.' || name === '..') continue;
      const childPath = path === '' ? name : `${path}/${name}`;
      const child = await addNamed(walk, item.inode, childPath);
      if (child === undefined) continue;
      if (directories.has(child.number)) throw invalid(`ext4 directory "${childPath}": it is in two places`);
      directories.add(child.number);
      waiting.push({ inode: child, path: childPath, depth: depth + 1 });
    }
  }
  return treeOf(walk.entries);
}

interface Walk {
  readonly volume: Volume;
  readonly entries: Entry[];
  /** What is no directory, by inode: a second name costs nothing. */
  readonly known: Map<number, Entry>;
  attributeBytesLeft: number;
  blocksLeft: number;
}

function decodeName(name: Uint8Array, directory: number): string {
  const text = decodeUtf8(name, `ext4 directory ${directory}: a name`);
  if (text.includes('/')) throw invalid(`ext4 name ${JSON.stringify(text)}: "/" is not allowed`);
  return text;
}

/** Gives the inode when it is a directory. */
async function addNamed(walk: Walk, number: number, path: string): Promise<DecodedInode | undefined> {
  const known = walk.known.get(number);
  if (known !== undefined) {
    push(walk, { ...known, path });
    return undefined;
  }
  const inode = await readInode(walk.volume, number);
  const entry = await addEntry(walk, inode, path);
  if (entry.kind === 'directory') return inode;
  walk.known.set(number, entry);
  return undefined;
}

function push(walk: Walk, entry: Entry): void {
  if (walk.entries.length === MAXIMUM_ENTRIES) throw invalid(`ext4 volume: more than ${MAXIMUM_ENTRIES} entries`);
  walk.entries.push(entry);
}

async function addEntry(walk: Walk, inode: DecodedInode, path: string): Promise<Entry> {
  const xattrs = await readAttributes(walk, inode);
  const entry = await entryOf(walk.volume, inode, {
    path,
    mode: inode.mode & 0o7777,
    uid: inode.uid,
    gid: inode.gid,
    mtime: inode.modified,
    ...(xattrs.size > 0 ? { xattrs } : {}),
  });
  push(walk, entry);
  return entry;
}

async function entryOf(volume: Volume, inode: DecodedInode, common: Attributes & { path: string }): Promise<Entry> {
  switch (typeOfMode(inode.mode)) {
    case MODE.directory:
      return { kind: 'directory', ...common };
    case MODE.file: {
      const content = await readContent(volume, inode);
      const link = inode.links > 1 ? { inode: Symbol(`inode ${inode.number}`) } : {};
      return { kind: 'file', ...common, content, ...link };
    }
    case MODE.symlink:
      return { kind: 'symlink', ...common, target: await readTarget(volume, inode) };
    case MODE.fifo:
      return { kind: 'fifo', ...common };
    case MODE.character:
      return { kind: 'character', ...common, ...decodeDevice(inode.block) };
    case MODE.block:
      return { kind: 'block', ...common, ...decodeDevice(inode.block) };
    default:
      throw invalid(`ext4 inode ${inode.number}: "${common.path}" has mode 0${inode.mode.toString(8)}`);
  }
}

async function readTarget(volume: Volume, inode: DecodedInode): Promise<string> {
  const { number, size, flags, block } = inode;
  const what = `ext4 inode ${number}: the target of the link`;
  if (size < 1 || size > MAXIMUM_TARGET) throw invalid(`${what} has ${size} bytes, want 1 to ${MAXIMUM_TARGET}`);
  const inline = size < ROOT_SIZE && (flags & INODE_FLAGS.extents) === 0;
  return decodeUtf8(inline ? block.subarray(0, size) : await read(await readContent(volume, inode)), what);
}

async function readAttributes(walk: Walk, inode: DecodedInode): Promise<ReadonlyMap<string, Uint8Array>> {
  const { volume } = walk;
  const { number, attributeBlock } = inode;
  let found = decodeInodeAttributes(inode.attributes, number);
  if (attributeBlock !== 0) {
    const data = await readBlock(volume, attributeBlock, number);
    if (volume.checksums && !isSealedAttributeBlock(data, attributeBlock, volume.superblock.checksumSeed)) {
      throw invalid(`ext4 inode ${number}: the checksum of its attributes does not match`);
    }
    found = new Map([...found, ...decodeAttributeBlock(data, number)]);
  }
  for (const [name, value] of found) walk.attributeBytesLeft -= name.length + value.length;
  if (walk.attributeBytesLeft < 0) throw invalid(`ext4 inode ${number}: more attributes than are read of one volume`);
  return found;
}

async function readDirectory(walk: Walk, inode: DecodedInode): Promise<DecodedItem[]> {
  const { volume } = walk;
  const { number, size } = inode;
  const { blockSize } = volume.superblock;
  if (size === 0 || size % blockSize !== 0) {
    throw invalid(`ext4 directory ${number}: ${size} bytes, want whole blocks of ${blockSize}`);
  }
  const content = await readContent(volume, inode);
  const items: DecodedItem[] = [];
  for (let at = 0; at < size; at += blockSize) {
    if (walk.blocksLeft-- === 0) throw invalid(`ext4 volume: more than ${MAXIMUM_DIRECTORY_BLOCKS} directory blocks`);
    const block = await read(content, at, blockSize);
    if (volume.checksums) checkBlock(block, inode);
    items.push(...decodeDirectoryBlock(block, number));
  }
  return items;
}

/** Blocks of hashes have their checksum in another place than those of entries. */
function checkBlock(block: Uint8Array, { number, seed, flags }: DecodedInode): void {
  const indexed = (flags & INODE_FLAGS.indexed) !== 0;
  if (isSealedDirectoryBlock(block, seed) || (indexed && isSealedIndexBlock(block, seed))) return;
  throw invalid(`ext4 directory ${number}: the checksum of a block does not match`);
}
