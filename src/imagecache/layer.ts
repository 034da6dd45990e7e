/** An image cache as an image, which upstream's imager and registries take: one layer that is the cache. Source: spec profiles-and-inputs 10.3. */

import { layoutTar } from '../formats/tar/layout-tar.ts';
import { type ComposedBlob, type ComposedImage, composeImage } from '../oci/composed-image.ts';
import { finishDigest, type Hasher } from '../oci/digest-check.ts';
import type { Platform } from '../oci/image-source.ts';
import { OCI_LAYER } from '../oci/media-types.ts';
import { throwIfCanceled } from '../oci/store/receive.ts';
import { type Tree, treeOf } from '../tree/tree.ts';
import { inTurn, newBlocks } from './blocks.ts';

export interface CacheImageOptions {
  /** Seconds since 1970, of every file and of the image. */
  readonly epoch: number;
  readonly signal?: AbortSignal;
}

/** The layer: a plain tar, since blobs are compressed already. All of it is read for its digest. Throws `io`, `canceled`. */
export async function cacheLayer(
  hasher: Hasher,
  cache: Tree,
  { epoch, signal }: CacheImageOptions,
): Promise<ComposedBlob> {
  const bytes = layoutTar(treeOf(cache.entries.map((entry) => ({ ...entry, uid: 0, gid: 0, mtime: epoch }))));
  const hash = hasher.hash('sha256');
  for await (const chunk of inTurn(bytes, newBlocks())) {
    throwIfCanceled(signal);
    hash.update(chunk);
  }
  return { descriptor: { mediaType: OCI_LAYER, digest: finishDigest(hash), size: bytes.size }, bytes, origins: [] };
}

/** The image for one of the platforms whose images are in the cache. */
export function cacheImage(hasher: Hasher, layer: ComposedBlob, platform: Platform, epoch: number): ComposedImage {
  const { architecture, os } = platform;
  const config = {
    created: new Date(epoch * 1000).toISOString().replace('.000Z', 'Z'),
    architecture,
    os,
    config: {},
    rootfs: { type: 'layers', diff_ids: [layer.descriptor.digest] },
  };
  return composeImage(hasher, platform, new TextEncoder().encode(JSON.stringify(config)), [layer]);
}
