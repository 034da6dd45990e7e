/** What an image cache has to hold for a list of images: every document is fetched and checked before the first layer is. */
import type { Digest } from '../bytes/units.ts';
import { invalid, withContext } from '../errors.ts';
import type { Hasher } from '../oci/digest-check.ts';
import type { ImageSource, Platform, RawManifest } from '../oci/image-source.ts';
import { formatReference, identifierOf, parseReference, type Reference } from '../oci/reference.ts';
import { resolveImage } from '../oci/resolve.ts';
import { sourceReader } from '../oci/source-reader.ts';
import { addBlobs, addDocument, addTag, type Collection, type WantedBlob } from './collection.ts';
import type { RepositoryName } from './names.ts';
import { collectSignatures } from './signatures.ts';

/** Gives the source of a repository; called once for each. */
export type OpenRepository = (name: RepositoryName) => ImageSource;

export interface CollectOptions {
  /** What each image is wanted for; at least one. */
  readonly platforms: readonly Platform[];
  /** Also what cosign has signed of them, for nodes that verify images. */
  readonly signatures: boolean;
  readonly signal?: AbortSignal;
  /** Called after each image. */
  readonly onImage?: (done: number) => void;
}

/** The content of a cache. Paths are relative to it. */
export interface CacheContents {
  readonly blobs: ReadonlyMap<Digest, WantedBlob>;
  /** Documents by digest: to be written after the blobs they name. */
  readonly documents: ReadonlyMap<string, Uint8Array>;
  /** Documents by tag: to be written last, so that a tag never leads to what is not there yet. */
  readonly tags: ReadonlyMap<string, Uint8Array>;
  readonly images: readonly CachedImage[];
}

/** One line of the list. */
export interface CachedImage {
  readonly reference: string;
  /** Of what the reference names: an index or a manifest. */
  readonly digest: Digest;
  /** Whether cosign has signed it; absent when nobody asked. */
  readonly signed?: boolean;
}

/**
 * Resolves every reference for every platform. Throws `invalid-input` for a list that is empty, a bad reference and a tag that is to stand for two
 * images; `dependency` for what is not served or not there for a platform; `verification`.
 */
export async function collectImages(
  hasher: Hasher,
  open: OpenRepository,
  references: readonly string[],
  options: CollectOptions,
): Promise<CacheContents> {
  if (references.length === 0) throw invalid('image cache: no images, want at least one reference');
  // All of them before anything is contacted: a typing error in the last line must not wait for the network.
  const wanted = references.map((text) => ({ text, reference: parseReference(text) }));
  const collection: Collection = { hasher, blobs: new Map(), documents: new Map(), tags: new Map() };
  const sources = new Map<string, ImageSource>();
  const images: CachedImage[] = [];
  for (const { text, reference } of wanted) {
    const key = `${reference.registry}/${reference.repository}`;
    const source = sources.get(key) ?? open(reference);
    sources.set(key, source);
    try {
      images.push(await collectImage(collection, source, reference, options));
    } catch (error) {
      throw withContext(`image ${text}`, error);
    }
    options.onImage?.(images.length);
  }
  return { ...collection, images };
}

async function collectImage(
  collection: Collection,
  source: ImageSource,
  reference: Reference,
  { platforms, signatures, signal }: CollectOptions,
): Promise<CachedImage> {
  const { hasher } = collection;
  const reader = sourceReader(hasher, source);
  const options = signal === undefined ? {} : { signal };
  let top: RawManifest | undefined;
  for (const platform of platforms) {
    // Asked by tag once: it may move between two platforms.
    const identifier = top?.digest ?? identifierOf(reference);
    const { documents, manifest } = await resolveImage(hasher, reader, identifier, platform, options);
    top ??= documents[0]!;
    for (const document of documents) addDocument(collection, reference, document);
    addBlobs(collection, source, manifest);
  }
  if (reference.tag !== undefined) addTag(collection, reference, reference.tag, top!);
  const image = { reference: formatReference(reference), digest: top!.digest };
  if (!signatures) return image;
  const signed = await collectSignatures(collection, source, reference, top!.digest, signal);
  return { ...image, signed };
}
