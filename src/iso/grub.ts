/**
 * ISOs that start with GRUB on BIOS and UEFI alike: Talos before 1.10, and later ones on request. Source: spec boot-and-images 5.6, 5.7.
 * Upstream's also have HFS+, an Apple partition map and files for Macs, which nothing needs that Talos runs on.
 */
import { isoIdentifier, isoMarker } from '../boot/grub-image.ts';
import type { EfiPlatform } from '../boot/grub-modules.ts';
import type { Bytes } from '../bytes/bytes.ts';
import { invalid } from '../errors.ts';
import { type FatLayout, layoutFat12Floppy } from '../formats/fat/layout.ts';
import { PARTITION_TYPE } from '../formats/gpt/guid.ts';
import { BLOCK_SIZE } from '../formats/iso9660/block.ts';
import { BOOT_PLATFORM, efiSectors } from '../formats/iso9660/el-torito.ts';
import { type BootReference, layoutIso9660, SYSTEM_AREA_BLOCKS } from '../formats/iso9660/layout.ts';
import { EMPTY_TREE, overlay, type Tree, treeOfLiterals } from '../tree/tree.ts';
import { sharedWithFat } from './fat-sharing.ts';
import { bootFirst, EL_TORITO_PATH, EL_TORITO_REFERENCE, grubTree } from './grub-tree.ts';
import { isoTree } from './iso-tree.ts';
import { isoLabel } from './label.ts';
import { type BiosGrub, type EfiGrub, type IsoOptions, type KernelParts, PREPARER_ID } from './parts.ts';
import { GPT_TAIL_SIZE, type GptRange, PADDING_SIZE, withGpt } from './system-area.ts';

export interface GrubIsoParts extends KernelParts {
  readonly bios?: BiosGrub | undefined;
  readonly efi: readonly EfiGrub[];
}

const EFI_IMAGE_PATH = 'efi.img';

const LOADER_NAME = { 'x86_64-efi': 'bootx64.efi', 'arm64-efi': 'bootaa64.efi' } as const satisfies Record<
  EfiPlatform,
  string
>;

/** Throws `invalid-input` when there is no GRUB at all. */
export function layoutGrubIso(parts: GrubIsoParts, options: IsoOptions): Bytes {
  const { version, epoch: time, traits } = options;
  const { bios, efi } = parts;
  if (bios === undefined && efi.length === 0) throw invalid('GRUB ISO: no GRUB to start it with');
  const efiImage = efi.length === 0 ? undefined : layoutEfiImage(efi, time);
  const trees = [grubTree(parts, parts, options), efiImage === undefined ? EMPTY_TREE : efiFiles(efi, efiImage, time)];
  const tree = isoTree(trees, options.imageCache, { time, normalized: true });
  const layout = layoutIso9660(tree, {
    ...isoLabel(version, traits),
    preparerId: PREPARER_ID,
    time,
    rank: (path) => (path === EFI_IMAGE_PATH ? -1 : bootFirst(path)),
    shared: efiImage === undefined ? new Map() : sharedWithFat(tree, efiImage, { in: 'file', path: EFI_IMAGE_PATH }),
    tail: GPT_TAIL_SIZE,
    boot: {
      catalogPath: 'boot.catalog',
      images: [
        ...(bios === undefined ? [] : [EL_TORITO_REFERENCE]),
        ...(efiImage === undefined ? [] : [efiReference(efiImage.bytes.size)]),
      ],
    },
  });
  return withGpt(layout.bytes, partitionRanges(layout.files.get(EFI_IMAGE_PATH), layout.end), {
    time,
    bios: bios === undefined ? undefined : { boot: bios, elToritoOffset: layout.files.get(EL_TORITO_PATH)!.offset },
  });
}

function efiReference(size: number): BootReference {
  return { platform: BOOT_PLATFORM.efi, sectors: efiSectors(size), image: { in: 'file', path: EFI_IMAGE_PATH } };
}

/** The FAT image, the cores that are in it, and the empty file by which they know the volume. */
function efiFiles(efi: readonly EfiGrub[], efiImage: FatLayout, time: number): Tree {
  const files = treeOfLiterals({ [EFI_IMAGE_PATH]: efiImage.bytes, [isoMarker(isoIdentifier(time))]: '' });
  return overlay(efiTree(efi, time), files);
}

/** The cores, where firmware looks for them: in the FAT image, and in the ISO's own tree for firmware that reads that. */
function efiTree(efi: readonly EfiGrub[], mtime: number): Tree {
  const cores = efi.map(({ platform, core }) => [`efi/boot/${LOADER_NAME[platform]}`, core]);
  return treeOfLiterals({ efi: null, 'efi/boot': null, ...Object.fromEntries(cores) }, { mtime });
}

function layoutEfiImage(efi: readonly EfiGrub[], time: number): FatLayout {
  return layoutFat12Floppy(efiTree(efi, time), { serial: time % 2 ** 32 });
}

/** The FAT image as EFI system partition, and what lies around it as parts of the volume. */
function partitionRanges(
  efiImage: { readonly offset: number; readonly size: number } | undefined,
  end: number,
): GptRange[] {
  const { basicData, efiSystem } = PARTITION_TYPE;
  const start = SYSTEM_AREA_BLOCKS * BLOCK_SIZE;
  const gap = (name: string, from: number, to: number): GptRange => ({
    type: basicData,
    name,
    offset: from,
    size: to - from,
    isPartOfVolume: true,
  });
  if (efiImage === undefined) return [gap('Gap0', start, end + PADDING_SIZE)];
  const { offset, size } = efiImage;
  return [
    gap('Gap0', start, offset),
    { type: efiSystem, name: 'EFI boot partition', offset, size, isPartOfVolume: true },
    gap('Gap1', offset + size, end + PADDING_SIZE),
  ];
}
