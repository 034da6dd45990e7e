/**
 * The super block of squashfs 4.0: 96 bytes, little-endian, at the start of the image.
 * Source: Linux Documentation/filesystems/squashfs.rst and fs/squashfs/squashfs_fs.h.
 */
import { getU64, putU64, structure, viewOf } from '../../bytes/field.ts';
import { ImagerError, invalid } from '../../errors.ts';
import { COMPRESSORS, type CompressorName } from './compressor.ts';

export const SUPERBLOCK_SIZE = 96;
const MAGIC = 0x73717368;
const VERSION = [4, 0] as const;

/** What fragments of small files are put together to; the largest the format has is 1 MiB. Bytes. */
export const BLOCK_SIZE = 131072;
const BLOCK_LOGS = { least: 12, most: 20 } as const;

export const FLAG = {
  uncompressedInodes: 0x0001,
  uncompressedData: 0x0002,
  uncompressedFragments: 0x0008,
  noFragments: 0x0010,
  alwaysFragments: 0x0020,
  duplicatesRemoved: 0x0040,
  exportable: 0x0080,
  uncompressedAttributes: 0x0100,
  noAttributes: 0x0200,
  compressorOptions: 0x0400,
  uncompressedIds: 0x0800,
} as const;

/** A table that is not there. */
const ABSENT = 0xffffffffffffffffn;

export interface Superblock {
  readonly inodes: number;
  /** When the image was made, seconds since 1970. */
  readonly epoch: number;
  /** Bytes, a power of two. */
  readonly blockSize: number;
  readonly fragments: number;
  readonly compressor: CompressorName;
  readonly flags: number;
  readonly ids: number;
  /** Block and offset in the inode table. */
  readonly rootInode: Reference;
  /** Bytes without the padding at the end. */
  readonly size: number;
  /** Positions in the image; `undefined` for a table that is not there. */
  readonly idTable: number;
  readonly attributeTable: number | undefined;
  readonly inodeTable: number;
  readonly directoryTable: number;
  readonly fragmentTable: number | undefined;
  readonly exportTable: number | undefined;
}

/** A place in a table of metadata blocks. */
export interface Reference {
  /** Where the block begins, counted from the start of the table. */
  readonly block: number;
  /** In the block's unpacked content. */
  readonly offset: number;
}

const OFFSETS = 0x10000;

/** 48 bits for the block, 16 for the offset. */
export function encodeReference({ block, offset }: Reference): number {
  return block * OFFSETS + offset;
}

export function decodeReference(value: number): Reference {
  return { block: Math.floor(value / OFFSETS), offset: value % OFFSETS };
}

export function encodeSuperblock(superblock: Superblock): Uint8Array {
  const { data, view } = structure(SUPERBLOCK_SIZE);
  const { blockSize, attributeTable, fragmentTable, exportTable } = superblock;
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, superblock.inodes, true);
  view.setUint32(8, superblock.epoch, true);
  view.setUint32(12, blockSize, true);
  view.setUint32(16, superblock.fragments, true);
  view.setUint16(20, COMPRESSORS[superblock.compressor], true);
  view.setUint16(22, Math.log2(blockSize), true);
  view.setUint16(24, superblock.flags, true);
  view.setUint16(26, superblock.ids, true);
  view.setUint16(28, VERSION[0], true);
  view.setUint16(30, VERSION[1], true);
  putU64(view, 32, encodeReference(superblock.rootInode), true);
  putU64(view, 40, superblock.size, true);
  putU64(view, 48, superblock.idTable, true);
  putU64(view, 56, attributeTable ?? ABSENT, true);
  putU64(view, 64, superblock.inodeTable, true);
  putU64(view, 72, superblock.directoryTable, true);
  putU64(view, 80, fragmentTable ?? ABSENT, true);
  putU64(view, 88, exportTable ?? ABSENT, true);
  return data;
}

/** Throws `invalid-input` for what is no super block of an image of `available` bytes, `unsupported` for other versions and compressors. */
export function decodeSuperblock(data: Uint8Array, available: number): Superblock {
  const view = viewOf(data);
  if (view.getUint32(0, true) !== MAGIC) throw invalid('squashfs: no magic number at the start');
  const version = [view.getUint16(28, true), view.getUint16(30, true)];
  if (version[0] !== VERSION[0] || version[1] !== VERSION[1]) {
    throw new ImagerError('unsupported', `squashfs version ${version.join('.')}: want ${VERSION.join('.')}`);
  }
  const blockSize = view.getUint32(12, true);
  const blockLog = view.getUint16(22, true);
  if (blockLog < BLOCK_LOGS.least || blockLog > BLOCK_LOGS.most || blockSize !== 2 ** blockLog) {
    throw invalid(`squashfs block size ${blockSize}, 2^${blockLog}: want a power of two from 4096 to 1048576`);
  }
  const size = getU64(view, 40, true);
  if (size < SUPERBLOCK_SIZE || size > available) throw invalid(`squashfs of ${size} bytes: there are ${available}`);
  const position = (offset: number): number => {
    const value = getU64(view, offset, true);
    if (value < SUPERBLOCK_SIZE || value > size) throw invalid(`squashfs table at ${value}: the image ends at ${size}`);
    return value;
  };
  const optional = (offset: number): number | undefined =>
    view.getBigUint64(offset, true) === ABSENT ? undefined : position(offset);
  return {
    inodes: view.getUint32(4, true),
    epoch: view.getUint32(8, true),
    blockSize,
    fragments: view.getUint32(16, true),
    compressor: compressorOf(view.getUint16(20, true)),
    flags: view.getUint16(24, true),
    ids: view.getUint16(26, true),
    rootInode: decodeReference(getU64(view, 32, true)),
    size,
    idTable: position(48),
    attributeTable: optional(56),
    inodeTable: position(64),
    directoryTable: position(72),
    fragmentTable: optional(80),
    exportTable: optional(88),
  };
}

function compressorOf(id: number): CompressorName {
  for (const [name, known] of Object.entries(COMPRESSORS)) if (known === id) return name as CompressorName;
  throw new ImagerError('unsupported', `squashfs compressor ${id}: want ${Object.keys(COMPRESSORS).join(', ')}`);
}
