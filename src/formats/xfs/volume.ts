/** Reading a volume's inodes and forks, hostile ones included: nothing is trusted before it is checked, and every loop is bounded. */
import { type Bytes, concat, slice, zeros } from '../../bytes/bytes.ts';
import { read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import { decodeExtentBlock, decodeExtentRoot } from './bmap-btree.ts';
import { decodeExtent, EXTENT_SIZE, type Extent } from './extent.ts';
import { type DecodedInode, decodeInode, FORMAT, type Fork } from './inode.ts';
import { decodeSuperblock, type Superblock } from './superblock.ts';

export interface Volume {
  readonly bytes: Bytes;
  readonly superblock: Superblock;
  /** Whether checksums are checked. */
  readonly checksums: boolean;
}

/** Of one fork: a terabyte of the smallest extents a file system would let a file come to. */
const MAXIMUM_EXTENTS = 1_000_000;

export async function openVolume(bytes: Bytes, checksums: boolean): Promise<Volume> {
  const head = await read(bytes, 0, Math.min(32768, bytes.size));
  const superblock = decodeSuperblock(head, { checksums });
  const size = superblock.blocks * superblock.blockSize;
  if (size > bytes.size) throw invalid(`XFS volume of ${size} bytes: only ${bytes.size} are there`);
  return { bytes, superblock, checksums };
}

/** Throws `invalid-input` when no sound inode of this number is there. */
export async function readInode(volume: Volume, number: bigint): Promise<DecodedInode> {
  const { agBlockLog, agCount, blockSize, inodeSize } = volume.superblock;
  const perBlock = blockSize / inodeSize;
  const perAg = BigInt(2 ** agBlockLog * perBlock);
  const ag = number / perAg;
  const agInode = Number(number % perAg);
  if (ag >= BigInt(agCount)) throw invalid(`XFS inode ${number}: there are only ${agCount} groups`);
  const agBlock = Math.floor(agInode / perBlock);
  const block = blockAt(volume, Number(ag) * 2 ** agBlockLog + agBlock, 1, number);
  const data = await read(volume.bytes, block * blockSize + (agInode % perBlock) * inodeSize, inodeSize);
  return decodeInode(data, Number(number), { checksums: volume.checksums });
}

/** The volume block of `count` file system blocks that an inode says it owns, which must lie in one group. */
function blockAt(volume: Volume, fileSystemBlock: number, count: number, inode: bigint | number): number {
  const { agBlockLog, agBlocks, blocks } = volume.superblock;
  const ag = Math.floor(fileSystemBlock / 2 ** agBlockLog);
  const agBlock = fileSystemBlock % 2 ** agBlockLog;
  const block = ag * agBlocks + agBlock;
  if (agBlock + count > agBlocks || block + count > blocks) {
    throw invalid(`XFS inode ${inode}: block ${fileSystemBlock} and ${count} on lie outside the volume`);
  }
  return block;
}

/** In the order of their offsets, each inside the volume. */
export async function readExtents(volume: Volume, inode: number, fork: Fork): Promise<Extent[]> {
  const extents = await rawExtents(volume, inode, fork);
  let end = 0;
  for (const { offset, start, count } of extents) {
    if (offset < end || count === 0) throw invalid(`XFS inode ${inode}: extents are not in order`);
    blockAt(volume, start, count, inode);
    end = offset + count;
  }
  return extents;
}

async function rawExtents(volume: Volume, inode: number, fork: Fork): Promise<Extent[]> {
  if (fork.extents > MAXIMUM_EXTENTS)
    throw invalid(`XFS inode ${inode}: ${fork.extents} extents, want at most ${MAXIMUM_EXTENTS}`);
  if (fork.format === FORMAT.extents) {
    if (fork.extents * EXTENT_SIZE > fork.literal.length) {
      throw invalid(`XFS inode ${inode}: ${fork.extents} extents in ${fork.literal.length} bytes`);
    }
    const view = new DataView(fork.literal.buffer, fork.literal.byteOffset, fork.literal.byteLength);
    return Array.from({ length: fork.extents }, (_, index) => decodeExtent(view, index * EXTENT_SIZE));
  }
  if (fork.format !== FORMAT.tree) throw invalid(`XFS inode ${inode}: fork of format ${fork.format} has no extents`);
  return treeExtents(volume, inode, fork);
}

/** Level by level; no level can have more blocks than there are extents. */
async function treeExtents(volume: Volume, inode: number, fork: Fork): Promise<Extent[]> {
  const { blockSize } = volume.superblock;
  const root = decodeExtentRoot(fork.literal, inode);
  let children = root.children;
  for (let level = root.level - 1; ; level--) {
    const extents: Extent[] = [];
    const below: number[] = [];
    for (const child of children) {
      const data = await read(volume.bytes, blockAt(volume, child, 1, inode) * blockSize, blockSize);
      const block = decodeExtentBlock(data, inode, level, { checksums: volume.checksums });
      if (block.kind === 'leaf') extents.push(...block.extents);
      else below.push(...block.children);
      if (extents.length > fork.extents || below.length > fork.extents) {
        throw invalid(`XFS inode ${inode}: more extents than the ${fork.extents} it says`);
      }
    }
    if (level === 0) return extents;
    children = below;
  }
}

/** The first `size` bytes of a fork; what no extent covers, and what is not written yet, is zeros. */
export function forkBytes(volume: Volume, inode: number, extents: readonly Extent[], size: number): Bytes {
  const { blockSize } = volume.superblock;
  const parts: Bytes[] = [];
  let end = 0;
  for (const { offset, start, count, unwritten } of extents) {
    const from = offset * blockSize;
    if (from >= size) break;
    const length = Math.min(count * blockSize, size - from);
    const at = blockAt(volume, start, count, inode) * blockSize;
    parts.push(zeros(from - end), unwritten ? zeros(length) : slice(volume.bytes, at, at + length));
    end = from + length;
  }
  parts.push(zeros(size - end));
  return concat(parts);
}

/** The pieces that forkBytes takes from the volume. */
export function forkRanges(
  volume: Volume,
  inode: number,
  extents: readonly Extent[],
  size: number,
): { readonly offset: number; readonly size: number }[] {
  const { blockSize } = volume.superblock;
  return extents
    .filter(({ offset, unwritten }) => offset * blockSize < size && !unwritten)
    .map(({ offset, start, count }) => ({
      offset: blockAt(volume, start, count, inode) * blockSize,
      size: Math.min(count * blockSize, size - offset * blockSize),
    }));
}
