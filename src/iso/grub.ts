/**
 * ISOs that start with GRUB on BIOS and UEFI alike: Talos before 1.10, and later ones on request. Source: spec boot-and-images 5.6, 5.7.
 * Upstream's also have HFS+, an Apple partition map and files for Macs, which nothing needs that Talos runs on.
 */
import { type Bytes, ofMemory } from '../bytes/bytes.ts';
import { invalid } from '../errors.ts';
import { type FatLayout, layoutFat12Floppy } from '../formats/fat/layout.ts';
import { PARTITION_TYPE } from '../formats/gpt/guid.ts';
import { BLOCK_SIZE } from '../formats/iso9660/block.ts';
import { BOOT_PLATFORM, efiSectors } from '../formats/iso9660/el-torito.ts';
import { layoutIso9660, SYSTEM_AREA_BLOCKS } from '../formats/iso9660/layout.ts';
import { volumeTimeDigits } from '../formats/iso9660/timestamp.ts';
import { type Entry, type Tree, treeOf } from '../tree/tree.ts';
import { EL_TORITO_PATH, platformEntries } from './grub-files.ts';
import { biosEntries, bootFirst, EL_TORITO_REFERENCE, kernelEntries } from './hybrid.ts';
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
  EfiGrub['platform'],
  string
>;

/**
 * The empty file by which GRUB for UEFI knows the volume it was started from, relative to the root. Upstream names it after the clock;
 * here the epoch, so that the same build gives the same bytes.
 */
export function grubMarkerPath(epoch: number): string {
  const [, ...parts] = /^(.{4})(..)(..)(..)(..)(..)(..)$/.exec(volumeTimeDigits(epoch))!;
  return `.disk/${parts.join('-')}.uuid`;
}

/** Throws `invalid-input` when there is no GRUB at all. */
export function layoutGrubIso(parts: GrubIsoParts, options: IsoOptions): Bytes {
  const { version, epoch: time, traits } = options;
  const { bios, efi } = parts;
  const efiImage = efi.length === 0 ? undefined : layoutEfiImage(efi, time);
  if (bios === undefined && efiImage === undefined) throw invalid('GRUB ISO: no GRUB to start it with');
  const tree = isoTree(treeEntries(parts, options, efiImage), options.imageCache, { time, normalized: true });
  const layout = layoutIso9660(tree, {
    ...isoLabel(version, traits),
    preparerId: PREPARER_ID,
    time,
    rank: (path) => (path === EFI_IMAGE_PATH ? -1 : bootFirst(path)),
    tail: GPT_TAIL_SIZE,
    boot: {
      catalogPath: 'boot.catalog',
      images: [
        ...(bios === undefined ? [] : [EL_TORITO_REFERENCE]),
        ...(efiImage === undefined
          ? []
          : [
              {
                platform: BOOT_PLATFORM.efi,
                sectors: efiSectors(efiImage.bytes.size),
                image: { in: 'file', path: EFI_IMAGE_PATH },
              } as const,
            ]),
      ],
    },
  });
  return withGpt(layout.bytes, partitionRanges(layout.files.get(EFI_IMAGE_PATH), layout.end), {
    time,
    bios: bios === undefined ? undefined : { boot: bios, elToritoOffset: layout.files.get(EL_TORITO_PATH)!.offset },
  });
}

function treeEntries(parts: GrubIsoParts, options: IsoOptions, efiImage: FatLayout | undefined): Entry[] {
  const { bios, efi } = parts;
  const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: options.epoch };
  const entries = [...kernelEntries(parts, options), ...(bios === undefined ? [] : biosEntries(bios))];
  for (const { platform, files } of efi) entries.push(...platformEntries(platform, files, attributes));
  if (efiImage !== undefined) {
    entries.push(...efiTree(efi, options.epoch).entries);
    entries.push({ kind: 'file', path: EFI_IMAGE_PATH, content: efiImage.bytes, ...attributes });
    entries.push({
      kind: 'file',
      path: grubMarkerPath(options.epoch),
      content: ofMemory(new Uint8Array()),
      ...attributes,
    });
  }
  return entries;
}

/** The cores, where firmware looks for them: in the FAT image, and in the ISO's own tree for firmware that reads that. */
function efiTree(efi: readonly EfiGrub[], mtime: number): Tree {
  const attributes = { mode: 0o644, uid: 0, gid: 0, mtime };
  const directory = { ...attributes, mode: 0o755 };
  return treeOf([
    ...['', 'efi', 'efi/boot'].map((path): Entry => ({ kind: 'directory', path, ...directory })),
    ...efi.map(
      ({ platform, core }): Entry => ({
        kind: 'file',
        path: `efi/boot/${LOADER_NAME[platform]}`,
        content: ofMemory(core),
        ...attributes,
      }),
    ),
  ]);
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
