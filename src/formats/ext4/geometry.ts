/**
 * Dimensions of an ext4 volume, as mke2fs 1.47.2 chooses them, and the addresses that follow. Blocks are numbered from the start of the
 * volume, from 0; with blocks of 1024 bytes the first group begins at block 1, behind the boot sector.
 */
import { GIB, KIB, MIB } from '../../bytes/units.ts';
import { ImagerError, invalid } from '../../errors.ts';

export const INODE_SIZE = 256;
export const DESCRIPTOR_SIZE = 64;

/** Groups whose bitmaps and inode tables lie together. */
export const FLEXIBLE_GROUPS = 16;

/** Inodes below have fixed purposes. */
export const FIRST_INODE = 11;

/** Block numbers are kept to 32 bits, as with mke2fs where volumes can grow by a resize inode. */
const MAXIMUM_BLOCKS: number = 2 ** 32 - 1;

/** mke2fs makes no journal in less. */
const MINIMUM_BLOCKS = 2048;

export const BLOCK_SIZES: readonly number[] = [1024, 2048, 4096];

export interface Geometry {
  /** Bytes. */
  readonly blockSize: number;
  /** Blocks of the volume. */
  readonly blocks: number;
  /** Where group 0 begins. */
  readonly firstBlock: number;
  /** Blocks of a group; the last one may be shorter. */
  readonly groupBlocks: number;
  readonly groupCount: number;
  readonly inodesPerGroup: number;
  /** Blocks of the group descriptors, and of those that a volume grown 1024 times would have besides. */
  readonly descriptorBlocks: number;
  readonly reservedBlocks: number;
  readonly journalBlocks: number;
  readonly orphanBlocks: number;
}

export function minimumSize(blockSize: number): number {
  return MINIMUM_BLOCKS * checkBlockSize(blockSize);
}

export function maximumSize(blockSize: number): number {
  return MAXIMUM_BLOCKS * checkBlockSize(blockSize);
}

function checkBlockSize(blockSize: number): number {
  if (BLOCK_SIZES.includes(blockSize)) return blockSize;
  throw new ImagerError('unsupported', `ext4 block size ${blockSize}: want ${BLOCK_SIZES.join(', ')}`);
}

/**
 * For a file of `size` bytes and at least `inodes` inodes; `undefined` when there cannot be as many. Throws `invalid-input` when a volume
 * of such a size cannot be, and `unsupported` for block sizes other than 1024, 2048 and 4096.
 */
export function geometryOf(size: number, blockSize: number, inodes: number): Geometry | undefined {
  const [least, most] = [minimumSize(blockSize), maximumSize(blockSize)];
  if (!Number.isSafeInteger(size) || size < least || size > most) {
    throw invalid(`ext4 volume of ${size} bytes: want ${least} to ${most}, with blocks of ${blockSize}`);
  }
  // Whole pages, so that a block device of the same size can be mapped.
  const blocks = Math.floor(size / (4 * KIB)) * ((4 * KIB) / blockSize);
  const wanted = Math.max(
    inodes,
    Math.floor((blocks * blockSize) / bytesPerInode(blocks * blockSize)),
    FIRST_INODE + 1,
  );
  const found = dimensions(blocks, blockSize, { wanted, least: inodes });
  if (found === undefined) return undefined;
  const last = groupLength(found, found.groupCount - 1);
  const overhead = headerBlocks(found, found.groupCount - 1) + 2 + inodeTableBlocks(found);
  if (last >= (last < found.groupBlocks ? overhead + LEAST_ROOM : overhead)) return found;
  return found.groupCount === 1 ? undefined : dimensions(blocks - last, blockSize, { wanted, least: inodes });
}

/** A last group with less room than this for anything but its own metadata is left out. */
const LEAST_ROOM = 50;

function bytesPerInode(size: number): number {
  if (size < 3 * MIB) return 8192;
  if (size < 512 * MIB) return 4096;
  if (size < 4 * 1024 * GIB) return 16384;
  return size < 16 * 1024 * GIB ? 32768 : 65536;
}

interface InodeCounts {
  readonly wanted: number;
  readonly least: number;
}

function dimensions(blocks: number, blockSize: number, inodes: InodeCounts): Geometry | undefined {
  const firstBlock = blockSize === 1024 ? 1 : 0;
  const groupBlocks = blockSize * 8; // as many as a bitmap of one block has bits
  const groupCount = Math.ceil((blocks - firstBlock) / groupBlocks);
  const inodesPerGroup = inodesOfGroup(inodes, groupCount, blockSize);
  if (inodesPerGroup === undefined) return undefined;
  const perBlock = blockSize / DESCRIPTOR_SIZE;
  const descriptorBlocks = Math.ceil(groupCount / perBlock);
  const grown = Math.min(MAXIMUM_BLOCKS, blocks * 1024) - firstBlock;
  const grownDescriptors = Math.ceil(Math.ceil(grown / groupBlocks) / perBlock);
  return {
    blockSize,
    blocks,
    firstBlock,
    groupBlocks,
    groupCount,
    inodesPerGroup,
    descriptorBlocks,
    // As many as one indirect block can name.
    reservedBlocks: Math.min(grownDescriptors - descriptorBlocks, blockSize / 4),
    journalBlocks: journalBlocks(blocks),
    orphanBlocks: Math.min(Math.max(Math.floor(blocks / 4096), 32), 512),
  };
}

/**
 * Those that fill whole blocks, of them a multiple of 8 as a bitmap is made of bytes: rounded down where the least allows it, and no more
 * than a bitmap of one block has bits. mke2fs would make the groups smaller instead; that concerns volumes just above 128 MiB.
 */
function inodesOfGroup({ wanted, least }: InodeCounts, groupCount: number, blockSize: number): number | undefined {
  const perBlock = blockSize / INODE_SIZE;
  const filled = Math.ceil(Math.ceil(wanted / groupCount) / perBlock) * perBlock;
  const rounded = Math.max(filled - (filled % 8), 8);
  const inodes = Math.min(rounded * groupCount >= least ? rounded : rounded + 8, blockSize * 8);
  return inodes * groupCount >= least ? inodes : undefined;
}

/** Blocks, by the blocks of the volume. */
function journalBlocks(blocks: number): number {
  const steps: readonly (readonly [below: number, blocks: number])[] = [
    [32 * KIB, 1024],
    [256 * KIB, 4096],
    [512 * KIB, 8192],
    [4096 * KIB, 16384],
    [8192 * KIB, 32768],
    [16384 * KIB, 65536],
    [32768 * KIB, 131072],
  ];
  return steps.find(([below]) => blocks < below)?.[1] ?? 262144;
}

export function groupStart({ firstBlock, groupBlocks }: Geometry, group: number): number {
  return firstBlock + group * groupBlocks;
}

/** Blocks of one group. */
export function groupLength(geometry: Geometry, group: number): number {
  return Math.min(geometry.groupBlocks, geometry.blocks - groupStart(geometry, group));
}

export function inodeTableBlocks({ inodesPerGroup, blockSize }: Geometry): number {
  return (inodesPerGroup * INODE_SIZE) / blockSize;
}

/** Groups with a copy of the super block and the descriptors (sparse_super): 0, 1 and the powers of 3, 5 and 7. */
export function hasCopy(group: number): boolean {
  return group <= 1 || [3, 5, 7].some((base) => isPower(group, base));
}

function isPower(value: number, base: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}

/** Blocks at the start of a group that are the super block, descriptors and the room for more of them. */
export function headerBlocks(geometry: Geometry, group: number): number {
  return hasCopy(group) ? 1 + geometry.descriptorBlocks + geometry.reservedBlocks : 0;
}
