/** ISOs with GRUB for BIOS and systemd-boot for UEFI. Source: spec boot-and-images 5.2, 5.5, 5.6. */
import { espTree, layoutIsoEsp, ukiPath } from '../boot/esp.ts';
import { type Bytes, ofMemory, ofText } from '../bytes/bytes.ts';
import { MIB } from '../bytes/units.ts';
import { PARTITION_TYPE } from '../formats/gpt/guid.ts';
import { BLOCK_SIZE } from '../formats/iso9660/block.ts';
import { BOOT_PLATFORM, efiSectors } from '../formats/iso9660/el-torito.ts';
import { type BootReference, layoutIso9660, PARTITION_OFFSET } from '../formats/iso9660/layout.ts';
import type { UkiLayout } from '../formats/pe/uki.ts';
import type { Attributes, Entry } from '../tree/tree.ts';
import { sharedWithEsp } from './esp-sharing.ts';
import { grubIsoConfig } from './grub-config.ts';
import { commonGrubEntries, EL_TORITO_PATH, platformEntries } from './grub-files.ts';
import { isoTree } from './iso-tree.ts';
import { isoLabel } from './label.ts';
import { type BiosGrub, type IsoOptions, type KernelParts, PREPARER_ID, type SystemdBoot } from './parts.ts';
import { GPT_TAIL_SIZE, PADDING_SIZE, withGpt } from './system-area.ts';

export interface HybridParts extends KernelParts {
  readonly systemd: SystemdBoot;
  /** Absent on arm64, which has no BIOS; upstream carries an image there that nothing can start. */
  readonly bios?: BiosGrub | undefined;
}

/** What GRUB's El Torito entry loads at once: cdboot.img, which loads the rest. In 512-byte sectors. */
export const EL_TORITO_SECTORS = 4;

/** A GPT has one partition that shows the volume and one that is the EFI system partition behind it. */
export function layoutHybridIso(parts: HybridParts, options: IsoOptions): Bytes {
  const { version, architecture, epoch: time, traits, enrollment = 'off' } = options;
  const { systemd, bios } = parts;
  const espParts = { ...systemd, uki: systemd.uki.bytes };
  const espOptions = { medium: 'iso', architecture, version, enrollment, mtime: time } as const;
  const esp = layoutIsoEsp(espParts, espOptions, 0);
  const entries = [
    ...espTree(espParts, espOptions).entries,
    ...kernelEntries(parts, options),
    ...(bios === undefined ? [] : biosEntries(bios)),
  ];
  const tree = isoTree(entries, options.imageCache, { time, normalized: true });
  const layout = layoutIso9660(tree, {
    ...isoLabel(version, traits),
    preparerId: PREPARER_ID,
    time,
    rank: bootFirst,
    shared: sharedWithEsp(tree, esp, insideUki(systemd.uki, ukiPath(version))),
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

export const EL_TORITO_REFERENCE: BootReference = {
  platform: BOOT_PLATFORM.bios,
  sectors: EL_TORITO_SECTORS,
  image: { in: 'file', path: EL_TORITO_PATH },
};

/** Modes and times are those of a fresh file: the ISO's are set for all at once. */
const FILE: Attributes = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };

const KERNEL_PATH = 'boot/vmlinuz';
const INITRAMFS_PATH = 'boot/initramfs.xz';

/** Kernel, initramfs and the menu that starts them, with what belongs to every GRUB. */
export function kernelEntries(parts: KernelParts, { traits }: IsoOptions): Entry[] {
  return [
    { kind: 'file', path: KERNEL_PATH, content: parts.kernel, ...FILE },
    { kind: 'file', path: INITRAMFS_PATH, content: parts.initramfs, ...FILE },
    ...commonGrubEntries(ofText(grubIsoConfig(parts.cmdline, traits)), parts.font, FILE),
  ];
}

export function biosEntries({ files, elTorito }: BiosGrub): Entry[] {
  return [
    ...platformEntries('i386-pc', files, FILE),
    { kind: 'file', path: EL_TORITO_PATH, content: ofMemory(elTorito), ...FILE },
  ];
}

/** What a BIOS has to find lies near the start. */
export function bootFirst(path: string): number {
  return path.startsWith('boot/') ? 0 : 1;
}

function insideUki(
  uki: Pick<UkiLayout, 'sections'>,
  path: string,
): Map<string, { readonly path: string; readonly offset: number }> {
  const places = new Map<string, { readonly path: string; readonly offset: number }>();
  for (const [file, name] of [
    [KERNEL_PATH, '.linux'],
    [INITRAMFS_PATH, '.initrd'],
  ] as const) {
    const section = uki.sections.find((one) => one.name === name);
    if (section !== undefined) places.set(file, { path, offset: section.offset });
  }
  return places;
}
