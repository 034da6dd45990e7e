/**
 * The super block: one sector, at the start of each allocation group; the copies are for repair only. Big-endian but for the checksum.
 * Source: XFS Algorithms and Data Structures, "Superblocks".
 */
import { fromHex, getU64, putU64, structure, viewOf } from '../../bytes/field.ts';
import { ImagerError, invalid } from '../../errors.ts';
import { type Guid, guidOfBytes } from '../gpt/guid.ts';
import { isSealed, seal } from './checksum.ts';
import { INCOMPATIBLE, incompatibleBits, readOnlyCompatibleBits } from './features.ts';
import {
  afterRoots,
  BLOCK_LOG,
  BLOCK_SIZE,
  BLOCKS_PER_CHUNK,
  fileSystemBlock,
  type Geometry,
  INODE_LOG,
  INODE_SIZE,
  INODES_PER_BLOCK,
  logStart,
  rootInode,
} from './geometry.ts';

export const SUPERBLOCK_MAGIC = 0x58465342;

/** `XFSB`'s checksum field. */
const CHECKSUM_OFFSET = 0xe0;

const LABEL_OFFSET = 0x6c;
export const LABEL_SIZE = 12;

/** All 64 bits set: no inode. */
const NO_INODE = 0xffffffffffffffffn;

const VERSION = {
  five: 5,
  attributes: 0x10,
  manyLinks: 0x20,
  aligned: 0x80,
  log2: 0x400,
  sectors: 0x800,
  unwritten: 0x1000,
  directory2: 0x2000,
  moreBits: 0x8000,
} as const;

const FEATURES2 = { lazyCounters: 2, attributes2: 8, projectId32: 0x80, checksums: 0x100 } as const;

export interface Identity {
  /** Up to 12 bytes of UTF-8. */
  readonly label: string;
  readonly uuid: Guid;
}

/** Totals over all AGs. */
export interface Counters {
  readonly inodes: number;
  readonly freeInodes: number;
  readonly freeBlocks: number;
}

/** The 16 bytes in the order of the text: unlike a GPT's. */
export function uuidBytes(uuid: Guid): Uint8Array {
  return fromHex(uuid.replaceAll('-', ''));
}

/** `counters` are those of the volume; a copy gets `undefined`, as its counters are never kept up: it stays as when there was no inode. */
export function encodeSuperblock(geometry: Geometry, identity: Identity, counters: Counters | undefined): Uint8Array {
  const { data, view } = structure(geometry.sectorSize);
  const root = rootInode(geometry);
  const large = geometry.sectorSize > 512;
  view.setUint32(0x00, SUPERBLOCK_MAGIC);
  view.setUint32(0x04, BLOCK_SIZE);
  putU64(view, 0x08, geometry.blocks, false);
  data.set(uuidBytes(identity.uuid), 0x20);
  putU64(view, 0x30, fileSystemBlock(geometry, logStart(geometry)), false);
  putU64(view, 0x38, root, false);
  putU64(view, 0x40, counters === undefined ? NO_INODE : root + 1, false);
  putU64(view, 0x48, counters === undefined ? NO_INODE : root + 2, false);
  view.setUint32(0x50, 1); // blocks of a real-time extent
  view.setUint32(0x54, geometry.agBlocks);
  view.setUint32(0x58, geometry.agCount);
  view.setUint32(0x60, geometry.logBlocks);
  view.setUint16(0x64, versionBits(large));
  view.setUint16(0x66, geometry.sectorSize);
  view.setUint16(0x68, INODE_SIZE);
  view.setUint16(0x6a, INODES_PER_BLOCK);
  data.set(checkLabel(identity.label), LABEL_OFFSET);
  data[0x78] = BLOCK_LOG;
  data[0x79] = Math.log2(geometry.sectorSize);
  data[0x7a] = INODE_LOG;
  data[0x7b] = Math.log2(INODES_PER_BLOCK);
  data[0x7c] = geometry.agBlockLog;
  // In progress: mkfs.xfs leaves the mark in the copies, so that none of them is ever taken for a finished volume unseen.
  data[0x7e] = counters === undefined ? 1 : 0;
  data[0x7f] = geometry.inodePercent;
  putU64(view, 0x80, counters?.inodes ?? 0, false);
  putU64(view, 0x88, counters?.freeInodes ?? 0, false);
  putU64(view, 0x90, counters?.freeBlocks ?? emptyBlocks(geometry), false);
  view.setUint32(0xb4, BLOCKS_PER_CHUNK); // alignment of inode chunks
  // The log's sector fields are set only when they are not 512; its stripe unit is 1 then, which stands for none.
  data[0xc1] = large ? Math.log2(geometry.sectorSize) : 0;
  view.setUint16(0xc2, large ? geometry.sectorSize : 0);
  view.setUint32(0xc4, large ? geometry.sectorSize : 1);
  const features2 = FEATURES2.lazyCounters | FEATURES2.attributes2 | FEATURES2.projectId32 | FEATURES2.checksums;
  view.setUint32(0xc8, features2);
  view.setUint32(0xcc, features2); // once misplaced by compilers, and kept the same since
  view.setUint32(0xd4, readOnlyCompatibleBits(geometry.features));
  view.setUint32(0xd8, incompatibleBits(geometry.features));
  view.setUint32(0xe4, BLOCKS_PER_CHUNK / 2); // alignment of sparse inode chunks
  seal(data, CHECKSUM_OFFSET);
  return data;
}

/** Free blocks before the first inode. */
function emptyBlocks(geometry: Geometry): number {
  return geometry.blocks - geometry.logBlocks - geometry.agCount * afterRoots(geometry);
}

function versionBits(largeSectors: boolean): number {
  const { five, attributes, manyLinks, aligned, log2, sectors, unwritten, directory2, moreBits } = VERSION;
  return (
    five | attributes | manyLinks | aligned | log2 | unwritten | directory2 | moreBits | (largeSectors ? sectors : 0)
  );
}

function checkLabel(label: string): Uint8Array {
  const bytes = new TextEncoder().encode(label);
  if (bytes.length > LABEL_SIZE || label.includes('\0') || !label.isWellFormed()) {
    throw invalid(`XFS label ${JSON.stringify(label)}: want at most ${LABEL_SIZE} bytes of UTF-8`);
  }
  return bytes;
}

/** What a reader needs of a super block. Sizes in bytes where not said otherwise. */
export interface Superblock {
  readonly label: string;
  readonly uuid: Guid;
  /** What metadata is stamped with: the UUID the volume was made with. */
  readonly metaUuid: Guid;
  readonly blockSize: number;
  readonly sectorSize: number;
  readonly inodeSize: number;
  readonly directoryBlockSize: number;
  /** Blocks. */
  readonly blocks: number;
  readonly agBlocks: number;
  readonly agCount: number;
  readonly agBlockLog: number;
  readonly logBlocks: number;
  /** File system block. */
  readonly logStart: number;
  readonly rootInode: number;
  readonly inodes: number;
  readonly freeInodes: number;
  readonly freeBlocks: number;
  readonly inodePercent: number;
  readonly versionBits: number;
  readonly features2: number;
  readonly compatible: number;
  readonly readOnlyCompatible: number;
  readonly incompatible: number;
  readonly logIncompatible: number;
}

const KNOWN_INCOMPATIBLE = Object.values(INCOMPATIBLE).reduce((all, bit) => all | bit, 0);

/**
 * Throws `invalid-input` for what is no sound super block of version 5, `unsupported` for features this reader does not know.
 * `data` is the volume's first sectors, 512 bytes or more.
 */
export function decodeSuperblock(data: Uint8Array, { checksums }: { readonly checksums: boolean }): Superblock {
  if (data.length < 512) throw invalid(`XFS volume of ${data.length} bytes: too short for a super block`);
  const view = viewOf(data);
  if (view.getUint32(0) !== SUPERBLOCK_MAGIC) throw invalid('not an XFS volume: no super block at its start');
  const version = view.getUint16(0x64) & 0x0f;
  if (version !== 5) throw new ImagerError('unsupported', `XFS version ${version}: want 5`);
  const sectorSize = power(data[0x79]!, 9, 15, 'sector size');
  if (data.length < sectorSize) throw invalid(`XFS super block: ${data.length} bytes, want ${sectorSize}`);
  if (checksums && !isSealed(data.subarray(0, sectorSize), CHECKSUM_OFFSET)) {
    throw invalid('XFS super block: its checksum does not match');
  }
  const incompatible = view.getUint32(0xd8);
  if ((incompatible & ~KNOWN_INCOMPATIBLE) !== 0) {
    throw new ImagerError('unsupported', `XFS features 0x${incompatible.toString(16)}: some are unknown`);
  }
  const blockLog = data[0x78]!;
  const uuid = guidOfBytes(data.subarray(0x20, 0x30));
  const found: Superblock = {
    label: labelOf(data.subarray(LABEL_OFFSET, LABEL_OFFSET + LABEL_SIZE)),
    uuid,
    metaUuid: (incompatible & INCOMPATIBLE.metaUuid) !== 0 ? guidOfBytes(data.subarray(0xf8, 0x108)) : uuid,
    blockSize: power(blockLog, 9, 16, 'block size'),
    sectorSize,
    inodeSize: power(data[0x7a]!, 9, 11, 'inode size'),
    directoryBlockSize: power(blockLog + data[0xc0]!, 9, 16, 'directory block size'),
    blocks: getU64(view, 0x08, false),
    agBlocks: view.getUint32(0x54),
    agCount: view.getUint32(0x58),
    agBlockLog: data[0x7c]!,
    logBlocks: view.getUint32(0x60),
    logStart: getU64(view, 0x30, false),
    rootInode: getU64(view, 0x38, false),
    inodes: getU64(view, 0x80, false),
    freeInodes: getU64(view, 0x88, false),
    freeBlocks: getU64(view, 0x90, false),
    inodePercent: data[0x7f]!,
    versionBits: view.getUint16(0x64),
    features2: view.getUint32(0xc8),
    compatible: view.getUint32(0xd0),
    readOnlyCompatible: view.getUint32(0xd4),
    incompatible,
    logIncompatible: view.getUint32(0xdc),
  };
  checkDimensions(found, view.getUint32(0x04));
  return found;
}

function checkDimensions(found: Superblock, blockSize: number): void {
  const { agBlocks, agCount, agBlockLog, blocks } = found;
  const sound =
    blockSize === found.blockSize &&
    found.inodeSize <= blockSize &&
    agBlockLog <= 31 &&
    agBlocks > 0 &&
    agBlocks <= 2 ** agBlockLog &&
    agCount > 0 &&
    blocks > (agCount - 1) * agBlocks &&
    blocks <= agCount * agBlocks;
  if (!sound) {
    throw invalid(`XFS volume of ${blocks} blocks in ${agCount} groups of ${agBlocks}: its dimensions do not agree`);
  }
}

function power(log: number, least: number, most: number, what: string): number {
  if (log < least || log > most) throw invalid(`XFS ${what} 2^${log}: want 2^${least} to 2^${most}`);
  return 2 ** log;
}

function labelOf(data: Uint8Array): string {
  const end = data.indexOf(0);
  return new TextDecoder().decode(end < 0 ? data : data.subarray(0, end));
}
