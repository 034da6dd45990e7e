/** BOOT, what GRUB reads: kernel, initramfs and menu on XFS. Source: spec boot-and-images 6.4, 6.8. */
import { SHARING_ALIGNMENT } from '../boot/esp.ts';
import { type Bytes, ofText } from '../bytes/bytes.ts';
import { invalid } from '../errors.ts';
import { guidOfLabel } from '../formats/gpt/guid.ts';
import { FEATURE_SETS, type FeatureSet, incompatibleBits } from '../formats/xfs/features.ts';
import { layoutXfs, type XfsLayout } from '../formats/xfs/layout.ts';
import type { Traits } from '../profiles/traits.ts';
import { type Entry, type Tree, treeOf } from '../tree/tree.ts';
import { grubDiskConfig, INITRAMFS_PATH, KERNEL_PATH } from './grub-config.ts';
import type { DiskImageOptions, InstalledKernel } from './parts.ts';
import type { PlacedPartition } from './placed-partition.ts';

/** The menu may hold secrets of the command line: root alone reads it. */
export function bootTree(
  { kernel, initramfs, cmdline }: InstalledKernel,
  options: DiskImageOptions,
  reset: boolean,
): Tree {
  const common = { uid: 0, gid: 0, mtime: options.epoch };
  const directory = (path: string, mode: number): Entry => ({ kind: 'directory', path, ...common, mode });
  const file = (path: string, content: Bytes, mode: number): Entry => ({
    kind: 'file',
    path,
    content,
    ...common,
    mode,
  });
  return treeOf([
    directory('', 0o755),
    directory('A', 0o755),
    file(KERNEL_PATH, kernel, 0o644),
    file(INITRAMFS_PATH, initramfs, 0o644),
    directory('grub', 0o700),
    file('grub/grub.cfg', ofText(grubDiskConfig(options.version, cmdline, { reset })), 0o600),
  ]);
}

/** Kernel and initramfs come first, as near to the UKI before the partition as can be. Throws `invalid-input` when they do not fit. */
export function layoutBootPartition(
  tree: Tree,
  { offset, size, sectorSize }: PlacedPartition,
  { epoch, traits }: Pick<DiskImageOptions, 'epoch' | 'traits'>,
): XfsLayout {
  return layoutXfs(tree, size, {
    label: 'BOOT',
    uuid: guidOfLabel('BOOT'),
    features: featureSet(traits.xfsMkfsConfig),
    epoch,
    sectorSize,
    contentFirst: [KERNEL_PATH, INITRAMFS_PATH],
    largeFiles: { from: SHARING_ALIGNMENT, alignment: SHARING_ALIGNMENT, base: offset },
  });
}

/** Bits of `sb_features_incompat` in BOOT: what reads it must know them. */
export function bootPartitionFeatures({ xfsMkfsConfig }: Pick<Traits, 'xfsMkfsConfig'>): number {
  return incompatibleBits(FEATURE_SETS[featureSet(xfsMkfsConfig)]);
}

/** By the name of upstream's configuration file. */
function featureSet(path: string): FeatureSet {
  const name = /(?<![^/])([^/]+)\.conf$/.exec(path)?.[1] ?? path;
  if (!Object.hasOwn(FEATURE_SETS, name)) {
    throw invalid(`XFS features ${name}: want one of ${Object.keys(FEATURE_SETS).join(', ')}`);
  }
  return name as FeatureSet;
}
