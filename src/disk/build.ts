/** The one door to disk images. Source: spec boot-and-images 6. */
import { checkEpoch } from '../boot/epoch.ts';
import { type Bytes, type Placement, place } from '../bytes/bytes.ts';
import { guidOfLabel } from '../formats/gpt/guid.ts';
import { layoutGpt } from '../formats/gpt/layout.ts';
import { layoutMetaPartition } from '../meta/partition.ts';
import { overlay, type Tree } from '../tree/tree.ts';
import { layoutBiosPartition, layoutFirstSector } from './bios-boot.ts';
import { bootTree, layoutBootPartition } from './boot-partition.ts';
import { efiTree, layoutEfiPartition } from './efi-partition.ts';
import { imageCachePartitionSize, layoutImageCachePartition } from './image-cache-partition.ts';
import { diskMetaValues } from './meta-values.ts';
import { overlayIgnoringCase } from './overlay-files.ts';
import { layoutPartitions, type PartitionName, type PartitionTable } from './partitions.ts';
import type { BiosGrub, DiskImageOptions, DiskParts } from './parts.ts';
import { type PlacedPartition, placedPartition } from './placed-partition.ts';

const DISK_LABEL = 'talos-image-disk';

/**
 * The whole disk, nothing of it read; what nobody wrote is zeros. Throws `install` when the disk is too small, or a part does not fit its partition;
 * `invalid-input` where epoch, version, META values or a part are not what they must be.
 */
export function buildDisk(parts: DiskParts, options: DiskImageOptions): Bytes {
  const { epoch, size, imageCache } = options;
  checkEpoch(epoch);
  const cache = imageCache === undefined ? {} : { imageCacheSize: imageCachePartitionSize(imageCache, epoch) };
  const table = layoutPartitions(parts.bootloader, options.traits, { ...options, ...cache });
  const { geometry, partitions } = table;
  const grub = biosGrubOf(parts);
  const bios = partitions.get('BIOS');
  return place(size, [
    { at: 0, bytes: layoutFirstSector(geometry, grub && bios && { grub, bios }) },
    ...layoutGpt(size, guidOfLabel(DISK_LABEL), [...partitions.values()], geometry),
    ...(options.overlay?.gap ?? []),
    ...contents(parts, table, options),
  ]);
}

function biosGrubOf(parts: DiskParts): BiosGrub | undefined {
  return parts.bootloader === 'sd-boot' ? undefined : parts.bios;
}

/** An overlay may bring a boot loader of its own in place of ours. */
function withOverlay(own: Tree, added: Tree | undefined): Tree {
  return added === undefined ? own : overlayIgnoringCase(own, added);
}

/** Of all partitions that have any. */
function contents(parts: DiskParts, { geometry, partitions }: PartitionTable, options: DiskImageOptions): Placement[] {
  const fill = (name: PartitionName, content: (at: PlacedPartition) => Bytes): Placement => {
    const at = placedPartition(partitions.get(name)!, geometry);
    return { at: at.offset, bytes: content(at) };
  };
  const meta = diskMetaValues(options.meta, parts.bootloader, options.traits);
  const placements = [
    fill('EFI', (at) => layoutEfiPartition(withOverlay(efiTree(parts, options), options.overlay?.efi), at).bytes),
    fill('META', () => layoutMetaPartition(meta)),
  ];
  const { imageCache, epoch } = options;
  if (imageCache !== undefined) {
    placements.push(fill('IMAGECACHE', (at) => layoutImageCachePartition(imageCache, at, epoch)));
  }
  if (parts.bootloader === 'sd-boot') return placements;
  const { bios } = parts;
  const reset = parts.bootloader === 'dual-boot' || options.traits.hasGrubResetEntry;
  const own = bootTree(parts, options, reset);
  const boot = options.overlay === undefined ? own : overlay(own, options.overlay.boot);
  placements.push(fill('BOOT', (at) => layoutBootPartition(boot, at, options).bytes));
  if (bios !== undefined) {
    placements.push(fill('BIOS', ({ size }) => layoutBiosPartition(bios, partitions.get('BIOS')!, size)));
  }
  return placements;
}
