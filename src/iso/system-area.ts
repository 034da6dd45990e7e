/**
 * The first 32 KiB of an ISO and its last sectors: what makes it start from a disk. Source: spec boot-and-images 5.5, 5.6.
 */
import { type Bytes, ofMemory, type Placement, patch } from '../bytes/bytes.ts';
import { lba } from '../bytes/units.ts';
import { invalid } from '../errors.ts';
import type { Guid } from '../formats/gpt/guid.ts';
import { layoutGpt } from '../formats/gpt/layout.ts';
import { ATTRIBUTE } from '../formats/gpt/partition.ts';
import { elToritoPatches, hybridBootPatches } from '../formats/grub/boot-patches.ts';
import { BLOCK_SIZE } from '../formats/iso9660/block.ts';
import { BOOT_CODE_SIZE, encodeMbr, encodeProtectiveMbr, MBR_SIZE } from '../formats/mbr/mbr.ts';
import type { PartitionEntry } from '../formats/mbr/partition-entry.ts';
import { isoGeometry } from './cd-geometry.ts';
import { volumeGuid } from './volume-guid.ts';

export const SECTOR_SIZE = 512;

/** Bytes of zeros behind the last content: old CD drivers read ahead past the end of what they were asked for. */
export const PADDING_SIZE = 307200;

/** The table fills the system area up to the first descriptor: sectors 2 to 63. */
const GPT_ENTRY_COUNT = 248;

/** Bytes of the padding and of the GPT's second copy. */
export const GPT_TAIL_SIZE: number = PADDING_SIZE + ((GPT_ENTRY_COUNT * 128) / SECTOR_SIZE + 1) * SECTOR_SIZE;

export interface GptRange {
  readonly type: Guid;
  readonly name: string;
  /** Bytes, whole sectors. */
  readonly offset: number;
  readonly size: number;
  /** Without attributes it is an ordinary partition, else one that must stay and is read-only: part of the volume. */
  readonly isPartOfVolume: boolean;
}

/** GRUB for BIOS machines: the first sector of a disk, and the image an El Torito entry starts. */
export interface BiosBoot {
  /** `boot_hybrid.img`, 512 bytes. */
  readonly hybridBoot: Uint8Array;
  /** The core image; boot info is still missing. */
  readonly elTorito: Uint8Array;
}

export interface GptImageOptions {
  /** Seconds since 1970: GUIDs come from it. */
  readonly time: number;
  /** GRUB and the offset in bytes of its El Torito image. */
  readonly bios?: { readonly boot: BiosBoot; readonly elToritoOffset: number } | undefined;
}

/** The image with boot code, protective MBR, both copies of a GPT and what GRUB must know of where it lies. */
export function withGpt(image: Bytes, ranges: readonly GptRange[], { time, bios }: GptImageOptions): Bytes {
  const partitions = ranges.map(({ type, name, offset, size, isPartOfVolume }, index) => ({
    type,
    name,
    guid: volumeGuid(time, index + 1),
    firstLba: offset / SECTOR_SIZE,
    lastLba: (offset + size) / SECTOR_SIZE - 1,
    attributes: isPartOfVolume ? ATTRIBUTE.required | ATTRIBUTE.readOnly : 0n,
  }));
  const sectors = image.size / SECTOR_SIZE;
  const geometry = isoGeometry(sectors);
  const bootCode = bios?.boot.hybridBoot.subarray(0, BOOT_CODE_SIZE) ?? new Uint8Array();
  const mbr = ofMemory(encodeProtectiveMbr(sectors - 1, { form: 'iso', geometry, bootCode }));
  return patch(image, [
    { at: 0, bytes: bios === undefined ? mbr : patch(mbr, bootPatches(bios.boot, bios.elToritoOffset)) },
    ...layoutGpt(image.size, volumeGuid(time, 0), partitions, { entryCount: GPT_ENTRY_COUNT }),
    ...(bios === undefined ? [] : imagePatches(bios.boot, bios.elToritoOffset)),
  ]);
}

/** The image with a partition table of the old kind and without boot code. */
export function withMbr(image: Bytes, partitions: readonly PartitionEntry[]): Bytes {
  const geometry = isoGeometry(image.size / SECTOR_SIZE);
  return patch(image, [{ at: 0, bytes: ofMemory(encodeMbr(partitions, { geometry })) }]);
}

function bootPatches({ hybridBoot }: BiosBoot, elToritoOffset: number): Placement[] {
  if (hybridBoot.length !== MBR_SIZE) throw invalid(`boot_hybrid.img: ${hybridBoot.length} bytes, want ${MBR_SIZE}`);
  return hybridBootPatches(lba(elToritoOffset / BLOCK_SIZE));
}

function imagePatches({ elTorito }: BiosBoot, offset: number): Placement[] {
  const patches = elToritoPatches(elTorito, lba(offset / BLOCK_SIZE));
  return patches.map(({ at, bytes }) => ({ at: offset + at, bytes }));
}
