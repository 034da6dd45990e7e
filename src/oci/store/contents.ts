/** What belongs to the images of a store: which documents, blobs and layers, and how large all is. */
import type { Digest } from '../../bytes/units.ts';
import type { Platform as Machine } from '../../platform/types.ts';
import { digestOf } from '../digest-check.ts';
import type { Platform } from '../image-source.ts';
import { type ImageLayer, layersOf } from '../layer/layer.ts';
import { MANIFEST_LIMIT, parseImageConfig, parseManifest } from '../manifest.ts';
import { INDEX_TYPES } from '../media-types.ts';
import { blobPath, type StorePaths } from './files.ts';
import { listReferences, type Reference } from './references.ts';

export interface ImageContents {
  /** With the size each must have; indexes, manifest, config, layers. */
  readonly blobs: ReadonlyMap<Digest, number>;
  readonly layers: readonly ImageLayer[];
}

/** As deep as indexes may nest when they are resolved. */
const MAX_DEPTH = 6;

/** All that the image is made of; `undefined` when one of its documents is missing or damaged. */
export async function imageContents(
  machine: Machine,
  paths: StorePaths,
  reference: Reference,
): Promise<ImageContents | undefined> {
  const blobs = new Map<Digest, number>();
  try {
    if (!(await addIndexes(machine, paths, reference.digest, reference.manifestDigest, blobs, 1))) return undefined;
    const raw = await document(machine, paths, reference.manifestDigest);
    if (raw === undefined) return undefined;
    const manifest = parseManifest({ raw, mediaType: '', digest: reference.manifestDigest }, 'manifest');
    if (manifest.kind === 'index') return undefined;
    blobs.set(reference.manifestDigest, raw.length);
    for (const { digest, size } of [manifest.config, ...manifest.layers]) blobs.set(digest, size);
    const config = await document(machine, paths, manifest.config.digest);
    if (config === undefined) return undefined;
    const layers = layersOf(manifest, parseImageConfig(config, 'config'), 'image');
    return { blobs, layers };
  } catch {
    return undefined;
  }
}

/** The indexes from `digest` down, as far as they are here. False when `digest` itself is not. */
async function addIndexes(
  machine: Machine,
  paths: StorePaths,
  digest: Digest,
  manifestDigest: Digest,
  into: Map<Digest, number>,
  depth: number,
): Promise<boolean> {
  if (digest === manifestDigest || into.has(digest) || depth > MAX_DEPTH) return true;
  const raw = await document(machine, paths, digest);
  if (raw === undefined) return false;
  into.set(digest, raw.length);
  const index = parseManifest({ raw, mediaType: '', digest }, 'index');
  if (index.kind !== 'index') return true;
  for (const child of index.manifests) {
    // Indexes for other platforms need not be here.
    if (INDEX_TYPES.includes(child.mediaType)) {
      await addIndexes(machine, paths, child.digest, manifestDigest, into, depth + 1);
    }
  }
  return true;
}

async function document(machine: Machine, paths: StorePaths, digest: Digest): Promise<Uint8Array | undefined> {
  const path = blobPath(paths, digest);
  if ((await machine.files.info(path)) === undefined) return undefined;
  const raw = await machine.files.read(path, MANIFEST_LIMIT);
  return digestOf(machine, raw) === digest ? raw : undefined;
}

export interface StoredImage {
  readonly name?: string;
  readonly digest: Digest;
  readonly manifestDigest: Digest;
  readonly platform: Platform;
  /** Of all its blobs, bytes; several images may share some. 0 when it is not whole. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly lastUsed: number;
}

export interface StoreListing {
  readonly images: readonly StoredImage[];
  /** Bytes on disk, by kind. */
  readonly usage: {
    readonly blobs: number;
    /** Plain layers and their indexes. */
    readonly layers: number;
    readonly derived: number;
    /** What images were verified by. */
    readonly signatures: number;
    /** Downloads under way or broken off. */
    readonly temporary: number;
  };
}

/** What the store holds. Throws `io`. */
export async function listStore(machine: Machine, paths: StorePaths): Promise<StoreListing> {
  const images: StoredImage[] = [];
  for (const { path, reference } of await listReferences(machine, paths)) {
    const info = await machine.files.info(path);
    if (reference === undefined || info === undefined) continue;
    const { name, digest, manifestDigest, platform } = reference;
    const contents = await imageContents(machine, paths, reference);
    const size = [...(contents?.blobs.values() ?? [])].reduce((sum, one) => sum + one, 0);
    const named = name === undefined ? {} : { name };
    images.push({ ...named, digest, manifestDigest, platform, size, lastUsed: info.mtime });
  }
  const below = (path: string): Promise<number> => bytesBelow(machine, path);
  const usage = {
    blobs: await below(paths.blobs),
    layers: await below(paths.layers),
    derived: await below(paths.derived),
    signatures: await below(paths.signatures),
    temporary: await below(paths.temporary),
  };
  return { images, usage };
}

async function bytesBelow({ files }: Machine, directory: string): Promise<number> {
  let sum = 0;
  for (const name of await files.list(directory)) sum += (await files.info(`${directory}/${name}`))?.allocated ?? 0;
  return sum;
}
