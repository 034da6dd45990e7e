/**
 * `diskboot.img`: the first sector of a core image on disk, which loads the others by a list at its end: u64 first sector,
 * u16 number of sectors, u16 segment, LE. Source: GRUB include/grub/offsets.h (`grub_pc_bios_boot_blocklist`).
 */
import { viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';

export const SECTOR = 512;
/** Where the first sector of the rest is named, in 512-byte sectors. */
export const FIRST_SECTOR = 0x1f4;
const SECTOR_COUNT = 0x1fc;
const SEGMENT = 0x1fe;
/** The rest of the core goes to 0x8200. */
const CORE_SEGMENT = 0x820;

/** `diskboot.img` for a core of `size` bytes behind it. Throws `invalid-input` when the file is not one or has no such list. */
export function encodeDiskBoot(image: Uint8Array, size: number): Uint8Array {
  if (image.length !== SECTOR) throw invalid(`diskboot.img: ${image.length} bytes, want ${SECTOR}`);
  const patched = image.slice();
  const view = viewOf(patched);
  const segment = view.getUint16(SEGMENT, true);
  if (segment !== CORE_SEGMENT) throw invalid(`diskboot.img: segment 0x${segment.toString(16)}, want 0x820`);
  view.setUint16(SECTOR_COUNT, Math.ceil(size / SECTOR), true);
  return patched;
}
