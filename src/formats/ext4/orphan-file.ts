/**
 * The file in which a mounted volume lists inodes that have no name any more but are open (orphan_file): here blocks of an empty list.
 * Source: Linux `Documentation/filesystems/ext4/orphan.rst`.
 */
import { structure } from '../../bytes/field.ts';
import { after64, checksum } from './checksum.ts';
import type { Written } from './inode-encoding.ts';

const MAGIC = 0x0b10ca04;
const TAIL_SIZE = 8;

/** The ends of blocks; all before is zeros. `seed` is the inode's. */
export function encodeOrphanTails(places: readonly number[], blockSize: number, seed: number): Written[] {
  const empty = new Uint8Array(blockSize - TAIL_SIZE);
  return places.map((block) => {
    const { data, view } = structure(TAIL_SIZE);
    view.setUint32(0, MAGIC, true);
    view.setUint32(4, checksum(after64(seed, block), empty), true);
    return { at: (block + 1) * blockSize - TAIL_SIZE, data };
  });
}
