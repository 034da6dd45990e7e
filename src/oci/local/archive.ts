/**
 * Archives as sources of images: an OCI layout in a tar, and what `docker save` writes (manifest.json, config and layer files; Moby
 * image-spec v1.2). Plain or compressed; nothing is unpacked to disk.
 */
import { type Bytes, ofSource, slice } from '../../bytes/bytes.ts';
import { toHex } from '../../bytes/field.ts';
import { chunks, digest as digestBytes, read, toMemory } from '../../bytes/read.ts';
import { type Digest, MIB, parseDigest } from '../../bytes/units.ts';
import { ImagerError, invalid, withContext } from '../../errors.ts';
import { indexTarBytes, tarIndexer } from '../../formats/tar/tar-index.ts';
import { isZstd } from '../../formats/zstd/frame-walker.ts';
import type { Platform as Machine, Source } from '../../platform/types.ts';
import { fileAt, type Tree } from '../../tree/tree.ts';
import { digestOf } from '../digest-check.ts';
import type { Descriptor, ImageSource, RawManifest } from '../image-source.ts';
import { flatten } from '../layer/flatten.ts';
import { MANIFEST_LIMIT, parseImageConfig } from '../manifest.ts';
import { DOCKER_CONFIG, DOCKER_INDEX, DOCKER_LAYER, DOCKER_MANIFEST } from '../media-types.ts';
import { isDigest } from '../resolve.ts';
import { layoutSource } from './layout.ts';
import { unpackedChunks, unpackedSource } from './unpacked-source.ts';

export type ArchiveKind = 'oci-archive' | 'docker-archive';

/** Of `manifest.json`, bytes; and images in one archive. */
const SAVED_LIMIT: number = 16 * MIB;
const MAX_IMAGES = 4096;

/** The images in an archive file. Throws `invalid-input` for something else, `io`. */
export async function openArchive(machine: Machine, kind: ArchiveKind, file: string): Promise<ImageSource> {
  const label = `${kind}:${file}`;
  try {
    const tree = await archiveTree(machine, await machine.files.source(file));
    const open = async (path: string): Promise<Bytes | undefined> => fileAt(tree, path);
    return kind === 'oci-archive' ? await layoutSource(machine, label, open) : await savedImages(machine, label, tree);
  } catch (error) {
    throw error instanceof ImagerError && error.message.startsWith(label) ? error : withContext(label, error);
  }
}

/** What is in a tar file, compressed or not, as a tree. */
async function archiveTree({ compression }: Machine, file: Source): Promise<Tree> {
  const bytes = ofSource(file);
  if (compressionOf(await read(bytes, 0, Math.min(4, bytes.size))) === '') {
    return flatten([{ label: 'archive', entries: await indexTarBytes(bytes), source: file }]);
  }
  const indexer = tarIndexer();
  let size = 0;
  for await (const chunk of unpackedChunks(compression, file)) {
    indexer.push(chunk);
    size += chunk.length;
  }
  const source = unpackedSource(compression, file, size);
  return flatten([{ label: 'archive', entries: indexer.finish(), source }]);
}

/** The end of the media type for content that starts so. */
function compressionOf(start: Uint8Array): '' | '.gzip' | '.zstd' {
  if (start[0] === 0x1f && start[1] === 0x8b) return '.gzip';
  return isZstd(start) ? '.zstd' : '';
}

/** One image as `docker save` describes it, by paths in the archive. */
interface SavedImage {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

/** An image in the words of a registry, its blobs found in the archive. */
interface Described {
  readonly manifest: RawManifest;
  readonly blobs: ReadonlyMap<Digest, Bytes>;
}

async function savedImages(machine: Machine, label: string, tree: Tree): Promise<ImageSource> {
  const images = await savedList(tree, label);
  const described = new Map<SavedImage, Described>();
  const describe = async (image: SavedImage): Promise<Described> => {
    const known = described.get(image) ?? (await describeImage(machine, label, tree, image));
    described.set(image, known);
    return known;
  };
  const findManifest: ImageSource['findManifest'] = async (identifier) => {
    if (isDigest(identifier)) {
      return [...described.values()].find(({ manifest }) => manifest.digest === identifier)?.manifest;
    }
    const found: Described[] = [];
    for (const image of imagesNamed(images, identifier)) found.push(await describe(image));
    return found.length > 1 ? indexOf(machine, found) : found[0]?.manifest;
  };
  return {
    label,
    async manifest(identifier) {
      return (await findManifest(identifier)) ?? notThere(label, images, identifier);
    },
    findManifest,
    // docker save keeps images alone.
    referrers: async () => [],
    async blob({ digest }, from, signal) {
      const bytes = [...described.values()].map(({ blobs }) => blobs.get(digest)).find((one) => one !== undefined);
      if (bytes === undefined) throw new ImagerError('dependency', `${label}: blob ${digest} is not there`);
      const rest = slice(bytes, Math.min(from, bytes.size));
      return { from, chunks: chunks(rest, signal === undefined ? {} : { signal }) };
    },
  };
}

function notThere(label: string, images: readonly SavedImage[], identifier: string): never {
  if (isDigest(identifier)) {
    throw new ImagerError('dependency', `${label}: no manifest ${identifier}`, {
      hint: 'archives of docker save have no manifest digests: ask by name',
    });
  }
  const has = images.flatMap(({ tags }) => tags).join(', ') || `${images.length} images without names`;
  throw new ImagerError(
    'dependency',
    `${label}: no image ${identifier === '' ? 'at all' : `named "${identifier}", it has ${has}`}`,
  );
}

async function savedList(tree: Tree, label: string): Promise<SavedImage[]> {
  const bytes = fileAt(tree, 'manifest.json');
  if (bytes === undefined) {
    throw invalid(`${label}: no archive of docker save, it has no manifest.json`, {
      hint: 'an OCI layout in a tar is oci-archive:FILE',
    });
  }
  let list: unknown;
  const raw = await toMemory(bytes, SAVED_LIMIT, `${label}: manifest.json`);
  try {
    list = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(raw));
  } catch (cause) {
    throw invalid(`${label}: manifest.json: not JSON in UTF-8`, { cause });
  }
  if (!Array.isArray(list) || list.length > MAX_IMAGES) {
    throw invalid(`${label}: manifest.json: want a list of at most ${MAX_IMAGES} images`);
  }
  return list.map((one, index) => savedImage(one, `${label}: manifest.json[${index}]`));
}

function savedImage(value: unknown, what: string): SavedImage {
  const { Config, RepoTags, Layers } = (value ?? {}) as Record<string, unknown>;
  if (typeof Config !== 'string') throw invalid(`${what}: Config: want a path`);
  return { config: Config, tags: texts(RepoTags ?? [], `${what}: RepoTags`), layers: texts(Layers, `${what}: Layers`) };
}

function texts(value: unknown, what: string): string[] {
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) throw invalid(`${what}: want texts`);
  return value;
}

function imagesNamed(images: readonly SavedImage[], name: string): readonly SavedImage[] {
  return name === '' ? images : images.filter(({ tags }) => tags.includes(name));
}

/**
 * A manifest for a saved image, which has none of its own. A plain layer has the digest that the config gives it; that of a compressed one is
 * computed, a pass over the file. Paths that name a digest are not believed.
 */
async function describeImage(machine: Machine, label: string, tree: Tree, image: SavedImage): Promise<Described> {
  const configBytes = fileIn(tree, image.config, label);
  const config = await toMemory(configBytes, MANIFEST_LIMIT, `${label}: ${image.config}`);
  const { diffIds } = parseImageConfig(config, `${label}: ${image.config}`);
  if (diffIds.length !== image.layers.length) {
    throw invalid(`${label}: ${image.layers.length} layers, ${image.config} lists ${diffIds.length}`);
  }
  const blobs = new Map<Digest, Bytes>();
  const layers: Descriptor[] = [];
  for (const [index, path] of image.layers.entries()) {
    const bytes = fileIn(tree, path, label);
    const suffix = compressionOf(await read(bytes, 0, Math.min(4, bytes.size)));
    const digest = suffix === '' ? diffIds[index]! : await computed(machine, bytes);
    blobs.set(digest, bytes);
    layers.push({ mediaType: `${DOCKER_LAYER}${suffix}`, digest, size: bytes.size });
  }
  const configDigest = digestOf(machine, config);
  blobs.set(configDigest, configBytes);
  const document = {
    schemaVersion: 2 as const,
    mediaType: DOCKER_MANIFEST,
    config: { mediaType: DOCKER_CONFIG, digest: configDigest, size: config.length },
    layers,
  };
  return { manifest: rawOf(machine, document), blobs };
}

function fileIn(tree: Tree, path: string, label: string): Bytes {
  const bytes = fileAt(tree, path);
  if (bytes === undefined) throw invalid(`${label}: ${path} is named in manifest.json but not there`);
  return bytes;
}

async function computed(machine: Machine, bytes: Bytes): Promise<Digest> {
  return parseDigest(`sha256:${toHex(await digestBytes(bytes, machine.hash('sha256')))}`);
}

/** Several saved images, for the platform to choose from: their configs tell. */
function indexOf(machine: Machine, images: readonly Described[]): RawManifest {
  const manifests = images.map(({ manifest: { mediaType, digest, raw } }) => ({ mediaType, digest, size: raw.length }));
  return rawOf(machine, { schemaVersion: 2, mediaType: DOCKER_INDEX, manifests });
}

function rawOf(
  machine: Machine,
  document: { readonly mediaType: string; readonly schemaVersion: 2; readonly [member: string]: unknown },
): RawManifest {
  const raw = new TextEncoder().encode(JSON.stringify(document));
  return { digest: digestOf(machine, raw), mediaType: document.mediaType, raw };
}
