/** ISOs with GRUB for BIOS and systemd-boot for UEFI. Source: spec boot-and-images 5.2, 5.5, 5.6. */
import { espTree, layoutIsoEsp, ukiPath } from '../boot/esp.ts';
import type { Bytes } from '../bytes/bytes.ts';
import { MIB } from '../bytes/units.ts';
import { PARTITION_TYPE } from '../formats/gpt/guid.ts';
import { BLOCK_SIZE } from '../formats/iso9660/block.ts';
import { BOOT_PLATFORM, efiSectors } from '../formats/iso9660/el-torito.ts';
import { layoutIso9660, PARTITION_OFFSET } from '../formats/iso9660/layout.ts';
import type { UkiLayout } from '../formats/pe/uki.ts';
import { type InsideFile, sharedWithFat } from './fat-sharing.ts';
import { bootFirst, EL_TORITO_PATH, EL_TORITO_REFERENCE, grubTree, INITRAMFS_PATH, KERNEL_PATH } from './grub-tree.ts';
import { isoTree } from './iso-tree.ts';
import { isoLabel } from './label.ts';
import { type BiosGrub, type IsoOptions, type KernelParts, PREPARER_ID, type SystemdBoot } from './parts.ts';
import { GPT_TAIL_SIZE, PADDING_SIZE, withGpt } from './system-area.ts';

export interface HybridParts extends KernelParts {
  readonly systemd: SystemdBoot;
  /** Absent on arm64, which has no BIOS; upstream carries an image there that nothing can start. */
  readonly bios?: BiosGrub | undefined;
}

/** A GPT has one partition that shows the volume and one that is the EFI system partition behind it. */
export function layoutHybridIso(parts: HybridParts, options: IsoOptions): Bytes {
  const { version, architecture, epoch: time, traits, enrollment = 'off' } = options;
  const { systemd, bios } = parts;
  const espParts = { ...systemd, uki: systemd.uki.bytes };
  const espOptions = { medium: 'iso', architecture, version, enrollment, mtime: time } as const;
  const esp = layoutIsoEsp(espParts, espOptions, 0);
  const trees = [espTree(espParts, espOptions), grubTree(parts, { bios }, options)];
  const tree = isoTree(trees, options.imageCache, { time, normalized: true });
  const layout = layoutIso9660(tree, {
    ...isoLabel(version, traits),
    preparerId: PREPARER_ID,
    time,
    rank: bootFirst,
    shared: sharedWithFat(tree, esp, { in: 'appended' }, insideUki(systemd.uki, ukiPath(version))),
    appended: { bytes: esp.bytes, alignment: MIB },
    tail: GPT_TAIL_SIZE,
    partitionView: true,
    boot: {
      catalogPath: 'boot.catalog',
      images: [
        ...(bios === undefined ? [] : [EL_TORITO_REFERENCE]),
        { platform: BOOT_PLATFORM.efi, sectors: efiSectors(esp.bytes.size), image: { in: 'appended' } },
      ],
    },
  });
  const { offset, size } = layout.appended!;
  const start = PARTITION_OFFSET * BLOCK_SIZE;
  const { basicData, efiSystem } = PARTITION_TYPE;
  return withGpt(
    layout.bytes,
    [
      { type: basicData, name: 'ISO9660', offset: start, size: offset - start, isPartOfVolume: true },
      { type: efiSystem, name: 'Appended2', offset, size, isPartOfVolume: false },
      { type: basicData, name: 'Gap1', offset: offset + size, size: PADDING_SIZE, isPartOfVolume: true },
    ],
    {
      time,
      bios: bios === undefined ? undefined : { boot: bios, elToritoOffset: layout.files.get(EL_TORITO_PATH)!.offset },
    },
  );
}

function insideUki({ sections }: Pick<UkiLayout, 'sections'>, path: string): Map<string, InsideFile> {
  const places = new Map<string, InsideFile>();
  for (const [file, name] of [
    [KERNEL_PATH, '.linux'],
    [INITRAMFS_PATH, '.initrd'],
  ] as const) {
    const section = sections.find((one) => one.name === name);
    if (section !== undefined) places.set(file, { path, offset: section.offset });
  }
  return places;
}
