/** The header of a sparse VMDK extent: one sector, little-endian (VMware, "Virtual Disk Format 5.0"; spec boot-and-images 7.3). */
import { getU64, putU64, structure, viewOf } from '../../bytes/field.ts';
import { ImagerError, invalid } from '../../errors.ts';

export const SECTOR = 512;
/** Sectors of a grain: 64 KiB. */
export const GRAIN_SECTORS = 128;
export const GRAIN_SIZE: number = GRAIN_SECTORS * SECTOR;
/** Entries of a grain table, four bytes each. */
export const TABLE_ENTRIES = 512;

/** Sectors from the start of the file, or counts of sectors. */
export interface SparseHeader {
  readonly capacity: number;
  readonly descriptorOffset: number;
  readonly descriptorSectors: number;
  readonly directoryOffset: number;
  /** Where the first grain is. */
  readonly overhead: number;
}

const MAGIC = 0x564d444b;
/** What VMware demands of a compressed extent that is read only once, front to back. */
const VERSION = 3;
/** End-of-line test valid; compressed grains; markers. */
const FLAGS = { lineTest: 1, compressed: 0x1_0000, markers: 0x2_0000 } as const;
/** Line ends that a transfer as text would have changed. */
const LINE_TEST: readonly number[] = [0x0a, 0x20, 0x0d, 0x0a];
const COMPRESSION_DEFLATE = 1;
/** Bytes of the grain tables QEMU and we read: a disk of 2 TiB. */
const MAXIMUM_TABLES_SIZE = 128 << 20;

export function encodeSparseHeader(header: SparseHeader): Uint8Array {
  const { data, view } = structure(SECTOR);
  view.setUint32(0x00, MAGIC, true);
  view.setUint32(0x04, VERSION, true);
  view.setUint32(0x08, FLAGS.lineTest | FLAGS.compressed | FLAGS.markers, true);
  putU64(view, 0x0c, header.capacity, true);
  putU64(view, 0x14, GRAIN_SECTORS, true);
  putU64(view, 0x1c, header.descriptorOffset, true);
  putU64(view, 0x24, header.descriptorSectors, true);
  view.setUint32(0x2c, TABLE_ENTRIES, true);
  putU64(view, 0x38, header.directoryOffset, true);
  putU64(view, 0x40, header.overhead, true);
  data.set(LINE_TEST, 0x49);
  view.setUint16(0x4d, COMPRESSION_DEFLATE, true);
  return data;
}

/** Throws `invalid-input` for what no such extent has, `unsupported` for other kinds than ours: compressed, directory in front, usual sizes. */
export function decodeSparseHeader(data: Uint8Array): SparseHeader {
  const view = viewOf(data);
  if (data.length !== SECTOR || view.getUint32(0, true) !== MAGIC) throw invalid('VMDK: no magic at its start');
  const version = view.getUint32(4, true);
  const flags = view.getUint32(8, true);
  if (version < 1 || version > VERSION) throw unsupported(`version ${version}`);
  if ((flags & FLAGS.compressed) === 0 || (flags & FLAGS.markers) === 0 || view.getUint16(0x4d, true) !== 1) {
    throw unsupported('an extent that is not streamOptimized');
  }
  if (LINE_TEST.some((byte, index) => data[0x49 + index] !== byte))
    throw invalid('VMDK: damaged by a transfer as text');
  if (view.getBigUint64(0x14, true) !== BigInt(GRAIN_SECTORS) || view.getUint32(0x2c, true) !== TABLE_ENTRIES) {
    throw unsupported('grains of another size than 64 KiB, or tables of other than 512');
  }
  if (view.getBigUint64(0x38, true) === 0xffff_ffff_ffff_ffffn) throw unsupported('a grain directory at the end');
  const capacity = getU64(view, 0x0c, true);
  if (grainTableCount(capacity) * TABLE_ENTRIES * 4 > MAXIMUM_TABLES_SIZE) throw unsupported(`${capacity} sectors`);
  return {
    capacity,
    descriptorOffset: getU64(view, 0x1c, true),
    descriptorSectors: getU64(view, 0x24, true),
    directoryOffset: getU64(view, 0x38, true),
    overhead: getU64(view, 0x40, true),
  };
}

/** Grain tables for a disk of `capacity` sectors. */
export function grainTableCount(capacity: number): number {
  return Math.ceil(capacity / (GRAIN_SECTORS * TABLE_ENTRIES));
}

function unsupported(what: string): ImagerError {
  return new ImagerError('unsupported', `VMDK: ${what} cannot be read here`);
}
