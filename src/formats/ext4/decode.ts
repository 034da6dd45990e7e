/**
 * Reading ext4 volumes into Trees, hostile ones included. What is in the journal and not yet in its place is not seen: a volume that was not
 * closed in good order is refused.
 */
import type { Bytes } from '../../bytes/bytes.ts';
import { read } from '../../bytes/read.ts';
import { decodeUtf8 } from '../../bytes/utf8.ts';
import { invalid } from '../../errors.ts';
import { type Tree, treeOf } from '../../tree/tree.ts';
import { decodeName, entryOfInode, MAXIMUM_ATTRIBUTE_BYTES, MAXIMUM_DIRECTORY_BLOCKS } from '../volume/inode-entry.ts';
import { type DecodeOptions, walkVolume } from '../volume/walk.ts';
import { decodeAttributeBlock, decodeInodeAttributes, isSealedAttributeBlock } from './attribute.ts';
import { type DecodedItem, decodeDirectoryBlock, isSealedDirectoryBlock } from './directory-block.ts';
import { ROOT_SIZE } from './extent-tree.ts';
import { isSealedIndexBlock } from './hash-tree.ts';
import { type DecodedInode, INODE, INODE_FLAGS } from './inode.ts';
import { decodeDevice } from './inode-plan.ts';
import { openVolume, readBlock, readContent, readInode, type Volume } from './volume.ts';

const MAXIMUM_TARGET = 4096;

/**
 * All that has a name, `lost+found` too; contents are parts of `bytes`. Throws `invalid-input` for anything that is no sound volume,
 * `unsupported` for features and attributes that a Tree or this reader does not know.
 */
export async function decodeExt4(bytes: Bytes, options: DecodeOptions = {}): Promise<Tree> {
  const volume = await openVolume(bytes, options.checksums ?? true);
  const left: Left = { attributeBytes: MAXIMUM_ATTRIBUTE_BYTES, directoryBlocks: MAXIMUM_DIRECTORY_BLOCKS };
  const entries = await walkVolume<number, DecodedInode>(
    {
      format: 'ext4',
      whole: 'ext4 volume',
      keyOf: (number) => number,
      readInode: (number) => readInode(volume, number),
      entryOf: (inode, _, path) =>
        entryOfInode('ext4', inode, path, {
          readAttributes: () => readAttributes(volume, inode, left),
          readContent: () => readContent(volume, inode),
          readTarget: () => readTarget(volume, inode),
          decodeDevice: () => decodeDevice(inode.block),
        }),
      listDirectory: (inode) => readDirectory(volume, inode, left),
      decodeName: (name, directory) => decodeName('ext4', name, directory),
    },
    INODE.root,
  );
  return treeOf(entries);
}

/** What may still be read of the volume. */
interface Left {
  attributeBytes: number;
  directoryBlocks: number;
}

async function readTarget(volume: Volume, inode: DecodedInode): Promise<string> {
  const { number, size, flags, block } = inode;
  const what = `ext4 inode ${number}: the target of the link`;
  if (size < 1 || size > MAXIMUM_TARGET) throw invalid(`${what} has ${size} bytes, want 1 to ${MAXIMUM_TARGET}`);
  const inline = size < ROOT_SIZE && (flags & INODE_FLAGS.extents) === 0;
  return decodeUtf8(inline ? block.subarray(0, size) : await read(await readContent(volume, inode)), what);
}

async function readAttributes(
  volume: Volume,
  inode: DecodedInode,
  left: Left,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const { number, attributeBlock } = inode;
  let found = decodeInodeAttributes(inode.attributes, number);
  if (attributeBlock !== 0) {
    const data = await readBlock(volume, attributeBlock, number);
    if (volume.checksums && !isSealedAttributeBlock(data, attributeBlock, volume.superblock.checksumSeed)) {
      throw invalid(`ext4 inode ${number}: the checksum of its attributes does not match`);
    }
    found = new Map([...found, ...decodeAttributeBlock(data, number)]);
  }
  for (const [name, value] of found) left.attributeBytes -= name.length + value.length;
  if (left.attributeBytes < 0) throw invalid(`ext4 inode ${number}: more attributes than are read of one volume`);
  return found;
}

async function readDirectory(volume: Volume, inode: DecodedInode, left: Left): Promise<DecodedItem[]> {
  const { number, size } = inode;
  const { blockSize } = volume.superblock;
  if (size === 0 || size % blockSize !== 0) {
    throw invalid(`ext4 directory ${number}: ${size} bytes, want whole blocks of ${blockSize}`);
  }
  const content = await readContent(volume, inode);
  const items: DecodedItem[] = [];
  for (let at = 0; at < size; at += blockSize) {
    if (left.directoryBlocks-- === 0)
      throw invalid(`ext4 volume: more than ${MAXIMUM_DIRECTORY_BLOCKS} directory blocks`);
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
