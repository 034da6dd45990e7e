/**
 * Dimensions of an XFS volume, and the addresses that follow from them. Blocks are 4096 bytes.
 *
 * A block is addressed here by its number from the start of the volume. On the disk there are three other forms: the block within its
 * allocation group (AG), the file system block (AG number above the AG's block, in a power of two), and the 512-byte sector.
 */
import { alignUp } from '../../bytes/bytes.ts';
import { GIB, MIB } from '../../bytes/units.ts';
import { ImagerError, invalid } from '../../errors.ts';
import type { Features } from './features.ts';

export const BLOCK_SIZE = 4096;
export const BLOCK_LOG = 12;
export const INODE_SIZE = 512;
export const INODE_LOG = 9;
export const INODES_PER_BLOCK: number = BLOCK_SIZE / INODE_SIZE;

/** Inodes come in chunks of 64 that start at a multiple of their length. */
export const INODES_PER_CHUNK = 64;
export const BLOCKS_PER_CHUNK: number = INODES_PER_CHUNK / INODES_PER_BLOCK;

/** What mkfs.xfs has refused to go below since 5.19. */
export const MINIMUM_SIZE: number = 300 * MIB;

/** An arbitrary end, far above any boot volume: there the volume has sixteen AGs of the largest size. */
export const MAXIMUM_SIZE: number = 16 * 1024 * GIB;

export interface Geometry {
  /** Bytes: 512 or 4096. */
  readonly sectorSize: number;
  readonly features: Features;
  /** Blocks of the volume. */
  readonly blocks: number;
  readonly agCount: number;
  /** Blocks of an allocation group; the last one may be shorter. */
  readonly agBlocks: number;
  /** Bits of a block number within an AG. */
  readonly agBlockLog: number;
  /** Blocks of the log, which lies in the AG in the middle. */
  readonly logBlocks: number;
  readonly logAg: number;
  /** Per cent of the blocks that inodes may take. */
  readonly inodePercent: number;
}

/** 1 TiB, less the block whose number would need all 28 bits and one more. */
const MAXIMUM_AG_BLOCKS = (1024 * GIB) / BLOCK_SIZE - 1;

/** A shorter AG at the end is left unused. */
const MINIMUM_AG_BLOCKS = (16 * MIB) / BLOCK_SIZE;

const MINIMUM_LOG_BLOCKS = (64 * MIB) / BLOCK_SIZE;
const MAXIMUM_LOG_BLOCKS = (2038 * MIB) / BLOCK_SIZE;

/**
 * The dimensions that mkfs.xfs chooses for a file of `size` bytes (measured on 6.13; vectors of 7.2 agree).
 * Throws `invalid-input` outside 300 MiB to 16 TiB, and for sector sizes other than 512 and 4096.
 */
export function geometryOf(size: number, sectorSize: number, features: Features): Geometry {
  if (sectorSize !== 512 && sectorSize !== 4096) {
    throw new ImagerError('unsupported', `XFS sector size ${sectorSize}: want 512 or 4096`);
  }
  if (!Number.isSafeInteger(size) || size < MINIMUM_SIZE || size > MAXIMUM_SIZE) {
    throw invalid(`XFS volume of ${size} bytes: want ${MINIMUM_SIZE} to ${MAXIMUM_SIZE}`);
  }
  const whole = Math.floor(size / BLOCK_SIZE);
  const agBlocks = whole >= (4 * 1024 * GIB) / BLOCK_SIZE ? MAXIMUM_AG_BLOCKS : Math.ceil(whole / 4);
  const rest = whole % agBlocks;
  const blocks = rest < MINIMUM_AG_BLOCKS ? whole - rest : whole;
  const agCount = Math.ceil(blocks / agBlocks);
  return {
    sectorSize,
    features,
    blocks,
    agCount,
    agBlocks,
    agBlockLog: Math.ceil(Math.log2(agBlocks)),
    logBlocks: Math.min(Math.max(Math.floor(blocks / 2048), MINIMUM_LOG_BLOCKS), MAXIMUM_LOG_BLOCKS),
    logAg: Math.floor(agCount / 2),
    inodePercent: blocks < (1024 * GIB) / BLOCK_SIZE ? 25 : 5,
  };
}

/** Blocks of one AG. */
export function agLength(geometry: Geometry, ag: number): number {
  return Math.min(geometry.agBlocks, geometry.blocks - ag * geometry.agBlocks);
}

/** The AG a block lies in. */
export function agOf(geometry: Geometry, block: number): number {
  return Math.floor(block / geometry.agBlocks);
}

/** The block within its AG. */
export function agBlockOf(geometry: Geometry, block: number): number {
  return block % geometry.agBlocks;
}

export function blockOf(geometry: Geometry, ag: number, agBlock: number): number {
  return ag * geometry.agBlocks + agBlock;
}

/** As extents and pointers between AGs name a block. */
export function fileSystemBlock(geometry: Geometry, block: number): number {
  return agOf(geometry, block) * 2 ** geometry.agBlockLog + agBlockOf(geometry, block);
}

/** As self-describing metadata names its own place: in sectors of 512 bytes, whatever the volume's are. */
export function diskAddress(block: number): number {
  return block * (BLOCK_SIZE / 512);
}

/** `agInode` is the number within the AG: eight to a block. */
export function inodeNumber(geometry: Geometry, ag: number, agInode: number): number {
  return ag * 2 ** (geometry.agBlockLog + 3) + agInode;
}

export function agInodeOf(geometry: Geometry, inode: number): number {
  return inode % 2 ** (geometry.agBlockLog + 3);
}

/** Blocks before the first that is not a header: super block, AGF, AGI and AGFL, a sector each. */
export function headerBlocks(geometry: Geometry): number {
  return Math.ceil((4 * geometry.sectorSize) / BLOCK_SIZE);
}

/** The roots of an AG's B+trees: AG blocks, each directly behind the one before. */
export interface Roots {
  readonly freeByBlock: number;
  readonly freeBySize: number;
  readonly inode: number;
  readonly freeInode: number;
  /** `undefined` without the feature. */
  readonly reverseMap: number | undefined;
  readonly referenceCount: number;
}

export function rootsOf(geometry: Geometry): Roots {
  const first = headerBlocks(geometry);
  const { rmapbt } = geometry.features;
  return {
    freeByBlock: first,
    freeBySize: first + 1,
    inode: first + 2,
    freeInode: first + 3,
    reverseMap: rmapbt ? first + 4 : undefined,
    referenceCount: first + (rmapbt ? 5 : 4),
  };
}

/** The AG block behind the roots: where the log begins in the AG that has it. */
export function afterRoots(geometry: Geometry): number {
  return rootsOf(geometry).referenceCount + 1;
}

/** The AG block behind roots and log. */
export function afterLog(geometry: Geometry, ag: number): number {
  return afterRoots(geometry) + (ag === geometry.logAg ? geometry.logBlocks : 0);
}

/** First block of the log. */
export function logStart(geometry: Geometry): number {
  return blockOf(geometry, geometry.logAg, afterRoots(geometry));
}

/** B+tree levels of an AG's three trees that take blocks from its free list. */
export interface FreeListLevels {
  readonly freeByBlock: number;
  readonly freeBySize: number;
  /** 0 without the feature. */
  readonly reverseMap: number;
}

/** Blocks that the free list must have so that each of these trees can be split from leaf to root twice. */
export function freeListLength(levels: FreeListLevels): number {
  return 2 * (levels.freeByBlock + levels.freeBySize + levels.reverseMap);
}

/** The least length of a free list: that of an AG whose trees are all one block. */
export function leastFreeListLength(geometry: Geometry): number {
  return freeListLength({ freeByBlock: 1, freeBySize: 1, reverseMap: geometry.features.rmapbt ? 1 : 0 });
}

/** AG block of the AG's first inode chunk. In AG 0 it holds the root directory, and repair tools know where it has to be. */
export function firstChunk(geometry: Geometry, ag: number): number {
  return alignUp(afterLog(geometry, ag) + leastFreeListLength(geometry), BLOCKS_PER_CHUNK);
}

/** The root directory, and behind it the two inodes of a real-time section that is not there. */
export function rootInode(geometry: Geometry): number {
  return inodeNumber(geometry, 0, firstChunk(geometry, 0) * INODES_PER_BLOCK);
}
