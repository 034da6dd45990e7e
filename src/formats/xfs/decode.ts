/**
 * Reading XFS volumes of version 5 into Trees, hostile ones included. What is in the log and not yet in its place is not seen: the volume
 * must have been closed in good order.
 */
import type { Bytes } from '../../bytes/bytes.ts';
import { joinMemory, viewOf } from '../../bytes/field.ts';
import { read } from '../../bytes/read.ts';
import { GIB, MIB } from '../../bytes/units.ts';
import { decodeUtf8 } from '../../bytes/utf8.ts';
import { ImagerError, invalid } from '../../errors.ts';
import { MODE, typeOfMode } from '../../tree/mode.ts';
import { type Attributes, type Entry, type Tree, treeOf } from '../../tree/tree.ts';
import { type DecodedSlot, decodeDataBlock } from './directory-data.ts';
import { type DecodedInode, FORMAT } from './inode.ts';
import { DEVICE_MINORS } from './inode-plan.ts';
import type { FileRange } from './layout.ts';
import { type AttributeBudget, readAttributes } from './read-attributes.ts';
import { decodeRemote } from './remote-value.ts';
import { decodeShortForm } from './short-form-directory.ts';
import type { Superblock } from './superblock.ts';
import { forkBytes, forkRanges, openVolume, readExtents, readInode, type Volume } from './volume.ts';

export interface XfsContent {
  readonly superblock: Superblock;
  readonly tree: Tree;
  /** The pieces each file lies in, by path; none for an empty file. */
  readonly files: ReadonlyMap<string, readonly FileRange[]>;
}

export interface DecodeOptions {
  /** Whether metadata must have its checksum; true unless given. Without, a damaged volume may still be read. */
  readonly checksums?: boolean;
}

/** In a whole volume. */
const MAXIMUM_ENTRIES = 1_000_000;

const MAXIMUM_DEPTH = 1024;

/** All blocks of directories together. */
const MAXIMUM_DIRECTORY_BLOCKS = 1_000_000;

/** All attributes together; nothing else may be named twice at no cost. */
const MAXIMUM_ATTRIBUTE_BYTES: number = 64 * MIB;

/** Offset in a directory from which on it has hashes, not entries. */
const HASH_OFFSET: number = 32 * GIB;

const MAXIMUM_TARGET = 1023;

/** Throws `invalid-input` for anything that is no sound volume, `unsupported` for features that change what has to be read. */
export async function decodeXfs(bytes: Bytes, options: DecodeOptions = {}): Promise<XfsContent> {
  const volume = await openVolume(bytes, options.checksums ?? true);
  const walk: Walk = {
    volume,
    entries: [],
    files: new Map(),
    known: new Map(),
    attributes: { left: MAXIMUM_ATTRIBUTE_BYTES },
    blocksLeft: MAXIMUM_DIRECTORY_BLOCKS,
  };
  const root = await readInode(volume, BigInt(volume.superblock.rootInode));
  await addEntry(walk, root, '');
  const directories = new Set<number>([root.number]);
  const waiting = [{ inode: root, path: '', depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { inode, path, depth } = next;
    if (depth > MAXIMUM_DEPTH) throw invalid(`XFS directory "${path}": deeper than ${MAXIMUM_DEPTH}`);
    for (const slot of await readDirectory(walk, inode)) {
      const name = decodeName(slot.name, inode.number);
      if (name === '.' || name === '..') continue;
      const child = await readInode(volume, slot.inode);
      const childPath = path === '' ? name : `${path}/${name}`;
      await addEntry(walk, child, childPath);
      if (typeOfMode(child.mode) !== MODE.directory) continue;
      if (directories.has(child.number)) throw invalid(`XFS directory "${childPath}": it is in two places`);
      directories.add(child.number);
      waiting.push({ inode: child, path: childPath, depth: depth + 1 });
    }
  }
  return { superblock: volume.superblock, tree: treeOf(walk.entries), files: walk.files };
}

interface Walk {
  readonly volume: Volume;
  readonly entries: Entry[];
  readonly files: Map<string, readonly FileRange[]>;
  /** What is no directory, by inode: a second name costs nothing. */
  readonly known: Map<number, Entry>;
  /** Bytes. */
  readonly attributes: AttributeBudget;
  blocksLeft: number;
}

function decodeName(name: Uint8Array, directory: number): string {
  const text = decodeUtf8(name, `XFS directory ${directory}: a name`);
  if (text.includes('/')) throw invalid(`XFS name ${JSON.stringify(text)}: "/" is not allowed`);
  return text;
}

async function addEntry(walk: Walk, inode: DecodedInode, path: string): Promise<void> {
  if (walk.entries.length === MAXIMUM_ENTRIES) throw invalid(`XFS volume: more than ${MAXIMUM_ENTRIES} entries`);
  const known = walk.known.get(inode.number);
  if (known !== undefined) {
    walk.entries.push({ ...known, path });
    const ranges = walk.files.get(known.path);
    if (ranges !== undefined) walk.files.set(path, ranges);
    return;
  }
  const xattrs = await readAttributes(walk.volume, inode, walk.attributes);
  const entry = await entryOf(walk, inode, {
    path,
    mode: inode.mode & 0o7777,
    uid: inode.uid,
    gid: inode.gid,
    mtime: inode.modified,
    ...(xattrs.size > 0 ? { xattrs } : {}),
  });
  walk.entries.push(entry);
  if (entry.kind !== 'directory') walk.known.set(inode.number, entry);
}

async function entryOf(walk: Walk, inode: DecodedInode, common: Attributes & { path: string }): Promise<Entry> {
  switch (typeOfMode(inode.mode)) {
    case MODE.directory:
      return { kind: 'directory', ...common };
    case MODE.file: {
      const content = await readFile(walk, inode, common.path);
      return {
        kind: 'file',
        ...common,
        content,
        ...(inode.links > 1 ? { inode: Symbol(`inode ${inode.number}`) } : {}),
      };
    }
    case MODE.symlink:
      return { kind: 'symlink', ...common, target: await readTarget(walk.volume, inode) };
    case MODE.fifo:
      return { kind: 'fifo', ...common };
    case MODE.character:
      return { kind: 'character', ...common, ...deviceOf(inode) };
    case MODE.block:
      return { kind: 'block', ...common, ...deviceOf(inode) };
    default:
      throw invalid(`XFS inode ${inode.number}: "${common.path}" has mode 0${inode.mode.toString(8)}`);
  }
}

function deviceOf({ data }: DecodedInode): { major: number; minor: number } {
  const device = viewOf(data.literal).getUint32(0);
  return { major: Math.floor(device / DEVICE_MINORS), minor: device % DEVICE_MINORS };
}

async function readFile(walk: Walk, inode: DecodedInode, path: string): Promise<Bytes> {
  if (inode.realTime) throw new ImagerError('unsupported', `XFS file "${path}": it lies in a real-time section`);
  const { volume } = walk;
  const extents = await readExtents(volume, inode.number, inode.data);
  walk.files.set(path, forkRanges(volume, inode.number, extents, inode.size));
  return forkBytes(volume, inode.number, extents, inode.size);
}

async function readTarget(volume: Volume, inode: DecodedInode): Promise<string> {
  const { number, size, data } = inode;
  const what = `XFS inode ${number}: the target of the link`;
  if (size < 1 || size > MAXIMUM_TARGET) throw invalid(`${what} has ${size} bytes, want 1 to ${MAXIMUM_TARGET}`);
  if (data.format === FORMAT.local) {
    if (size > data.literal.length) throw invalid(`${what} has ${size} bytes in ${data.literal.length}`);
    return decodeUtf8(data.literal.subarray(0, size), what);
  }
  const { blockSize } = volume.superblock;
  const extents = await readExtents(volume, number, data);
  const blocks = extents.reduce((sum, { count }) => sum + count, 0);
  const pieces: Uint8Array[] = [];
  let done = 0;
  // With the smallest blocks a target takes three.
  const content = forkBytes(volume, number, extents, Math.min(blocks, 4) * blockSize);
  for (let at = 0; at < content.size && done < size; at += blockSize) {
    const block = await read(content, at, blockSize);
    const piece = decodeRemote('symlink', block, number, done, { checksums: volume.checksums });
    if (piece === undefined) break;
    pieces.push(piece);
    done += piece.length;
  }
  if (done !== size) throw invalid(`${what} is damaged`);
  return decodeUtf8(joinMemory(pieces), what);
}

async function readDirectory(walk: Walk, inode: DecodedInode): Promise<DecodedSlot[]> {
  const { volume } = walk;
  const { number, size, data } = inode;
  if (data.format === FORMAT.local) {
    if (size > data.literal.length) throw invalid(`XFS directory ${number}: ${size} bytes in ${data.literal.length}`);
    return decodeShortForm(data.literal.subarray(0, size), number);
  }
  const { blockSize, directoryBlockSize } = volume.superblock;
  const extents = (await readExtents(volume, number, data)).filter(({ offset }) => offset * blockSize < HASH_OFFSET);
  const content = forkBytes(volume, number, extents, size);
  const slots: DecodedSlot[] = [];
  let next = 0;
  for (const { offset, count } of extents) {
    const first = Math.floor((offset * blockSize) / directoryBlockSize);
    const end = Math.ceil(((offset + count) * blockSize) / directoryBlockSize);
    for (next = Math.max(next, first); next < end; next++) {
      if (walk.blocksLeft-- === 0) throw invalid(`XFS volume: more than ${MAXIMUM_DIRECTORY_BLOCKS} directory blocks`);
      if ((next + 1) * directoryBlockSize > size) throw invalid(`XFS directory ${number}: blocks behind its end`);
      const block = await read(content, next * directoryBlockSize, directoryBlockSize);
      slots.push(...decodeDataBlock(block, number, { checksums: volume.checksums }));
    }
  }
  return slots;
}
