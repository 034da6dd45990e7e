/** `imager cache create`: from references to a cache in a directory or an OCI layout. */
import { ImagerError } from '../errors.ts';
import { type CacheContents, type CachedImage, collectImages } from '../imagecache/collect.ts';
import { checkCacheDirectory, readCacheDirectory } from '../imagecache/directory.ts';
import { cacheImage, cacheLayer } from '../imagecache/layer.ts';
import { blobPath } from '../imagecache/names.ts';
import { writeCache } from '../imagecache/write.ts';
import type { ImageSource } from '../oci/image-source.ts';
import { openMirrorLayouts, throughLayouts } from '../oci/local/layout-mirror.ts';
import { checkLayoutDirectory, writeToLayout } from '../oci/local/write-layout.ts';
import { openRegistries, type RepositoryName } from '../oci/registry/registry.ts';
import type { Architecture } from '../profiles/profile.ts';
import { treeOf } from '../tree/tree.ts';
import { checkEpoch } from './epoch.ts';
import type { Workplace } from './workplace.ts';

/** Where a cache goes, and in what form. */
export type CacheTarget =
  /** The cache itself. */
  | { readonly kind: 'directory'; readonly directory: string }
  /** The cache as an image, named `name`, or `name-ARCH` where there are several. */
  | { readonly kind: 'layout'; readonly directory: string; readonly name: string };

/** What a cache is made of. */
export interface ImageCacheRequest {
  /** As people write them: registry, `library/` and tag may be missing. */
  readonly references: readonly string[];
  /** At least one. */
  readonly architectures: readonly Architecture[];
  readonly target: CacheTarget;
  /** Whether what cosign has signed of the images comes along. */
  readonly signatures: boolean;
  /** Seconds since 1970, of a layout's image. */
  readonly epoch: number;
}

/** What is in a cache now. */
export interface CreatedImageCache {
  readonly images: readonly CachedImage[];
  /** Of what the images need, each once. */
  readonly blobs: number;
  /** Of these blobs, bytes. */
  readonly size: number;
}

/**
 * Resolves, fetches and verifies. What was fetched stays when it is stopped, even by a kill, and the next run goes on with it. Throws as `collectImages` and
 * `writeCache` do; `dependency` offline; `invalid-input` for a directory that has something else in it.
 */
export async function createImageCache(workplace: Workplace, request: ImageCacheRequest): Promise<CreatedImageCache> {
  const { platform, transport, signal, onProgress } = workplace;
  const { references, architectures, target, signatures, epoch } = request;
  checkEpoch(epoch);
  if (transport.offline === true) {
    throw new ImagerError('dependency', 'image cache: images come from registries, and offline none may be asked');
  }
  const directory = target.kind === 'directory' ? target.directory : stagingOf(target.directory);
  if (target.kind === 'layout') await checkLayoutDirectory(platform.files, target.directory);
  await checkCacheDirectory(platform.files, directory);
  const stopped = signal === undefined ? {} : { signal };
  const { mirrors = {}, insecure = false } = transport;
  const registries = openRegistries(platform, { mirrors, insecure });
  const layouts = await openMirrorLayouts(platform, mirrors);
  const open = (name: RepositoryName): ImageSource => throughLayouts(layouts, mirrors, name, registries.source(name));
  const contents = await collectImages(platform, open, references, {
    ...stopped,
    platforms: architectures.map((architecture) => ({ os: 'linux', architecture })),
    signatures,
    onImage: (done) => onProgress?.({ task: 'resolving images', done, total: references.length, unit: 'step' }),
  });
  await writeCache(platform, directory, contents, {
    ...stopped,
    onBytes: (done, total) => onProgress?.({ task: 'fetching blobs', done, total, unit: 'bytes' }),
  });
  if (target.kind === 'layout') await writeLayout(workplace, request, contents, target);
  const { images, blobs } = contents;
  const size = [...blobs.values()].reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  return { images, blobs: blobs.size, size };
}

/** Beside the layout, which may have nothing in it that does not belong there. */
function stagingOf(layout: string): string {
  return `${layout.replace(/\/+$/, '')}.partial`;
}

async function writeLayout(
  { platform, signal, onProgress }: Workplace,
  { architectures, epoch }: ImageCacheRequest,
  { blobs, documents, tags }: CacheContents,
  { directory, name }: Extract<CacheTarget, { readonly kind: 'layout' }>,
): Promise<void> {
  const staging = stagingOf(directory);
  const stopped = signal === undefined ? {} : { signal };
  // What a stopped run of another list left there is no part of this one.
  const wanted = new Set([...[...blobs.keys()].map(blobPath), ...documents.keys(), ...tags.keys()]);
  const { entries } = await readCacheDirectory(platform.files, staging);
  const cache = treeOf(entries.filter(({ path }) => wanted.has(path)));
  const layer = await cacheLayer(platform, cache, { epoch, ...stopped });
  for (const architecture of architectures) {
    const image = cacheImage(platform, layer, { os: 'linux', architecture }, epoch);
    // Each under its own name: upstream's imager does not look into indexes.
    const own = architectures.length === 1 ? name : `${name}-${architecture}`;
    const task = `writing oci:${directory}:${own}`;
    await writeToLayout(platform, directory, own, [image], {
      ...stopped,
      sync: true,
      onProgress: (done, total) => onProgress?.({ task, done, total, unit: 'bytes' }),
    });
  }
  await platform.files.remove(staging);
}
