/** The EFI system partition of a disk image. Source: spec boot-and-images 6.4, 6.6. */
import { espTree, loaderPath, SHARING_ALIGNMENT } from '../boot/esp.ts';
import { ofMemory } from '../bytes/bytes.ts';
import { ImagerError } from '../errors.ts';
import { type Fat32Options, type FatLayout, fat32SizeFor, layoutFat32 } from '../formats/fat/layout.ts';
import { fat32Volume } from '../formats/fat/volume.ts';
import { type Tree, treeOfLiterals } from '../tree/tree.ts';
import type { DiskImageOptions, DiskParts } from './parts.ts';
import type { PlacedPartition } from './placed-partition.ts';

type EspOptions = Pick<DiskImageOptions, 'architecture' | 'version' | 'enrollment' | 'epoch'>;

/** Loader, UKI and configuration of systemd-boot; of GRUB the core alone, which finds all else in BOOT. */
export function efiTree(parts: DiskParts, { epoch: mtime, ...options }: EspOptions): Tree {
  if (parts.bootloader !== 'grub') return espTree(parts.systemd, { medium: 'disk', ...options, mtime });
  const path = loaderPath('disk', options.architecture);
  const literals = { '': null, EFI: null, 'EFI/boot': null, [path]: ofMemory(parts.efiCore) };
  return treeOfLiterals(literals, { mtime });
}

/**
 * FAT32 labelled `EFI`. Large files lie at its very end, so that the UKI is as near as can be to kernel and initramfs at the start of BOOT: what
 * compresses the image reaches back from those to it. Throws `install` when the files do not fit.
 */
export function layoutEfiPartition(tree: Tree, partition: PlacedPartition): FatLayout {
  const { offset, size, sectorSize } = partition;
  const { sectorsPerCluster } = fat32Volume(size, { sectorSize });
  const volume: Fat32Options = {
    sectorSize,
    sectorsPerCluster,
    label: 'EFI',
    largeFiles: { from: SHARING_ALIGNMENT, alignment: SHARING_ALIGNMENT, base: offset, at: 'end' },
  };
  const needed = fat32SizeFor(tree, volume);
  if (needed > size) {
    throw new ImagerError('install', `EFI partition of ${size} bytes: loader and UKI need ${needed}`, {
      hint: 'the size is fixed by the Talos version; make kernel and initramfs smaller, with fewer system extensions',
    });
  }
  return layoutFat32(tree, size, volume);
}
