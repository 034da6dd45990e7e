/** Where an image cache comes from, as a profile says it. */
import { ImagerError } from '../errors.ts';
import { parseReference } from '../oci/reference.ts';
import type { Profile } from '../profiles/profile.ts';
import type { ImageAssetSource } from './imager-image.ts';

export type ImageCacheSource =
  | { readonly kind: 'registry'; readonly reference: string; readonly insecure: boolean }
  /** An OCI layout, or the cache itself as `imager cache create` makes it. */
  | { readonly kind: 'directory'; readonly directory: string }
  /** A plain tar of the cache. */
  | { readonly kind: 'tarball'; readonly file: string };

/** `undefined` when the profile has none, or its output kind no place for one. Of several the first counts, as in spec profiles-and-inputs 6.1. */
export function imageCacheSource(profile: Profile): ImageCacheSource | undefined {
  const { kind } = profile.output;
  if (kind !== 'iso' && kind !== 'image') return undefined;
  const { imageRef, ociPath, tarballPath, forceInsecure } = profile.input.imageCache;
  if (tarballPath !== '') return { kind: 'tarball', file: tarballPath };
  if (ociPath !== '') return { kind: 'directory', directory: ociPath };
  if (imageRef !== '') return { kind: 'registry', reference: imageRef, insecure: forceInsecure };
  return undefined;
}

/** The image a registry has it in. */
export function imageOfCache({
  reference,
}: Extract<ImageCacheSource, { readonly kind: 'registry' }>): ImageAssetSource {
  return { kind: 'registry', reference };
}

/** For messages. */
export function nameOfImageCache(source: ImageCacheSource): string {
  switch (source.kind) {
    case 'registry':
      return `image cache ${source.reference}`;
    case 'directory':
      return `image cache ${source.directory}`;
    case 'tarball':
      return `image cache ${source.file}`;
  }
}

/** What a path that should hold a cache holds instead. `dependency`, as upstream has it for whatever a cache cannot be had from. */
export function notACache(source: ImageCacheSource, found: string | undefined): ImagerError {
  const what = nameOfImageCache(source);
  const wish = source.kind === 'tarball' ? 'a plain tar file' : 'an OCI layout or the directory of a cache';
  return new ImagerError('dependency', `${what}: ${found ?? 'nothing there on this machine'}, want ${wish}`, {
    hint: 'a tar file goes into input.imageCache.tarballPath of a profile; a reference needs its registry and tag',
  });
}

/** The same for a reference that nothing can be pulled by. */
export function checkCacheReference(source: ImageCacheSource): void {
  if (source.kind !== 'registry') return;
  try {
    parseReference(source.reference);
  } catch (error) {
    if (!(error instanceof ImagerError)) throw error;
    throw new ImagerError('dependency', `image cache: ${error.message}`, { cause: error });
  }
}
