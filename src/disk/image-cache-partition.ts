/** IMAGECACHE, images a node need not pull, on ext4. Source: spec boot-and-images 6.8, profiles-and-inputs 10.4. */
import { alignUp, type Bytes } from '../bytes/bytes.ts';
import { MIB } from '../bytes/units.ts';
import { type Ext4Options, layoutExt4, minimumExt4Size } from '../formats/ext4/layout.ts';
import { guidOfLabel } from '../formats/gpt/guid.ts';
import { type Tree, treeOf } from '../tree/tree.ts';
import type { PlacedPartition } from './placed-partition.ts';

const LABEL = 'IMAGECACHE';

/**
 * Bytes, a whole number of MiB: the files and a fifth more, as upstream has it, but never less than they need. Upstream's fifth does not hold the
 * journal of a small volume and its build fails.
 */
export function imageCachePartitionSize(cache: Tree, epoch: number): number {
  const content = cache.entries.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.content.size : 0), 0);
  const customary = alignUp(content + Math.floor(content / 5), MIB);
  return Math.max(customary, minimumExt4Size(onVolume(cache, epoch), volumeOptions(epoch)));
}

/** The cache at the root of the volume. Throws `invalid-input` when it does not fit. */
export function layoutImageCachePartition(cache: Tree, { size }: Pick<PlacedPartition, 'size'>, epoch: number): Bytes {
  return layoutExt4(onVolume(cache, epoch), { ...volumeOptions(epoch), size });
}

/** Blocks of 4096 bytes suit every sector size; mke2fs also takes smaller ones for small volumes. */
function volumeOptions(epoch: number): Omit<Ext4Options, 'size'> {
  return { label: LABEL, uuid: guidOfLabel(LABEL), hashSeed: guidOfLabel(LABEL), epoch, blockSize: 4096 };
}

function onVolume(cache: Tree, mtime: number): Tree {
  return treeOf(cache.entries.map((entry) => ({ ...entry, uid: 0, gid: 0, mtime })));
}
