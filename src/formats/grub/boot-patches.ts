/**
 * Where GRUB's boot code finds its continuation: the fields that installing writes into boot sectors and core images.
 * Source: xorriso doc/boot_sectors.txt ("GRUB2", "El Torito boot information table"); GRUB util/setup.c,
 * include/grub/i386/pc/boot.h.
 */
import { ofMemory, type Placement } from '../../bytes/bytes.ts';
import { putU64, structure, viewOf } from '../../bytes/field.ts';
import type { Lba } from '../../bytes/units.ts';
import { invalid } from '../../errors.ts';
import { CD_BOOT_SIZE } from './bios-core.ts';
import { FIRST_SECTOR, SECTOR } from './block-list.ts';

/** In `boot.img`: u64 LE sector of the core image. */
const BOOT_KERNEL_SECTOR = 0x5c;
/** In `boot.img`: a jump over the check for a BIOS that passes a wrong drive. */
const BOOT_DRIVE_CHECK = 0x66;
const NO_OPERATION = 0x90;
/** In `boot_hybrid.img`: u64 LE sector of `diskboot.img` inside the El Torito image. */
const HYBRID_KERNEL_SECTOR = 0x1b0;
/** 512-byte sectors in a CD block. */
const SECTORS_PER_BLOCK = 4;
/** LBA of the primary volume descriptor. */
const VOLUME_DESCRIPTOR = 16;
const INFO_TABLE = 8;
const CHECKSUM_START = 64;

/**
 * Patches of the El Torito image that lies at block `at` (2048 bytes): boot info table at 8 and the list of `diskboot.img`.
 * Throws `invalid-input` when the image is too short or the position does not fit.
 */
export function elToritoPatches(image: Uint8Array, at: Lba): Placement[] {
  if (image.length < CD_BOOT_SIZE + SECTOR) {
    throw invalid(`El Torito image: ${image.length} bytes, want at least ${CD_BOOT_SIZE + SECTOR}`);
  }
  // diskboot.img is the first sector behind cdboot.img, the rest of the core follows it.
  const list = sectorPatch(CD_BOOT_SIZE + FIRST_SECTOR, checkBlock(at) * SECTORS_PER_BLOCK + CD_BOOT_SIZE / SECTOR + 1);
  const { data, view } = structure(CHECKSUM_START - INFO_TABLE);
  view.setUint32(0, VOLUME_DESCRIPTOR, true);
  view.setUint32(4, at, true);
  view.setUint32(8, image.length, true);
  view.setUint32(12, checksum(image, list), true);
  return [{ at: INFO_TABLE, bytes: ofMemory(data) }, placement(list)];
}

/** Patches of `boot_hybrid.img` for an El Torito image at block `at` (2048 bytes). */
export function hybridBootPatches(at: Lba): Placement[] {
  return [placement(sectorPatch(HYBRID_KERNEL_SECTOR, checkBlock(at) * SECTORS_PER_BLOCK + CD_BOOT_SIZE / SECTOR))];
}

/** Patches of `boot.img` in the first sector of a disk whose core image starts at sector `core`. */
export function diskBootPatches(core: Lba): Placement[] {
  const check = ofMemory(Uint8Array.of(NO_OPERATION, NO_OPERATION));
  return [placement(sectorPatch(BOOT_KERNEL_SECTOR, core)), { at: BOOT_DRIVE_CHECK, bytes: check }];
}

/** Patches of a core image that starts at sector `core` of a disk. */
export function diskCorePatches(core: Lba): Placement[] {
  return [placement(sectorPatch(FIRST_SECTOR, core + 1))];
}

interface SectorPatch {
  readonly at: number;
  readonly data: Uint8Array;
}

function sectorPatch(at: number, sector: number): SectorPatch {
  const { data, view } = structure(8);
  putU64(view, 0, sector, true);
  return { at, data };
}

function placement({ at, data }: SectorPatch): Placement {
  return { at, bytes: ofMemory(data) };
}

function checkBlock(at: Lba): Lba {
  if (at > 0xffffffff) throw invalid(`El Torito image at block ${at}: want at most ${0xffffffff}`);
  return at;
}

/** Sum modulo 2^32 of the LE words from byte 64 to the end, zero-padded, with the patch in place. */
function checksum(image: Uint8Array, patch: SectorPatch): number {
  const words = new Uint8Array(Math.ceil((image.length - CHECKSUM_START) / 4) * 4);
  words.set(image.subarray(CHECKSUM_START));
  words.set(patch.data, patch.at - CHECKSUM_START);
  const view = viewOf(words);
  let sum = 0;
  for (let at = 0; at < words.length; at += 4) sum = (sum + view.getUint32(at, true)) >>> 0;
  return sum;
}
