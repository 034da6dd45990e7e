/**
 * Reading XFS volumes of version 5 into Trees, hostile ones included. What is in the log and not yet in its place is not seen: the volume
 * must have been closed in good order.
 */
import type { Bytes } from '../../bytes/bytes.ts';
import { joinMemory, viewOf } from '../../bytes/field.ts';
import { read } from '../../bytes/read.ts';
import { GIB } from '../../bytes/units.ts';
import { decodeUtf8 } from '../../bytes/utf8.ts';
import { ImagerError, invalid } from '../../errors.ts';
import { type Tree, treeOf } from '../../tree/tree.ts';
import { decodeName, entryOfInode, MAXIMUM_ATTRIBUTE_BYTES, MAXIMUM_DIRECTORY_BLOCKS } from '../volume/inode-entry.ts';
import { type DecodeOptions, walkVolume } from '../volume/walk.ts';
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

/** Offset in a directory from which on it has hashes, not entries. */
const HASH_OFFSET: number = 32 * GIB;

const MAXIMUM_TARGET = 1023;

/** Throws `invalid-input` for anything that is no sound volume, `unsupported` for features that change what has to be read. */
export async function decodeXfs(bytes: Bytes, options: DecodeOptions = {}): Promise<XfsContent> {
  const volume = await openVolume(bytes, options.checksums ?? true);
  const attributes: AttributeBudget = { left: MAXIMUM_ATTRIBUTE_BYTES };
  const blocks = { left: MAXIMUM_DIRECTORY_BLOCKS };
  const ranges = new Map<Bytes, readonly FileRange[]>();
  const entries = await walkVolume<bigint, DecodedInode>(
    {
      format: 'XFS',
      whole: 'XFS volume',
      keyOf: (number) => number,
      readInode: (number) => readInode(volume, number),
      entryOf: (inode, _, path) =>
        entryOfInode('XFS', inode, path, {
          readAttributes: () => readAttributes(volume, inode, attributes),
          readContent: async () => {
            const file = await readFile(volume, inode, path);
            ranges.set(file.content, file.ranges);
            return file.content;
          },
          readTarget: () => readTarget(volume, inode),
          decodeDevice: () => deviceOf(inode),
        }),
      listDirectory: (inode) => readDirectory(volume, inode, blocks),
      decodeName: (name, directory) => decodeName('XFS', name, directory),
    },
    BigInt(volume.superblock.rootInode),
  );
  const files = entries.flatMap((entry) =>
    entry.kind === 'file' ? [[entry.path, ranges.get(entry.content)!] as const] : [],
  );
  return { superblock: volume.superblock, tree: treeOf(entries), files: new Map(files) };
}

function deviceOf({ data }: DecodedInode): { major: number; minor: number } {
  const device = viewOf(data.literal).getUint32(0);
  return { major: Math.floor(device / DEVICE_MINORS), minor: device % DEVICE_MINORS };
}

interface FileContent {
  readonly content: Bytes;
  readonly ranges: readonly FileRange[];
}

async function readFile(volume: Volume, inode: DecodedInode, path: string): Promise<FileContent> {
  if (inode.realTime) throw new ImagerError('unsupported', `XFS file "${path}": it lies in a real-time section`);
  const extents = await readExtents(volume, inode.number, inode.data);
  const ranges = forkRanges(volume, inode.number, extents, inode.size);
  return { content: forkBytes(volume, inode.number, extents, inode.size), ranges };
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

async function readDirectory(volume: Volume, inode: DecodedInode, blocks: { left: number }): Promise<DecodedSlot[]> {
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
      if (blocks.left-- === 0) throw invalid(`XFS volume: more than ${MAXIMUM_DIRECTORY_BLOCKS} directory blocks`);
      if ((next + 1) * directoryBlockSize > size) throw invalid(`XFS directory ${number}: blocks behind its end`);
      const block = await read(content, next * directoryBlockSize, directoryBlockSize);
      slots.push(...decodeDataBlock(block, number, { checksums: volume.checksums }));
    }
  }
  return slots;
}
