/** Reading a volume's inodes and contents, hostile ones included: nothing is trusted before it is checked, and every loop is bounded. */
import { type Bytes, concat, slice, zeros } from '../../bytes/bytes.ts';
import { read } from '../../bytes/read.ts';
import { ImagerError, invalid } from '../../errors.ts';
import { inodeSeed } from './checksum.ts';
import { type DecodedNode, decodeExtentNode, type Extent, isSealedExtentBlock } from './extent-tree.ts';
import {
  type DecodedGroupDescriptor,
  decodeGroupDescriptor,
  GROUP_FLAGS,
  isSealedDescriptor,
} from './group-descriptor.ts';
import { type DecodedInode, decodeInode, generationOf, INODE_FLAGS, isSealedInode } from './inode.ts';
import { decodeSuperblock, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, type Superblock } from './superblock.ts';

export interface Volume {
  readonly bytes: Bytes;
  readonly superblock: Superblock;
  /** Whether checksums are checked. */
  readonly checksums: boolean;
  /** Descriptors met so far, by group. */
  readonly groups: Map<number, DecodedGroupDescriptor>;
  /** How many more are read. */
  extentsLeft: number;
}

/** Of all files together: as many as 128 TiB in longest pieces have. */
const MAXIMUM_EXTENTS = 1_000_000;

/** Block numbers within a file have 32 bits. */
const MAXIMUM_FILE_BLOCKS: number = 2 ** 32;

/** `checksums`: whether metadata must have its checksum, where the volume has any. */
export async function openVolume(bytes: Bytes, checksums: boolean): Promise<Volume> {
  if (bytes.size < SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE) {
    throw invalid(`ext4 volume of ${bytes.size} bytes: too short for a super block`);
  }
  const superblock = decodeSuperblock(await read(bytes, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE), { checksums });
  const size = superblock.blocks * superblock.blockSize;
  if (size > bytes.size) throw invalid(`ext4 volume of ${size} bytes: only ${bytes.size} are there`);
  return {
    bytes,
    superblock,
    checksums: checksums && superblock.checksums,
    groups: new Map(),
    extentsLeft: MAXIMUM_EXTENTS,
  };
}

async function readDescriptor(volume: Volume, group: number): Promise<DecodedGroupDescriptor> {
  const known = volume.groups.get(group);
  if (known !== undefined) return known;
  const { blockSize, firstBlock, descriptorSize, checksumSeed } = volume.superblock;
  const at = (firstBlock + 1) * blockSize + group * descriptorSize;
  if (at + descriptorSize > volume.bytes.size)
    throw invalid(`ext4 group ${group}: its descriptor lies outside the volume`);
  const data = await read(volume.bytes, at, descriptorSize);
  if (volume.checksums && !isSealedDescriptor(group, data, checksumSeed)) {
    throw invalid(`ext4 group ${group}: the checksum of its descriptor does not match`);
  }
  const descriptor = decodeGroupDescriptor(data);
  volume.groups.set(group, descriptor);
  return descriptor;
}

/** Throws `invalid-input` when no sound inode of this number is there. */
export async function readInode(volume: Volume, number: number): Promise<DecodedInode> {
  const { blockSize, inodes, inodesPerGroup, inodeSize, checksumSeed } = volume.superblock;
  if (number < 1 || number > inodes) throw invalid(`ext4 inode ${number}: there are only ${inodes}`);
  const group = Math.floor((number - 1) / inodesPerGroup);
  const index = (number - 1) % inodesPerGroup;
  const { inodeTable, flags, unusedInodes } = await readDescriptor(volume, group);
  if ((flags & GROUP_FLAGS.inodesUnused) !== 0 || index >= inodesPerGroup - unusedInodes) {
    throw invalid(`ext4 inode ${number}: it was never in use`);
  }
  const at = checkedBlock(volume, inodeTable, 1, number) * blockSize + index * inodeSize;
  if (at + inodeSize > volume.bytes.size) throw invalid(`ext4 inode ${number}: it lies outside the volume`);
  const data = await read(volume.bytes, at, inodeSize);
  const seed = inodeSeed(checksumSeed, number, generationOf(data));
  if (volume.checksums && !isSealedInode(data, seed)) {
    throw invalid(`ext4 inode ${number}: its checksum does not match`);
  }
  const inode = decodeInode(data, number, seed);
  if (inode === undefined) throw invalid(`ext4 inode ${number}: its fields do not fit`);
  const unknown = INODE_FLAGS.encrypted | INODE_FLAGS.inlineData | INODE_FLAGS.attributeInode;
  if ((inode.flags & unknown) !== 0) {
    throw new ImagerError('unsupported', `ext4 inode ${number}: encrypted, or with its data in an unknown place`);
  }
  return inode;
}

/** `block`, from which on `count` blocks lie inside the volume. */
function checkedBlock({ superblock }: Volume, block: number, count: number, inode: number): number {
  if (block < 1 || block + count > superblock.blocks) {
    throw invalid(`ext4 inode ${inode}: block ${block} and ${count} on lie outside the volume`);
  }
  return block;
}

/** A block that belongs to an inode. */
export async function readBlock(volume: Volume, block: number, inode: number): Promise<Uint8Array> {
  const { blockSize } = volume.superblock;
  return read(volume.bytes, checkedBlock(volume, block, 1, inode) * blockSize, blockSize);
}

/** The content of an inode: what no extent covers, and what is not written yet, is zeros. */
export async function readContent(volume: Volume, inode: DecodedInode): Promise<Bytes> {
  const { blockSize } = volume.superblock;
  const { number, size, flags } = inode;
  if (size > MAXIMUM_FILE_BLOCKS * blockSize)
    throw invalid(`ext4 inode ${number}: ${size} bytes are more than there can be`);
  if (size === 0) return zeros(0);
  if ((flags & INODE_FLAGS.extents) === 0) {
    throw new ImagerError('unsupported', `ext4 inode ${number}: its blocks are listed as in ext2, want extents`);
  }
  const parts: Bytes[] = [];
  let end = 0;
  for (const { offset, start, count, unwritten } of await readExtents(volume, inode)) {
    const from = offset * blockSize;
    if (from >= size) break;
    const length = Math.min(count * blockSize, size - from);
    const at = start * blockSize;
    parts.push(zeros(from - end), unwritten ? zeros(length) : slice(volume.bytes, at, at + length));
    end = from + length;
  }
  parts.push(zeros(size - end));
  return concat(parts);
}

/** In the order of their offsets, each inside the volume. */
async function readExtents(volume: Volume, inode: DecodedInode): Promise<Extent[]> {
  const { number } = inode;
  const what = `ext4 inode ${number}`;
  const found: Extent[] = [];
  let end = 0;
  const waiting: DecodedNode[] = [decodeExtentNode(inode.block, what)];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (node.kind === 'leaf') {
      for (const extent of node.extents) {
        // As they ascend, no block of the tree can be met twice.
        if (extent.offset < end || extent.count === 0) throw invalid(`${what}: extents are not in order`);
        checkedBlock(volume, extent.start, extent.count, number);
        if (volume.extentsLeft-- === 0) throw invalid(`ext4 volume: more than ${MAXIMUM_EXTENTS} extents`);
        end = extent.offset + extent.count;
        found.push(extent);
      }
      continue;
    }
    const [child, ...rest] = node.children;
    if (child === undefined) throw invalid(`${what}: a node of extents without any`);
    if (rest.length > 0) waiting.push({ ...node, children: rest });
    waiting.push(await readNode(volume, inode, child, node.depth - 1));
  }
  return found;
}

async function readNode(volume: Volume, inode: DecodedInode, block: number, depth: number): Promise<DecodedNode> {
  const what = `ext4 inode ${inode.number}`;
  const data = await readBlock(volume, block, inode.number);
  const node = decodeExtentNode(data, what);
  if (volume.checksums && !isSealedExtentBlock(data, inode.seed)) {
    throw invalid(`${what}: the checksum of its extents does not match`);
  }
  const level = node.kind === 'leaf' ? 0 : node.depth;
  if (level !== depth) throw invalid(`${what}: a node of extents of level ${level}, want ${depth}`);
  if (node.kind === 'leaf' && node.extents.length === 0) throw invalid(`${what}: a node of extents without any`);
  return node;
}
