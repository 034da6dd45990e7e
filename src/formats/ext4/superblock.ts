/**
 * The super block: 1024 bytes, 1024 bytes from the start of the volume, and again at the start of some groups, for repair only.
 * Little-endian. Source: Linux `Documentation/filesystems/ext4/super.rst`.
 */
import { fromHex, structure, viewOf } from '../../bytes/field.ts';
import { ImagerError, invalid } from '../../errors.ts';
import { type Guid, guidOfBytes } from '../gpt/guid.ts';
import { plainChecksum, volumeSeed } from './checksum.ts';
import {
  COMPATIBLE_BITS,
  INCOMPATIBLE,
  INCOMPATIBLE_BITS,
  READ_ONLY_COMPATIBLE,
  READ_ONLY_COMPATIBLE_BITS,
} from './features.ts';
import { DESCRIPTOR_SIZE, FIRST_INODE, FLEXIBLE_GROUPS, type Geometry, INODE_SIZE } from './geometry.ts';
import { EXTRA_SIZE, INODE } from './inode.ts';
import { HALF_MD4 } from './name-hash.ts';

/** Bytes, wherever it lies. */
export const SUPERBLOCK_SIZE = 1024;
/** Of the first one, in bytes. */
export const SUPERBLOCK_OFFSET = 1024;

const MAGIC = 0xef53;
const CHECKSUM_OFFSET = 0x3fc;
const LABEL_OFFSET = 0x78;
export const LABEL_SIZE = 16;

/** Closed in good order. */
const STATE_VALID = 1;
const STATE_ERRORS = 2;

/** Bytes of names are signed when they are hashed, as on x86, wherever the volume is used. */
const FLAG_SIGNED_HASH = 1;

const MOUNT_WITH_ATTRIBUTES = 4;
const MOUNT_WITH_ACCESS_LISTS = 8;

/** Share of the blocks that is kept for root. */
const RESERVED_PERCENT = 5;

export interface Identity {
  /** Up to 16 bytes of UTF-8. */
  readonly label: string;
  readonly uuid: Guid;
  readonly hashSeed: Guid;
  /** Seconds since 1970: when the volume was made. */
  readonly epoch: number;
}

/** Totals over all groups. */
export interface Counters {
  readonly freeBlocks: number;
  readonly freeInodes: number;
  /** Blocks of metadata that are there whatever the volume holds. */
  readonly overhead: number;
}

/** The 16 bytes in the order of the text: unlike a GPT's. */
export function uuidBytes(uuid: Guid): Uint8Array {
  return fromHex(uuid.replaceAll('-', ''));
}

/** `journalRoot` are the 60 bytes of the journal's inode, kept twice. The copy of another group than 0 does not claim that all is well. */
export function encodeSuperblock(
  geometry: Geometry,
  identity: Identity,
  counters: Counters,
  journalRoot: Uint8Array,
  group: number,
): Uint8Array {
  const { data, view } = structure(SUPERBLOCK_SIZE);
  const uuid = uuidBytes(identity.uuid);
  const logBlockSize = Math.log2(geometry.blockSize) - 10;
  const put32 = (at: number, value: number): void => view.setUint32(at, value, true);
  const put16 = (at: number, value: number): void => view.setUint16(at, value, true);
  put32(0x00, geometry.inodesPerGroup * geometry.groupCount);
  put32(0x04, geometry.blocks);
  put32(0x08, Math.floor((geometry.blocks * RESERVED_PERCENT) / 100));
  put32(0x0c, counters.freeBlocks);
  put32(0x10, counters.freeInodes);
  put32(0x14, geometry.firstBlock);
  put32(0x18, logBlockSize);
  put32(0x1c, logBlockSize); // of clusters, which are blocks
  put32(0x20, geometry.groupBlocks);
  put32(0x24, geometry.groupBlocks);
  put32(0x28, geometry.inodesPerGroup);
  put16(0x36, 0xffff); // mounts until a check: never
  put16(0x38, MAGIC);
  put16(0x3a, group === 0 ? STATE_VALID : 0);
  put16(0x3c, 1); // on errors: go on
  put32(0x4c, 1); // revision, with inodes of any size
  put32(0x54, FIRST_INODE);
  put16(0x58, INODE_SIZE);
  put16(0x5a, group);
  put32(0x5c, COMPATIBLE_BITS);
  put32(0x60, INCOMPATIBLE_BITS);
  put32(0x64, READ_ONLY_COMPATIBLE_BITS);
  data.set(uuid, 0x68);
  data.set(checkLabel(identity.label), LABEL_OFFSET);
  put16(0xce, geometry.reservedBlocks);
  put32(0xe0, INODE.journal);
  data.set(uuidBytes(identity.hashSeed), 0xec);
  data[0xfc] = HALF_MD4;
  data[0xfd] = 1; // what follows at 0x10c is the journal's inode: its blocks, and its size
  put16(0xfe, DESCRIPTOR_SIZE);
  put32(0x100, MOUNT_WITH_ATTRIBUTES | MOUNT_WITH_ACCESS_LISTS);
  data.set(journalRoot, 0x10c);
  put32(0x148, Math.floor((geometry.journalBlocks * geometry.blockSize) / 2 ** 32));
  put32(0x14c, (geometry.journalBlocks * geometry.blockSize) % 2 ** 32);
  put16(0x15c, EXTRA_SIZE); // that inodes have, and that new ones get
  put16(0x15e, EXTRA_SIZE);
  put32(0x160, FLAG_SIGNED_HASH);
  data[0x174] = Math.log2(FLEXIBLE_GROUPS);
  data[0x175] = 1; // checksums are CRC-32C
  put32(0x248, counters.overhead);
  put32(0x270, volumeSeed(uuid));
  putTimes(view, identity.epoch);
  put32(0x280, INODE.orphans);
  put32(CHECKSUM_OFFSET, plainChecksum(data.subarray(0, CHECKSUM_OFFSET)));
  return data;
}

/** Written, checked and made: 32 bits each, and the next 8 elsewhere. */
function putTimes(view: DataView, epoch: number): void {
  if (!Number.isSafeInteger(epoch) || epoch < 0 || epoch >= 2 ** 40) {
    throw invalid(`time ${epoch} of the ext4 volume: want whole seconds since 1970`);
  }
  for (const [low, high] of [
    [0x30, 0x274],
    [0x40, 0x277],
    [0x108, 0x276],
  ] as const) {
    view.setUint32(low, epoch % 2 ** 32, true);
    view.setUint8(high, Math.floor(epoch / 2 ** 32));
  }
}

function checkLabel(label: string): Uint8Array {
  const bytes = new TextEncoder().encode(label);
  if (bytes.length > LABEL_SIZE || label.includes('\0') || !label.isWellFormed()) {
    throw invalid(`ext4 label ${JSON.stringify(label)}: want at most ${LABEL_SIZE} bytes of UTF-8`);
  }
  return bytes;
}

/** What a reader needs of a super block. Sizes in bytes where not said otherwise. */
export interface Superblock {
  readonly label: string;
  readonly uuid: Guid;
  readonly hashSeed: Guid;
  readonly blockSize: number;
  readonly inodeSize: number;
  readonly descriptorSize: number;
  /** Blocks. */
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly reservedForRoot: number;
  readonly firstBlock: number;
  readonly groupBlocks: number;
  readonly overhead: number;
  /** Blocks that group descriptors may grow by. */
  readonly reservedBlocks: number;
  readonly inodes: number;
  readonly freeInodes: number;
  readonly inodesPerGroup: number;
  readonly compatible: number;
  readonly incompatible: number;
  readonly readOnlyCompatible: number;
  /** Metadata has checksums, which begin with the seed. */
  readonly checksums: boolean;
  readonly checksumSeed: number;
}

const READABLE =
  INCOMPATIBLE.fileType |
  INCOMPATIBLE.extents |
  INCOMPATIBLE.bits64 |
  INCOMPATIBLE.flexibleGroups |
  INCOMPATIBLE.checksumSeed |
  INCOMPATIBLE.largeDirectory;

/**
 * From the 1024 bytes of a super block. Throws `invalid-input` for what is none, or of a volume that was not closed in good order;
 * `unsupported` for features this reader does not know.
 */
export function decodeSuperblock(data: Uint8Array, options: { readonly checksums: boolean }): Superblock {
  const view = viewOf(data);
  if (view.getUint16(0x38, true) !== MAGIC) throw invalid('not an ext4 volume: no super block at 1024');
  const incompatible = view.getUint32(0x60, true);
  const readOnlyCompatible = view.getUint32(0x64, true);
  const checksums = (readOnlyCompatible & READ_ONLY_COMPATIBLE.metadataChecksums) !== 0;
  if (
    options.checksums &&
    checksums &&
    view.getUint32(CHECKSUM_OFFSET, true) !== plainChecksum(data.subarray(0, CHECKSUM_OFFSET))
  ) {
    throw invalid('ext4 super block: its checksum does not match');
  }
  const state = view.getUint16(0x3a, true);
  if ((incompatible & INCOMPATIBLE.recover) !== 0 || (state & STATE_ERRORS) !== 0) {
    throw invalid('ext4 volume: it was not closed in good order');
  }
  if ((incompatible & ~READABLE) !== 0) {
    throw new ImagerError('unsupported', `ext4 features 0x${incompatible.toString(16)}: some are unknown`);
  }
  const wide = (incompatible & INCOMPATIBLE.bits64) !== 0;
  const get = (low: number, high: number): number =>
    view.getUint32(low, true) + (wide ? view.getUint32(high, true) * 2 ** 32 : 0);
  const uuid = data.subarray(0x68, 0x78);
  const seeded = (incompatible & INCOMPATIBLE.checksumSeed) !== 0;
  const found: Superblock = {
    label: labelOf(data.subarray(LABEL_OFFSET, LABEL_OFFSET + LABEL_SIZE)),
    uuid: guidOfBytes(uuid),
    hashSeed: guidOfBytes(data.subarray(0xec, 0xfc)),
    blockSize: 2 ** (10 + view.getUint32(0x18, true)),
    inodeSize: view.getUint16(0x58, true),
    descriptorSize: wide ? view.getUint16(0xfe, true) : 32,
    blocks: get(0x04, 0x150),
    freeBlocks: get(0x0c, 0x158),
    reservedForRoot: get(0x08, 0x154),
    firstBlock: view.getUint32(0x14, true),
    groupBlocks: view.getUint32(0x20, true),
    overhead: view.getUint32(0x248, true),
    reservedBlocks: view.getUint16(0xce, true),
    inodes: view.getUint32(0x00, true),
    freeInodes: view.getUint32(0x10, true),
    inodesPerGroup: view.getUint32(0x28, true),
    compatible: view.getUint32(0x5c, true),
    incompatible,
    readOnlyCompatible,
    checksums,
    checksumSeed: seeded ? view.getUint32(0x270, true) : volumeSeed(uuid),
  };
  checkDimensions(found, view.getUint32(0x4c, true));
  return found;
}

function checkDimensions(found: Superblock, revision: number): void {
  const { blockSize, inodeSize, descriptorSize, blocks, firstBlock, groupBlocks, inodes, inodesPerGroup } = found;
  const groups = Math.ceil((blocks - firstBlock) / groupBlocks);
  const sound =
    revision === 1 &&
    blockSize <= 65536 &&
    inodeSize >= 128 &&
    inodeSize <= blockSize &&
    Number.isInteger(Math.log2(inodeSize)) &&
    descriptorSize >= 32 &&
    descriptorSize <= blockSize &&
    Number.isInteger(Math.log2(descriptorSize)) &&
    firstBlock <= 1 &&
    groupBlocks > 0 &&
    groupBlocks <= blockSize * 8 &&
    inodesPerGroup > 0 &&
    inodesPerGroup <= blockSize * 8 &&
    inodes === groups * inodesPerGroup;
  if (!sound) {
    throw invalid(`ext4 volume of ${blocks} blocks in groups of ${groupBlocks}: its dimensions do not agree`);
  }
}

function labelOf(data: Uint8Array): string {
  const end = data.indexOf(0);
  return new TextDecoder().decode(end < 0 ? data : data.subarray(0, end));
}
