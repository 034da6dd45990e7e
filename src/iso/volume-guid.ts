/** GUIDs of an ISO's partition table, as xorriso makes them of the volume's time. Source: spec boot-and-images 5.5. */
import { type Guid, guidOfBytes } from '../formats/gpt/guid.ts';
import { volumeTimeDigits } from '../formats/iso9660/timestamp.ts';

/** GUID number `index` of a volume made at `time`, seconds since 1970: 0 is the disk's, partitions follow. */
export function volumeGuid(time: number, index: number): Guid {
  const digits = volumeTimeDigits(time);
  const text = digits.slice(0, 9) + digits.slice(14) + digits.slice(9, 14);
  const bytes = new TextEncoder().encode(text);
  bytes[7] = (bytes[7]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  bytes[9]! ^= index;
  // xorriso stores the bytes as they are; as text the first three groups are swapped.
  return guidOfBytes(Uint8Array.from([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15], (at) => bytes[at]!));
}
