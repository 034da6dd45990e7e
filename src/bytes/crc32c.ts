/** CRC-32C (Castagnoli) as in XFS, ext4 and iSCSI: reflected 0x82F63B78, start and end inverted. */
import { makeTables, reflectedCrc } from './crc32.ts';

const TABLES: readonly Uint32Array[] = makeTables(0x82f63b78);

/** The CRC of `data` after what `previous` already covers (0 to begin). */
export function crc32c(data: Uint8Array, previous = 0): number {
  return reflectedCrc(TABLES, data, previous);
}
