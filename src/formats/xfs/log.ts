/**
 * The log of a volume that was closed in good order: one record that says so, and zeros.
 * Source: XFS Algorithms and Data Structures, "Log Records"; fields as mkfs.xfs 6.13 writes them, checksum left out.
 */
import { structure } from '../../bytes/field.ts';

const MAGIC = 0xfeedbabe;
const SECTOR = 512;

/** What a record's sectors begin with. */
const CYCLE = 1;

/** The bytes of the first operation that the cycle number took the place of: its transaction. */
const TRANSACTION = 0xb0c0d0d0;

/** Bytes of the buffers the log is written with. */
const BUFFER_SIZE = 32768;

/** Record header and operation, padded to the log's sectors: `sectorSize`, and at least two of 512 bytes. */
export function encodeCleanLog(uuid: Uint8Array, sectorSize: number): Uint8Array {
  const size = Math.max(sectorSize, 2 * SECTOR);
  const { data, view } = structure(size);
  view.setUint32(0x00, MAGIC);
  view.setUint32(0x04, CYCLE);
  view.setUint32(0x08, 2); // version
  view.setUint32(0x0c, size - SECTOR);
  view.setUint32(0x10, CYCLE); // its own place: cycle 1, block 0
  view.setUint32(0x18, CYCLE); // the tail's
  view.setUint32(0x24, 0xffffffff); // no record before
  view.setUint32(0x28, 1); // operations
  view.setUint32(0x2c, TRANSACTION);
  view.setUint32(0x12c, 1); // written by Linux, little-endian
  data.set(uuid, 0x130);
  view.setUint32(0x140, BUFFER_SIZE);
  for (let at = SECTOR; at < size; at += SECTOR) view.setUint32(at, CYCLE);
  view.setUint32(SECTOR + 4, 8); // bytes of content
  view.setUint8(SECTOR + 8, 0xaa); // by the log itself
  view.setUint8(SECTOR + 9, 0x20); // unmounted
  view.setUint16(SECTOR + 12, 0x556e, true); // `nU`
  return data;
}
