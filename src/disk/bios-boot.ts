/** How a BIOS starts a disk: the first sector loads the start of the BIOS partition. Source: spec boot-and-images 6.1, 6.5. */
import { type Bytes, ofMemory, padTo, patch } from '../bytes/bytes.ts';
import { lba } from '../bytes/units.ts';
import { ImagerError, invalid } from '../errors.ts';
import type { GptGeometry } from '../formats/gpt/layout.ts';
import type { Partition } from '../formats/gpt/partition.ts';
import { diskBootPatches, diskCorePatches } from '../formats/grub/boot-patches.ts';
import { encodeProtectiveMbr, MBR_SIZE } from '../formats/mbr/mbr.ts';
import type { BiosGrub } from './parts.ts';

/** 512 bytes: the protective MBR, with GRUB's boot code when there is a BIOS to start. Throws `invalid-input` for a boot image of another size. */
export function layoutFirstSector(
  { lastLba }: GptGeometry,
  boot?: { readonly grub: BiosGrub; readonly bios: Partition },
): Bytes {
  if (boot === undefined) return ofMemory(encodeProtectiveMbr(lastLba));
  const { bootImage } = boot.grub;
  if (bootImage.length !== MBR_SIZE) throw invalid(`boot.img: ${bootImage.length} bytes, want ${MBR_SIZE}`);
  return patch(
    ofMemory(encodeProtectiveMbr(lastLba, { bootCode: bootImage })),
    diskBootPatches(lba(boot.bios.firstLba)),
  );
}

/** The whole BIOS partition. Throws `install` when the core image does not fit. */
export function layoutBiosPartition({ core }: BiosGrub, { firstLba }: Partition, size: number): Bytes {
  if (core.length > size) {
    throw new ImagerError(
      'install',
      `GRUB core image: ${core.length} bytes, want at most the ${size} of the BIOS partition`,
    );
  }
  return padTo(patch(ofMemory(core), diskCorePatches(lba(firstLba))), size);
}
