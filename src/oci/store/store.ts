/**
 * The store: images as they were served, verified while they came in, and beside each layer its index and plain form, so that an image
 * is a tree of ranges at once. The directory is an OCI image layout (image-spec image-layout.md) other programs can read.
 *
 * Processes share it without locks (`files.ts`). A file is either complete or not there, and what is missing is fetched again.
 */
import { type Bytes, ofSource } from '../../bytes/bytes.ts';
import { type Digest, parseDigest } from '../../bytes/units.ts';
import { ImagerError, withContext } from '../../errors.ts';
import type { Platform as Machine, Source } from '../../platform/types.ts';
import type { Tree } from '../../tree/tree.ts';
import { atOnce } from '../at-once.ts';
import { checkDigest, digestOf, readBlob } from '../digest-check.ts';
import type { BlobSource, Descriptor, ImageSource, Platform } from '../image-source.ts';
import { flatten, type LayerContent } from '../layer/flatten.ts';
import { type ImageLayer, layersOf } from '../layer/layer.ts';
import type { LayerIndex } from '../layer/layer-index.ts';
import { type ImageConfig, type ImageManifest, MANIFEST_LIMIT, parseImageConfig } from '../manifest.ts';
import { isDigest, type ManifestReader, type ResolvedImage, requireImage, resolveImage } from '../resolve.ts';
import { listStore, type StoreListing } from './contents.ts';
import { type DerivedKey, derivedBytes, type Produce } from './derived.ts';
import {
  blobPath,
  layerIndexPath,
  plainPath,
  replaceFile,
  type StorePaths,
  storedSource,
  storePaths,
} from './files.ts';
import { findLayer, storeLayer } from './layer.ts';
import { type PruneOptions, type PruneReport, pruneStore } from './prune.ts';
import { throwIfCanceled } from './receive.ts';
import {
  isIndexCurrent,
  markUse,
  type ReferenceKey,
  readReference,
  referencePath,
  writeIndex,
  writeReference,
} from './references.ts';
import { type VerifyOptions, type VerifyReport, verifyStore } from './verify.ts';

/** Work under way. `done` and `total` count bytes. */
export interface Progress {
  readonly task: string;
  readonly done: number;
  readonly total: number;
  readonly unit: 'bytes';
}

export interface ResolveStoredOptions {
  readonly signal?: AbortSignal;
  /** What the identifier must turn out to be; anything else is a `verification` error. */
  readonly expectedDigest?: Digest;
}

export interface PullOptions extends ResolveStoredOptions {
  readonly platform: Platform;
  /** The name the image has in the store and in its `index.json`. */
  readonly referenceName?: string;
  readonly onProgress?: (progress: Progress) => void;
  /** Layers fetched at once, default 4. */
  readonly concurrency?: number;
}

export interface PulledLayer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  /** As served. */
  readonly blob: Bytes;
  /** The plain tar. */
  readonly plain: Bytes;
}

export interface PulledImage {
  /** Of what the identifier named: an index or the manifest. */
  readonly digest: Digest;
  readonly manifestDigest: Digest;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
  /** All layers as one tree; contents are ranges of the stored layers. */
  readonly tree: Tree;
  /** Lowest first. */
  readonly layers: readonly PulledLayer[];
}

/** A directory of verified images and of what was derived from them; any number of processes may share one. */
export interface Store {
  readonly directory: string;
  /** Finds the manifest for a platform; asks the source for manifests (and for a configuration where only that tells the platform) and for nothing the store has by digest. */
  resolve(
    source: ImageSource,
    identifier: string,
    platform: Platform,
    options?: ResolveStoredOptions,
  ): Promise<ResolvedImage>;
  /**
   * The image with all its layers, fetched where the store has them not. Throws `verification` for content that is not what its digest
   * or size says, `dependency` from the source or when nothing fits the platform, `invalid-input` for broken layers, `unsupported`, `io`, `canceled`.
   */
  pull(source: ImageSource, identifier: string, options: PullOptions): Promise<PulledImage>;
  /** The image pulled under this reference name, or by this digest, from the store alone; `undefined` when it is not whole here. */
  find(nameOrDigest: string, platform: Platform): Promise<PulledImage | undefined>;
  /** What was derived from this source in this way: from the store, else made by `produce` and kept. */
  derived(key: DerivedKey, produce: Produce, options?: { readonly signal?: AbortSignal }): Promise<Bytes>;
  /** Images and disk usage. */
  list(): Promise<StoreListing>;
  /** Reads and compares everything; what is damaged is reported and removed. */
  verify(options?: VerifyOptions): Promise<VerifyReport>;
  /** Removes what was not used for long. */
  prune(options: PruneOptions): Promise<PruneReport>;
}

/** Opens the store in `directory`, which is made when it is not there. Throws `io`. */
export async function openStore(machine: Machine, directory: string): Promise<Store> {
  const paths = storePaths(directory);
  await prepare(machine, paths);
  const opened: Opened = { machine, paths, layersUnderWay: new Map(), derivedUnderWay: new Map() };
  return {
    directory,
    resolve: (source, identifier, platform, options = {}) =>
      resolveImage(machine, storeFirst(opened, source), identifier, platform, options),
    pull: (source, identifier, options) => pull(opened, source, identifier, options),
    find: (nameOrDigest, platform) => find(opened, nameOrDigest, platform),
    derived: (key, produce, options) => derivedBytes(machine, paths, opened.derivedUnderWay, key, produce, options),
    list: () => listStore(machine, paths),
    verify: (options) => verifyStore(machine, paths, options),
    prune: (options) => pruneStore(machine, paths, options),
  };
}

interface Opened {
  readonly machine: Machine;
  readonly paths: StorePaths;
  /** Layers being fetched by this process: the second to want one waits for the first. */
  readonly layersUnderWay: Map<Digest, Promise<void>>;
  readonly derivedUnderWay: Map<string, Promise<Bytes>>;
}

const LAYOUT_MARKER = '{"imageLayoutVersion":"1.0.0"}';

async function prepare(machine: Machine, paths: StorePaths): Promise<void> {
  const { files } = machine;
  const directories = [paths.blobs, paths.layers, paths.references, paths.derived, paths.signatures, paths.temporary];
  await Promise.all(directories.map((path) => files.makeDirectory(path)));
  if ((await files.info(paths.marker)) === undefined) {
    await replaceFile(files, paths, paths.marker, new TextEncoder().encode(LAYOUT_MARKER));
  }
  if (!(await isIndexCurrent(machine, paths))) await writeIndex(machine, paths);
}

/** Documents come from the store when they are asked for by digest and are there undamaged; else from the source, and stay. */
function storeFirst({ machine, paths }: Opened, source: ImageSource | undefined): ManifestReader {
  const missing = (what: string): ImagerError => new ImagerError('dependency', `${what}: not in the store`);
  const stored = (digest: Digest): Promise<Uint8Array | undefined> => readSmallBlob(machine, paths, digest);
  const keep = (digest: Digest, data: Uint8Array): Promise<void> =>
    replaceFile(machine.files, paths, blobPath(paths, digest), data);
  return {
    label: source?.label ?? paths.root,
    async manifest(identifier, signal) {
      if (isDigest(identifier)) {
        const digest = parseDigest(identifier);
        const raw = await stored(digest);
        if (raw !== undefined) return { digest, mediaType: '', raw };
      }
      if (source === undefined) throw missing(identifier);
      const fetched = await source.manifest(identifier, signal);
      const what = `${source.label} ${identifier}`;
      if (fetched.raw.length > MANIFEST_LIMIT) {
        throw new ImagerError('invalid-input', `${what}: more than ${MANIFEST_LIMIT} bytes`);
      }
      checkDigest(digestOf(machine, fetched.raw), fetched.digest, what);
      if ((await stored(fetched.digest)) === undefined) await keep(fetched.digest, fetched.raw);
      return fetched;
    },
    async config(descriptor, signal) {
      const found = await stored(descriptor.digest);
      if (found !== undefined) return found;
      if (source === undefined) throw missing(descriptor.digest);
      const data = await readBlob(machine, source, descriptor, MANIFEST_LIMIT, signal);
      await keep(descriptor.digest, data);
      return data;
    },
  };
}

/** A document of the store; `undefined` when it is not there, and when it is damaged, after removing it. */
async function readSmallBlob(machine: Machine, paths: StorePaths, digest: Digest): Promise<Uint8Array | undefined> {
  const { files } = machine;
  const path = blobPath(paths, digest);
  if ((await files.info(path)) === undefined) return undefined;
  const data = await files.read(path, MANIFEST_LIMIT);
  if (digestOf(machine, data) === digest) return data;
  await files.remove(path);
  return undefined;
}

/** Turns before a pull gives up against somebody who keeps removing what it brings in. */
const MAX_TURNS = 3;

async function pull(
  opened: Opened,
  source: ImageSource,
  identifier: string,
  options: PullOptions,
): Promise<PulledImage> {
  const { machine, paths } = opened;
  const { platform, referenceName, signal } = options;
  const reader = storeFirst(opened, source);
  const resolved = await resolveImage(machine, reader, identifier, platform, options);
  const what = `${source.label} ${identifier}`.trim();
  const config = await configOf(reader, resolved, what, signal);
  const layers = layersOf(resolved.manifest, config, what);
  for (let turn = 1; ; turn++) {
    throwIfCanceled(signal);
    const image = await openImage(opened, resolved, config, layers, what);
    if (image !== undefined) {
      await recordUse(opened, resolved, platform, referenceName);
      return image;
    }
    if (turn > MAX_TURNS) {
      throw new ImagerError('io', `${paths.root}: what was just stored is gone again`, {
        hint: 'is something else removing files there?',
      });
    }
    await fetchLayers(opened, source, layers, options);
    await recordUse(opened, resolved, platform, referenceName);
  }
}

async function configOf(
  reader: ManifestReader,
  { manifest }: ResolvedImage,
  what: string,
  signal?: AbortSignal,
): Promise<ImageConfig> {
  requireImage(manifest, what);
  const data = await reader.config(manifest.config, signal);
  return parseImageConfig(data, `${what}: config ${manifest.config.digest}`);
}

async function recordUse(
  { machine, paths }: Opened,
  { digest, manifestDigest, manifest, documents }: ResolvedImage,
  platform: Platform,
  name: string | undefined,
): Promise<void> {
  await writeReference(machine, paths, {
    ...(name === undefined ? {} : { name }),
    digest,
    platform,
    manifestDigest,
    mediaType: manifest.mediaType,
    size: documents.at(-1)!.raw.length,
  });
}

/** Several at once; the first failure stops the others, which leave what they have for the next time. */
async function fetchLayers(
  opened: Opened,
  source: BlobSource,
  layers: readonly ImageLayer[],
  options: PullOptions,
): Promise<void> {
  const { concurrency = 4, signal } = options;
  const each = new Map(layers.map((layer) => [layer.descriptor.digest, layer])).values();
  await atOnce(each, { concurrency, signal, what: source.label }, (layer, either) =>
    ensureLayer(opened, source, layer, { ...options, signal: either }).catch((error: unknown) => {
      throw withContext(source.label, error);
    }),
  );
}

async function ensureLayer(opened: Opened, source: BlobSource, layer: ImageLayer, options: PullOptions): Promise<void> {
  const { layersUnderWay } = opened;
  const { digest } = layer.descriptor;
  for (let other = layersUnderWay.get(digest); other !== undefined; other = layersUnderWay.get(digest)) {
    // However it ends: what it did not bring in we fetch ourselves.
    await other.catch(() => undefined);
  }
  throwIfCanceled(options.signal);
  const task = bringIn(opened, source, layer, options);
  layersUnderWay.set(digest, task);
  try {
    await task;
  } finally {
    layersUnderWay.delete(digest);
  }
}

async function bringIn(
  { machine, paths }: Opened,
  source: BlobSource,
  layer: ImageLayer,
  { signal, onProgress }: PullOptions,
): Promise<void> {
  const { descriptor, diffId } = layer;
  const { digest, size } = descriptor;
  if ((await findLayer(machine, paths, layer)) !== undefined) {
    // No image may have needed these for long; from now on they are young, and a prune at work leaves them.
    const kept = [blobPath(paths, digest), plainPath(paths, digest, diffId), layerIndexPath(paths, digest)];
    for (const path of kept) await markUse(machine, path);
    return;
  }
  const task = `${source.label} layer ${digest}`;
  await storeLayer(machine, paths, source, layer, {
    ...(signal === undefined ? {} : { signal }),
    onBytes: (done) => onProgress?.({ task, done, total: size, unit: 'bytes' }),
  });
}

/** The image from what the store has; `undefined` when a layer is not whole. */
async function openImage(
  { machine, paths }: Opened,
  { digest, manifestDigest, manifest }: ResolvedImage,
  config: ImageConfig,
  layers: readonly ImageLayer[],
  what: string,
): Promise<PulledImage | undefined> {
  const indexes = await Promise.all(layers.map((layer) => findLayer(machine, paths, layer)));
  if (!indexes.every((index) => index !== undefined)) return undefined;
  const opened = layers.map((layer, number) => openLayer(machine, paths, layer, indexes[number]!));
  try {
    const tree = flatten(opened.map(({ content }) => content));
    return { digest, manifestDigest, manifest, config, tree, layers: opened.map(({ layer }) => layer) };
  } catch (error) {
    throw withContext(what, error);
  }
}

function openLayer(
  { files }: Machine,
  paths: StorePaths,
  { descriptor, diffId }: ImageLayer,
  index: LayerIndex,
): { readonly layer: PulledLayer; readonly content: LayerContent } {
  const { digest, size } = descriptor;
  const source: Source = storedSource(files, plainPath(paths, digest, diffId), diffId, index.size);
  const blob = digest === diffId ? source : storedSource(files, blobPath(paths, digest), digest, size);
  return {
    layer: { descriptor, diffId, blob: ofSource(blob), plain: ofSource(source) },
    content: { label: `layer ${digest}`, entries: index.entries, source },
  };
}

/** For layers that can only be made from what is here. */
const NO_SOURCE: BlobSource = {
  label: 'store',
  blob: async ({ digest }) => Promise.reject(new ImagerError('dependency', `${digest}: not in the store`)),
};

async function find(opened: Opened, nameOrDigest: string, platform: Platform): Promise<PulledImage | undefined> {
  const { machine, paths } = opened;
  const key: ReferenceKey = isDigest(nameOrDigest)
    ? { digest: parseDigest(nameOrDigest), platform }
    : { name: nameOrDigest, platform };
  const path = referencePath(machine, paths, key);
  const reference = await readReference(machine, path);
  const digest = reference?.digest ?? key.digest;
  if (digest === undefined) return undefined;
  const reader = storeFirst(opened, undefined);
  let image: PulledImage | undefined;
  try {
    const resolved = await resolveImage(machine, reader, digest, platform);
    const config = await configOf(reader, resolved, nameOrDigest);
    const layers = layersOf(resolved.manifest, config, nameOrDigest);
    image = await openImage(opened, resolved, config, layers, nameOrDigest);
    if (image === undefined) {
      // What is made from blobs can be made again without a source.
      await fetchLayers(opened, NO_SOURCE, layers, { platform });
      image = await openImage(opened, resolved, config, layers, nameOrDigest);
    }
  } catch (error) {
    // Not here, or not for this platform.
    if (error instanceof ImagerError && error.code === 'dependency') return undefined;
    throw error;
  }
  if (image !== undefined && reference !== undefined) await markUse(machine, path);
  return image;
}
