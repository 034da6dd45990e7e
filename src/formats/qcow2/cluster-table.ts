/** Entries of the L1 and L2 tables: 64 bits, big-endian (QEMU docs/interop/qcow2.txt, "Cluster mapping"). */
import { ImagerError, invalid } from '../../errors.ts';

export const ENTRY_SIZE = 8;

/** The refcount of the cluster pointed to is exactly 1: QEMU may write to it in place. */
const COPIED = 0x8000_0000;
const COMPRESSED = 0x4000_0000;
/** Bits 56 to 61: zero in both kinds of entries. */
const RESERVED_HIGH = 0x3f00_0000;
const READS_AS_ZERO = 1;

/** Points to a cluster at `offset` bytes. `copied`: nothing else points to it. */
export function putEntry(table: DataView, index: number, offset: number, copied: boolean): void {
  const high = Math.floor(offset / 0x1_0000_0000);
  table.setUint32(index * ENTRY_SIZE, copied ? (high | COPIED) >>> 0 : high);
  table.setUint32(index * ENTRY_SIZE + 4, offset >>> 0);
}

/** Offset of an L2 table, bytes; 0: there is none. Throws `invalid-input` when it is not at the start of a cluster. */
export function l2TableOffset(l1: DataView, index: number, clusterSize: number): number {
  return alignedOffset(l1, index, clusterSize, 'L1');
}

/** Offset of a data cluster, bytes; 0: it reads as zeros. Throws `invalid-input`, and `unsupported` for a compressed one. */
export function clusterOffset(l2: DataView, index: number, clusterSize: number): number {
  const high = l2.getUint32(index * ENTRY_SIZE);
  if (high & COMPRESSED) throw new ImagerError('unsupported', 'qcow2: compressed clusters cannot be read here');
  const readsAsZero = (l2.getUint32(index * ENTRY_SIZE + 4) & READS_AS_ZERO) !== 0;
  const offset = alignedOffset(l2, index, clusterSize, 'L2');
  return readsAsZero ? 0 : offset;
}

function alignedOffset(table: DataView, index: number, clusterSize: number, name: 'L1' | 'L2'): number {
  const high = table.getUint32(index * ENTRY_SIZE);
  const low = table.getUint32(index * ENTRY_SIZE + 4);
  // Bits 9 to 55.
  const offset = (high & 0x00ff_ffff) * 0x1_0000_0000 + ((low & ~0x1ff) >>> 0);
  const reservedHigh = name === 'L1' ? RESERVED_HIGH | COMPRESSED : RESERVED_HIGH;
  const reservedLow = name === 'L1' ? 0x1ff : 0x1fe;
  if ((high & reservedHigh) !== 0 || (low & reservedLow) !== 0 || offset % clusterSize !== 0) {
    throw invalid(`qcow2: ${name} entry ${index} is 0x${hex(high)}${hex(low)}, want the offset of a cluster`);
  }
  return offset;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
