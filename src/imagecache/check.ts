/**
 * Whether a tree is an image cache that a node can pull from: what Talos' registry service would only find out on the node, request by request.
 * Source: spec profiles-and-inputs 10.2; upstream internal/app/machined/pkg/system/services/registry.
 */
import type { Bytes } from '../bytes/bytes.ts';
import { toMemory } from '../bytes/read.ts';
import type { Digest } from '../bytes/units.ts';
import { ImagerError, invalid, withContext } from '../errors.ts';
import { checkDigest, type Hasher } from '../oci/digest-check.ts';
import type { Platform, RawManifest } from '../oci/image-source.ts';
import { type ImageIndex, type ImageManifest, MANIFEST_LIMIT, parseManifest } from '../oci/manifest.ts';
import { platformText } from '../oci/platform-choice.ts';
import { resolveImage } from '../oci/resolve.ts';
import { nameOf, parentOf, type Tree } from '../tree/tree.ts';
import {
  BLOB_DIRECTORY,
  blobPath,
  DIGEST_DIRECTORY,
  digestOfName,
  isSignatureTag,
  MANIFEST_DIRECTORY,
  TAG_DIRECTORY,
} from './names.ts';

/** The digest of every file, by path. */
export type FileDigests = ReadonlyMap<string, Digest>;

export interface CheckOptions {
  /** What messages call it: `image cache oci:DIR`. */
  readonly what: string;
  readonly digests: FileDigests;
  /** What the node is that will pull from it. */
  readonly platform: Platform;
}

export interface CacheReport {
  /** Images that are there for the platform. */
  readonly images: number;
  /** One sentence each. */
  readonly warnings: readonly string[];
}

/**
 * Throws `invalid-input` for what is no cache, lacks a blob or has nothing for the platform, `verification` for content that is not what its name
 * says. What no node ever asks for, or could not read, is a warning.
 */
export async function checkCache(hasher: Hasher, tree: Tree, options: CheckOptions): Promise<CacheReport> {
  const { what } = options;
  checkShape(tree, what);
  const warnings: string[] = [];
  checkBlobs(tree, options, warnings);
  const repositories = repositoriesOf(tree, options, warnings);
  let images = 0;
  const others: string[] = [];
  for (const repository of repositories) {
    await parseDocuments(tree, repository, warnings);
    for (const [digest, document] of repository.parsed) {
      if (document.kind === 'manifest') checkContent(tree, document, `${what}: ${repository.path} ${digest}`);
    }
    for (const { digest, name } of rootsOf(repository)) {
      const found = await findImage(hasher, tree, repository, digest, options);
      if (found === 'image') images++;
      else if (found !== 'artifact') others.push(`${name}: ${found}`);
    }
  }
  if (images === 0 && others.length > 0) {
    throw invalid(`${what}: nothing in it is for ${platformText(options.platform)}; ${others[0]}`, {
      hint: 'imager cache create --arch amd64,arm64 makes one for both',
    });
  }
  return { images, warnings: [...warnings, ...others] };
}

/** On a node it is copied file by file, and that stops at anything else. */
function checkShape(tree: Tree, what: string): void {
  for (const name of [BLOB_DIRECTORY, MANIFEST_DIRECTORY]) {
    if (tree.byPath.get(name)?.kind === 'directory') continue;
    throw invalid(`${what}: no image cache, it has no directory ${name}`, {
      hint: 'want what imager cache create or talosctl image cache-create makes',
    });
  }
  for (const { kind, path } of tree.entries) {
    if (kind === 'file' || kind === 'directory') continue;
    throw invalid(`${what}: ${path} is a ${kind}, want files and directories alone`);
  }
}

function checkBlobs(tree: Tree, { what, digests }: CheckOptions, warnings: string[]): void {
  for (const { path } of filesIn(tree, BLOB_DIRECTORY)) {
    const named = digestOfName(nameOf(path));
    if (named === undefined) warnings.push(`${path} is named for no digest: no node asks for it`);
    else checkDigest(digests.get(path)!, named, `${what}: ${path}`);
  }
}

interface Repository {
  /** `manifests/<registry>/<repository>`. */
  readonly path: string;
  readonly documents: Map<Digest, string>;
  readonly tags: Map<string, Digest>;
  /** Of `documents` those that are manifests or indexes. */
  readonly parsed: Map<Digest, ImageIndex | ImageManifest>;
}

function repositoriesOf(tree: Tree, { what, digests }: CheckOptions, warnings: string[]): Repository[] {
  const repositories = new Map<string, Repository>();
  for (const { path } of filesIn(tree, MANIFEST_DIRECTORY)) {
    const directory = parentOf(path);
    const kind = nameOf(directory);
    const place = parentOf(directory);
    const named = digestOfName(nameOf(path));
    if (kind !== TAG_DIRECTORY && (kind !== DIGEST_DIRECTORY || named === undefined)) {
      warnings.push(`${path} is neither a tag nor a document by digest: no node asks for it`);
      continue;
    }
    const repository = repositories.get(place) ?? {
      path: place,
      documents: new Map(),
      tags: new Map(),
      parsed: new Map(),
    };
    repositories.set(place, repository);
    const digest = digests.get(path)!;
    if (kind === TAG_DIRECTORY) {
      repository.tags.set(nameOf(path), digest);
      continue;
    }
    checkDigest(digest, named!, `${what}: ${path}`);
    repository.documents.set(digest, path);
  }
  for (const { path, documents, tags } of repositories.values()) checkTags(`${what}: ${path}`, documents, tags);
  return [...repositories.values()];
}

/** A node hashes what a tag stands for and then serves the document of that digest. */
function checkTags(what: string, documents: ReadonlyMap<Digest, string>, tags: ReadonlyMap<string, Digest>): void {
  for (const [tag, digest] of tags) {
    if (documents.has(digest)) continue;
    throw invalid(`${what}/${TAG_DIRECTORY}/${tag}: its content, ${digest}, is not in ${DIGEST_DIRECTORY}`, {
      hint: 'the cache is damaged or was not finished: create it again',
    });
  }
}

async function parseDocuments(tree: Tree, { documents, parsed }: Repository, warnings: string[]): Promise<void> {
  for (const [digest, path] of documents) {
    try {
      parsed.set(digest, parseManifest(await documentAt(tree, path, digest), path));
    } catch (error) {
      if (!(error instanceof ImagerError) || (error.code !== 'invalid-input' && error.code !== 'unsupported'))
        throw error;
      warnings.push(`${error.message}: no node can pull it`);
    }
  }
}

async function documentAt(tree: Tree, path: string, digest: Digest): Promise<RawManifest> {
  const raw = await toMemory(contentAt(tree, path)!, MANIFEST_LIMIT, path);
  return { digest, mediaType: '', raw };
}

/** Everything a manifest names has to be there, in full. */
function checkContent(tree: Tree, { config, layers }: ImageManifest, what: string): void {
  const parts = [
    { name: 'config', ...config },
    ...layers.map((layer, index) => ({ name: `layer ${index + 1} of ${layers.length}`, ...layer })),
  ];
  for (const { name, digest, size } of parts) {
    const content = contentAt(tree, blobPath(digest));
    if (content === undefined) {
      throw invalid(`${what}: blob ${digest}, its ${name}, is missing`, { hint: 'create the cache again' });
    }
    if (content.size !== size) {
      throw new ImagerError(
        'verification',
        `${what}: blob ${digest}, its ${name}, has ${content.size} bytes, want ${size}`,
      );
    }
  }
}

interface Root {
  readonly digest: Digest;
  /** As a user knows it. */
  readonly name: string;
}

/** What somebody may ask for by name: what has a tag, and what no other document leads to. */
function rootsOf({ path, tags, parsed }: Repository): Root[] {
  const name = path.slice(MANIFEST_DIRECTORY.length + 1);
  const inner = new Set(
    [...parsed.values()].flatMap((one) => (one.kind === 'index' ? one.manifests.map(({ digest }) => digest) : [])),
  );
  for (const digest of tags.values()) inner.add(digest);
  const tagged = [...tags].filter(([tag, digest]) => !isSignatureTag(tag) && parsed.has(digest));
  return [
    ...tagged.map(([tag, digest]) => ({ digest, name: `${name}:${tag}` })),
    ...[...parsed.keys()]
      .filter((digest) => !inner.has(digest))
      .map((digest) => ({ digest, name: `${name}@${digest}` })),
  ];
}

/** `image` when a node of the platform finds it whole here, else why not. */
async function findImage(
  hasher: Hasher,
  tree: Tree,
  { path, documents }: Repository,
  digest: Digest,
  { what, platform }: CheckOptions,
): Promise<'image' | 'artifact' | string> {
  const missing = (one: string): ImagerError =>
    new ImagerError('dependency', `its manifest ${one} for ${platformText(platform)} is not in the cache`);
  const reader = {
    label: path,
    async manifest(identifier: string): Promise<RawManifest> {
      const at = documents.get(identifier as Digest);
      if (at === undefined) throw missing(identifier);
      return documentAt(tree, at, identifier as Digest);
    },
    config: async ({ digest: config }: { readonly digest: Digest }): Promise<Uint8Array> =>
      toMemory(contentAt(tree, blobPath(config))!, MANIFEST_LIMIT, config),
  };
  try {
    await resolveImage(hasher, reader, digest, platform);
    return 'image';
  } catch (error) {
    if (!(error instanceof ImagerError)) throw error;
    if (error.code === 'unsupported') return 'artifact';
    if (error.code === 'dependency') return error.message;
    throw withContext(what, error);
  }
}

function filesIn(tree: Tree, directory: string): { readonly path: string }[] {
  return tree.entries.filter(({ kind, path }) => kind === 'file' && path.startsWith(`${directory}/`));
}

function contentAt(tree: Tree, path: string): Bytes | undefined {
  const entry = tree.byPath.get(path);
  return entry?.kind === 'file' ? entry.content : undefined;
}
