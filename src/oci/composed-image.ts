/**
 * An image made here: documents in memory, layers as `Bytes`, everything with its digest. What archives, layouts and pushes are written from.
 * Sources: OCI image-spec manifest.md, image-index.md.
 */
import { type Bytes, ofMemory } from '../bytes/bytes.ts';
import { digestOf, type Hasher } from './digest-check.ts';
import type { Descriptor, Platform, RawManifest } from './image-source.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from './media-types.ts';
import type { Reference } from './reference.ts';

/** Content by digest, which is that of `bytes`. */
export interface ComposedBlob {
  readonly descriptor: Descriptor;
  readonly bytes: Bytes;
  /** Repositories that are known to have it: a registry may take it over from there. */
  readonly origins: readonly Pick<Reference, 'registry' | 'repository'>[];
}

/** An image for one platform. */
export interface ComposedImage {
  readonly platform: Platform;
  readonly manifest: RawManifest;
  readonly config: ComposedBlob;
  /** Lowest first; the same blob may be there twice. */
  readonly layers: readonly ComposedBlob[];
}

/** `config` is the image configuration as JSON, whose `diff_ids` are those of `layers`. */
export function composeImage(
  hasher: Hasher,
  platform: Platform,
  config: Uint8Array,
  layers: readonly ComposedBlob[],
): ComposedImage {
  const described = { mediaType: OCI_CONFIG, digest: digestOf(hasher, config), size: config.length };
  const manifest = rawManifest(hasher, OCI_MANIFEST, {
    config: described,
    layers: layers.map(({ descriptor: { mediaType, digest, size } }) => ({ mediaType, digest, size })),
  });
  return { platform, manifest, config: { descriptor: described, bytes: ofMemory(config), origins: [] }, layers };
}

/** Images of several platforms under one digest, in the given order. */
export function composeIndex(hasher: Hasher, images: readonly ComposedImage[]): RawManifest {
  return rawManifest(hasher, OCI_INDEX, { manifests: images.map(manifestDescriptor) });
}

/** How an index refers to the image. */
export function manifestDescriptor({ manifest: { mediaType, digest, raw }, platform }: ComposedImage): Descriptor {
  const { architecture, os, variant } = platform;
  return {
    mediaType,
    digest,
    size: raw.length,
    platform: { architecture, os, ...(variant === undefined ? {} : { variant }) },
  };
}

/** What stands for the images: the manifest of the only one, else an index over all. */
export function topManifest(hasher: Hasher, images: readonly ComposedImage[]): RawManifest {
  const [only, ...others] = images;
  return only !== undefined && others.length === 0 ? only.manifest : composeIndex(hasher, images);
}

/** Configurations and layers of all images, each once, in the order of the images. */
export function blobsOf(images: readonly ComposedImage[]): readonly ComposedBlob[] {
  const all = images.flatMap(({ config, layers }) => [...layers, config]);
  const known = new Map<string, ComposedBlob>();
  for (const blob of all) {
    const { digest } = blob.descriptor;
    if (!known.has(digest)) known.set(digest, blob);
  }
  return [...known.values()];
}

function rawManifest(hasher: Hasher, mediaType: string, members: Readonly<Record<string, unknown>>): RawManifest {
  const raw = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType, ...members }));
  return { digest: digestOf(hasher, raw), mediaType, raw };
}
