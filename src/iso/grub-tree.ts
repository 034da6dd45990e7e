/** `boot` of a hybrid or GRUB ISO: kernel, initramfs, the menu and what GRUB loads. Source: spec boot-and-images 5.2, 5.6, 5.7. */
import { buildGrubDirectory } from '../boot/grub-directory.ts';
import type { GrubPlatform } from '../boot/grub-modules.ts';
import { ofMemory } from '../bytes/bytes.ts';
import { BOOT_PLATFORM } from '../formats/iso9660/el-torito.ts';
import type { BootReference } from '../formats/iso9660/layout.ts';
import { overlay, type Tree, treeOfLiterals } from '../tree/tree.ts';
import { grubIsoConfig } from './grub-config.ts';
import type { BiosGrub, EfiGrub, IsoOptions, KernelParts } from './parts.ts';

export const KERNEL_PATH = 'boot/vmlinuz';
export const INITRAMFS_PATH = 'boot/initramfs.xz';
export const EL_TORITO_PATH = 'boot/grub/i386-pc/eltorito.img';

/** The entry a BIOS starts: cdboot.img, four 512-byte sectors, which loads the rest. */
export const EL_TORITO_REFERENCE: BootReference = {
  platform: BOOT_PLATFORM.bios,
  sectors: 4,
  image: { in: 'file', path: EL_TORITO_PATH },
};

/** GRUBs of an ISO: for BIOS, for UEFI, or both. */
export interface Grubs {
  /** Absent where there is no BIOS. */
  readonly bios?: BiosGrub | undefined;
  readonly efi?: readonly EfiGrub[];
}

export function grubTree(parts: KernelParts, { bios, efi = [] }: Grubs, { traits }: IsoOptions): Tree {
  const platforms = new Map<GrubPlatform, Tree>(efi.map(({ platform, files }) => [platform, files]));
  if (bios !== undefined) platforms.set('i386-pc', bios.files);
  const directory = buildGrubDirectory(platforms, {
    ...(parts.font === undefined ? {} : { font: parts.font }),
    ...(bios === undefined ? {} : { elTorito: ofMemory(bios.elTorito) }),
  });
  const others = treeOfLiterals({
    [KERNEL_PATH]: parts.kernel,
    [INITRAMFS_PATH]: parts.initramfs,
    'boot/grub/grub.cfg': grubIsoConfig(parts.cmdline, traits),
    'boot/grub/locale': null,
  });
  return overlay(directory, others);
}

/** Rank of what a BIOS has to find: near the start. */
export function bootFirst(path: string): number {
  return path.startsWith('boot/') ? 0 : 1;
}
