/** What of an image cache is decided and shown before anything is built. */
import type { FinalProfile } from '../profiles/resolve.ts';
import type { Tree } from '../tree/tree.ts';
import { checkCacheReference, type ImageCacheSource, imageCacheSource, imageOfCache } from './image-cache-source.ts';
import { hostsOfImage } from './imager-image.ts';
import type { PlannedInput, PlanOptions, PlanRequest } from './plan.ts';
import type { Workplace } from './workplace.ts';

/** An image cache that is here. */
export interface PlannedImageCache {
  /** For the architecture. */
  readonly images: number;
  /** Of all its files, bytes. */
  readonly size: number;
  /** Bytes, in a disk image: as much is added to the disk's own size. */
  readonly partitionSize?: number;
}

export interface ImageCachePlan {
  readonly inputs: readonly PlannedInput[];
  /** `host[:port]` of what may be contacted for it. */
  readonly hosts: readonly string[];
  readonly warnings: readonly string[];
  /** Absent where there is none, or it was not looked at yet. */
  readonly imageCache?: PlannedImageCache;
}

/** Throws `dependency` for a bad reference; when resolving also what `findImageCache` throws. */
export async function planImageCache(
  workplace: Workplace,
  { profile, epoch }: PlanRequest,
  { resolve }: PlanOptions,
): Promise<ImageCachePlan> {
  const source = imageCacheSource(profile);
  if (source === undefined) return { inputs: [], hosts: [], warnings: unusedWarnings(profile) };
  checkCacheReference(source);
  const hosts = source.kind === 'registry' ? hostsOfImage(workplace, imageOfCache(source)) : [];
  const warnings = versionWarnings(profile);
  const input = { role: 'image-cache', ...placeOf(source) } as const;
  if (!resolve) return { inputs: [{ ...input, digest: null }], hosts, warnings };
  const { findImageCache } = await import('./image-cache.ts');
  const found = await findImageCache(workplace, source, profile.arch);
  const inputs = [{ ...input, digest: found.digest }];
  if (!('tree' in found)) return { inputs, hosts, warnings };
  return {
    inputs,
    hosts,
    warnings: [...warnings, ...found.warnings.map((warning) => `image cache: ${warning}`)],
    imageCache: { images: found.images, size: found.size, ...(await partitionOf(profile, found.tree, epoch)) },
  };
}

async function partitionOf(
  { output }: FinalProfile,
  tree: Tree,
  epoch: number,
): Promise<Pick<PlannedImageCache, 'partitionSize'>> {
  if (output.kind !== 'image') return {};
  const { imageCachePartitionSize } = await import('../disk/image-cache-partition.ts');
  return { partitionSize: imageCachePartitionSize(tree, epoch) };
}

function placeOf(source: ImageCacheSource): Pick<PlannedInput, 'reference' | 'path'> {
  switch (source.kind) {
    case 'registry':
      return { reference: source.reference };
    case 'directory':
      return { path: source.directory };
    case 'tarball':
      return { path: source.file };
  }
}

function versionWarnings({ traits, version }: FinalProfile): string[] {
  return traits.readsImageCache
    ? []
    : [`image cache: Talos ${version} does not look for one, 1.9 is the first that does`];
}

function unusedWarnings({ input, output }: FinalProfile): string[] {
  const { imageRef, ociPath, tarballPath } = input.imageCache;
  if (`${imageRef}${ociPath}${tarballPath}` === '') return [];
  return [`image cache: only ISOs and disk images hold one, output kind ${output.kind} does not`];
}
