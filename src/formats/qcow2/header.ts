/** The qcow2 header, version 3, big-endian, and its table of feature names (QEMU docs/interop/qcow2.txt). */
import { getU64, putAscii, putU64, structure, viewOf } from '../../bytes/field.ts';
import { ImagerError, invalid } from '../../errors.ts';

export interface Qcow2Header {
  /** A cluster has `2 ** clusterBits` bytes. */
  readonly clusterBits: number;
  /** Bytes of the disk inside. */
  readonly size: number;
  /** Entries of the active L1 table. */
  readonly l1Size: number;
  /** Offsets in bytes, multiples of the cluster size. */
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
}

export const MINIMUM_CLUSTER_BITS = 9;
export const MAXIMUM_CLUSTER_BITS = 21;
/** Limits of QEMU's driver, bytes. */
export const MAXIMUM_L1_SIZE: number = 32 << 20;
export const MAXIMUM_REFCOUNT_TABLE_SIZE: number = 8 << 20;

const MAGIC = 0x514649fb;
const HEADER_LENGTH = 112;
const VERSION_2_LENGTH = 72;
/** Header, feature table and the end of the extensions: as much as the least cluster holds. */
const AREA_SIZE = 512;

const FEATURE_TABLE = 0x6803f857;
const FEATURE_ENTRY_SIZE = 48;
const FEATURES: readonly (readonly [kind: number, bit: number, name: string])[] = [
  [0, 0, 'dirty bit'],
  [0, 1, 'corrupt bit'],
  [0, 2, 'external data file'],
  [0, 3, 'compression type'],
  [0, 4, 'extended L2 entries'],
  [1, 0, 'lazy refcounts'],
  [2, 0, 'bitmaps'],
  [2, 1, 'raw external data'],
];

/** Throws `invalid-input` unless QEMU can have clusters of this size. */
export function checkClusterSize(size: number): void {
  const bits = Math.log2(size);
  if (!Number.isInteger(bits) || bits < MINIMUM_CLUSTER_BITS || bits > MAXIMUM_CLUSTER_BITS) {
    throw invalid(`qcow2 cluster size ${size}: want a power of two from 512 to 2097152`);
  }
}

/** 512 bytes, as qemu-img writes them: refcounts of 16 bits, no backing file, no snapshots, no features in use. */
export function encodeHeader(header: Qcow2Header): Uint8Array {
  const { data, view } = structure(AREA_SIZE);
  view.setUint32(0, MAGIC);
  view.setUint32(4, 3);
  view.setUint32(20, header.clusterBits);
  putU64(view, 24, header.size, false);
  view.setUint32(36, header.l1Size);
  putU64(view, 40, header.l1Offset, false);
  putU64(view, 48, header.refcountTableOffset, false);
  view.setUint32(56, header.refcountTableClusters);
  // 2 ** 4 bits a count.
  view.setUint32(96, 4);
  view.setUint32(100, HEADER_LENGTH);
  view.setUint32(HEADER_LENGTH, FEATURE_TABLE);
  view.setUint32(HEADER_LENGTH + 4, FEATURES.length * FEATURE_ENTRY_SIZE);
  for (const [index, [kind, bit, name]] of FEATURES.entries()) {
    const at = HEADER_LENGTH + 8 + index * FEATURE_ENTRY_SIZE;
    data[at] = kind;
    data[at + 1] = bit;
    putAscii(data, at + 2, FEATURE_ENTRY_SIZE - 2, name);
  }
  return data;
}

/** How much of the file `decodeHeader` looks at. */
export const HEADER_READ_SIZE: number = HEADER_LENGTH;

/**
 * Versions 2 and 3. Throws `invalid-input` for what no qcow2 file has, `unsupported` for a backing file, encryption, an external data file,
 * extended L2 entries and features that have no name here.
 */
export function decodeHeader(data: Uint8Array): Qcow2Header {
  if (data.length < VERSION_2_LENGTH) throw invalid(`qcow2: ${data.length} bytes hold no header`);
  const view = viewOf(data);
  if (view.getUint32(0) !== MAGIC) throw invalid('qcow2: no magic at its start');
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) throw unsupported(`version ${version}`);
  if (getU64(view, 8, false) !== 0) throw unsupported('a backing file');
  if (view.getUint32(32) !== 0) throw unsupported('encryption');
  if (version === 3) checkFeatures(data, view);
  const clusterBits = view.getUint32(20);
  if (clusterBits < MINIMUM_CLUSTER_BITS || clusterBits > MAXIMUM_CLUSTER_BITS) {
    throw invalid(`qcow2: 2^${clusterBits} bytes a cluster, want 2^9..2^21`);
  }
  const l1Size = view.getUint32(36);
  if (l1Size * 8 > MAXIMUM_L1_SIZE) throw invalid(`qcow2: L1 table of ${l1Size} entries, want at most 4194304`);
  return {
    clusterBits,
    size: getU64(view, 24, false),
    l1Size,
    l1Offset: getU64(view, 40, false),
    refcountTableOffset: getU64(view, 48, false),
    refcountTableClusters: view.getUint32(56),
  };
}

function checkFeatures(data: Uint8Array, view: DataView): void {
  if (data.length < HEADER_LENGTH - 8) throw invalid(`qcow2: ${data.length} bytes hold no header`);
  const incompatible = getU64(view, 72, false);
  // A dirty file has stale refcounts; what it maps is right.
  const unknown = incompatible % 2 === 1 ? incompatible - 1 : incompatible;
  if (unknown !== 0) throw unsupported(`incompatible features 0x${unknown.toString(16)}`);
  if (view.getUint32(96) > 6) throw invalid(`qcow2: refcount order ${view.getUint32(96)}, want at most 6`);
}

function unsupported(what: string): ImagerError {
  return new ImagerError('unsupported', `qcow2: ${what} cannot be read here`);
}
