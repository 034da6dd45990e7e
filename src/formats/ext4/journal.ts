/**
 * The journal of a volume that was closed in good order: a super block that says there is nothing in it. Big-endian, unlike the rest.
 * Source: Linux `Documentation/filesystems/ext4/journal.rst`, "Super Block".
 */
import { structure } from '../../bytes/field.ts';
import type { Geometry } from './geometry.ts';

const MAGIC = 0xc03b3998;
const SUPERBLOCK_V2 = 4;
const SUPERBLOCK_SIZE = 1024;

/** The start of the journal's first block; the rest of the journal is not looked at. `uuid` has 16 bytes. */
export function encodeCleanJournal({ blockSize, journalBlocks }: Geometry, uuid: Uint8Array): Uint8Array {
  const { data, view } = structure(SUPERBLOCK_SIZE);
  view.setUint32(0x00, MAGIC);
  view.setUint32(0x04, SUPERBLOCK_V2);
  view.setUint32(0x0c, blockSize);
  view.setUint32(0x10, journalBlocks);
  view.setUint32(0x14, 1); // first block of the log
  view.setUint32(0x18, 1); // first transaction
  data.set(uuid, 0x30);
  view.setUint32(0x40, 1); // volumes that use it
  return data;
}
