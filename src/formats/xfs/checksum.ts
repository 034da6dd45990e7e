/** Checksums of XFS structures: CRC-32C over the whole structure with the field zero, stored little-endian in a big-endian world. */
import { crc32c } from '../../bytes/crc32c.ts';
import { viewOf } from '../../bytes/field.ts';

const ZERO = new Uint8Array(4);

/** Writes the checksum of `data` at `offset`. */
export function seal(data: Uint8Array, offset: number): void {
  viewOf(data).setUint32(offset, checksum(data, offset), true);
}

export function isSealed(data: Uint8Array, offset: number): boolean {
  return viewOf(data).getUint32(offset, true) === checksum(data, offset);
}

function checksum(data: Uint8Array, offset: number): number {
  return crc32c(data.subarray(offset + 4), crc32c(ZERO, crc32c(data.subarray(0, offset))));
}
