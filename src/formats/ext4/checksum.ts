/**
 * Checksums of ext4 structures (metadata_csum): CRC-32C that is not inverted at its end and goes on from a seed, so that a structure
 * found in a foreign place, or of a foreign volume, is noticed. Source: Linux `Documentation/filesystems/ext4/checksums.rst`.
 */
import { crc32c } from '../../bytes/crc32c.ts';
import { putU64, structure } from '../../bytes/field.ts';

/** Where every chain begins. */
const START = 0xffffffff;

/** The checksum of `data` after what `seed` already covers. */
export function checksum(seed: number, data: Uint8Array): number {
  return ~crc32c(data, ~seed) >>> 0;
}

/** Of the super block, which covers the UUID itself. */
export function plainChecksum(data: Uint8Array): number {
  return checksum(START, data);
}

/** What the checksums of a volume begin with. `uuid` has 16 bytes. */
export function volumeSeed(uuid: Uint8Array): number {
  return checksum(START, uuid);
}

/** One for all numbers: there is one per inode, and many inodes. */
const NUMBER = structure(8);

/** `seed` after a 32-bit number. */
export function after32(seed: number, value: number): number {
  NUMBER.view.setUint32(0, value, true);
  return checksum(seed, NUMBER.data.subarray(0, 4));
}

/** `seed` after a 64-bit number. */
export function after64(seed: number, value: number): number {
  putU64(NUMBER.view, 0, value, true);
  return checksum(seed, NUMBER.data);
}

/** What the checksums of an inode begin with, and those of the blocks that belong to it. */
export function inodeSeed(volume: number, inode: number, generation = 0): number {
  return after32(after32(volume, inode), generation);
}
