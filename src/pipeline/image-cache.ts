/** An image cache as a tree that a node can pull from: found or fetched, and checked as far down as every byte of its blobs. */
import { ofSource } from '../bytes/bytes.ts';
import { toMemory } from '../bytes/read.ts';
import { type Digest, MIB } from '../bytes/units.ts';
import { withContext } from '../errors.ts';
import { indexTarBytes } from '../formats/tar/tar-index.ts';
import { type CacheReport, checkCache, type FileDigests } from '../imagecache/check.ts';
import {
  decodeFileDigests,
  digestFiles,
  digestOfCache,
  encodeFileDigests,
  sizeOfFiles,
} from '../imagecache/digests.ts';
import { isCacheDirectory, readCacheDirectory } from '../imagecache/directory.ts';
import { flatten } from '../oci/layer/flatten.ts';
import { openInPlace } from '../oci/local/in-place.ts';
import type { Tree } from '../tree/tree.ts';
import { type ImageCacheSource, imageOfCache, nameOfImageCache, notACache } from './image-cache-source.ts';
import { type ImageAssetSource, pullImagerImage, resolveImagerImage } from './imager-image.ts';
import { checkPinned } from './input-digest.ts';
import { openWorkplaceStore, type Workplace } from './workplace.ts';

export interface ImageCache extends CacheReport {
  readonly tree: Tree;
  /** Of all files, bytes. */
  readonly size: number;
  /** Of the image's manifest for the architecture; of a directory or tarball that is the cache itself, of its content. */
  readonly digest: Digest;
}

/** One that has to be fetched before more is known about it. */
export type UnfetchedCache = Pick<ImageCache, 'digest'>;

interface Located {
  readonly tree: Tree;
  /** Absent where the content is all there is to name it by. */
  readonly manifestDigest?: Digest;
  /** What may be kept of it is kept under this. */
  readonly isStored: boolean;
}

/**
 * The cache, fetched where it is not here. Throws `dependency` when there is none at a path, `invalid-input` for what is no cache, lacks a blob or
 * has nothing for the architecture, `verification` for damage and for another cache than the pinned one; what pulling throws.
 */
export async function acquireImageCache(
  workplace: Workplace,
  source: ImageCacheSource,
  architecture: string,
  pinned: Digest | undefined,
): Promise<ImageCache> {
  const local = await openLocal(workplace, source, architecture);
  if (local.kind === 'tree') return checked(workplace, source, architecture, local.located, pinned);
  const { tree, digest } = await pullImagerImage(around(workplace, source), local.image, architecture, pinned);
  return checked(workplace, source, architecture, { tree, manifestDigest: digest, isStored: true }, pinned);
}

/** As `acquireImageCache`, but no layer is fetched: of a cache that is not here only the digest is found. */
export async function findImageCache(
  workplace: Workplace,
  source: ImageCacheSource,
  architecture: string,
): Promise<ImageCache | UnfetchedCache> {
  const local = await openLocal(workplace, source, architecture);
  if (local.kind === 'tree') return checked(workplace, source, architecture, local.located, undefined);
  const digest = await resolveImagerImage(around(workplace, source), local.image, architecture);
  const found = await (await openWorkplaceStore(workplace)).find(digest, { os: 'linux', architecture });
  if (found === undefined) return { digest };
  const located = { tree: found.tree, manifestDigest: digest, isStored: true };
  return checked(workplace, source, architecture, located, undefined);
}

/** A profile may say of its cache alone that the registry is not to be trusted with TLS. */
function around(workplace: Workplace, source: ImageCacheSource): Workplace {
  const insecure = workplace.transport.insecure === true || (source.kind === 'registry' && source.insecure);
  return { ...workplace, transport: { ...workplace.transport, insecure } };
}

type Local =
  | { readonly kind: 'tree'; readonly located: Located }
  /** Only the store can open it. */
  | { readonly kind: 'image'; readonly image: ImageAssetSource };

async function openLocal(workplace: Workplace, source: ImageCacheSource, architecture: string): Promise<Local> {
  const { platform } = workplace;
  const { files } = platform;
  if (source.kind === 'registry') return { kind: 'image', image: imageOfCache(source) };
  const path = source.kind === 'tarball' ? source.file : source.directory;
  const found = (await files.info(path))?.kind;
  if (found !== (source.kind === 'tarball' ? 'file' : 'directory')) throw notACache(source, found && `a ${found}`);
  if (source.kind === 'tarball') return plainTree(await treeOfTarball(workplace, path));
  if ((await files.info(`${path}/oci-layout`)) === undefined) {
    if (!(await isCacheDirectory(files, path))) throw notACache(source, 'a directory with something else in it');
    return plainTree(await readCacheDirectory(files, path));
  }
  const inPlace = await openInPlace(platform, path, { os: 'linux', architecture });
  if (inPlace === undefined) return { kind: 'image', image: { kind: 'layout', directory: path } };
  return { kind: 'tree', located: { ...inPlace, isStored: false } };
}

function plainTree(tree: Tree): Local {
  return { kind: 'tree', located: { tree, isStored: false } };
}

async function treeOfTarball({ platform }: Workplace, path: string): Promise<Tree> {
  const source = await platform.files.source(path);
  try {
    return flatten([{ label: 'tarball', entries: await indexTarBytes(ofSource(source)), source }]);
  } catch (error) {
    throw withContext(path, error);
  }
}

async function checked(
  workplace: Workplace,
  source: ImageCacheSource,
  architecture: string,
  located: Located,
  pinned: Digest | undefined,
): Promise<ImageCache> {
  const { platform } = workplace;
  const what = nameOfImageCache(source);
  const digests = await digestsOf(workplace, located, what);
  const digest = located.manifestDigest ?? digestOfCache(platform, located.tree, digests);
  checkPinned(what, digest, pinned);
  const options = { what, digests, platform: { os: 'linux', architecture } };
  const report = await checkCache(platform, located.tree, options);
  return { tree: located.tree, size: sizeOfFiles(located.tree), digest, ...report };
}

/** Of a cache in the store the digests are kept: nothing there ever changes, and reading 20 GiB takes its time. */
async function digestsOf(
  workplace: Workplace,
  { tree, manifestDigest, isStored }: Located,
  what: string,
): Promise<FileDigests> {
  const { platform, signal, onProgress } = workplace;
  const digest = (): Promise<FileDigests> =>
    digestFiles(platform, tree, {
      ...(signal === undefined ? {} : { signal }),
      onBytes: (done, total) => onProgress?.({ task: `checking ${what}`, done, total, unit: 'bytes' }),
    });
  if (!isStored || manifestDigest === undefined) return digest();
  const store = await openWorkplaceStore(workplace);
  const key = { source: manifestDigest, kind: 'image cache digests 1', parameters: {} };
  const kept = await store.derived(key, async (writer) => writer.write(encodeFileDigests(await digest())));
  return decodeFileDigests(await toMemory(kept, DIGESTS_LIMIT, `${what}: digests`));
}

/** Some 200 bytes a file. */
const DIGESTS_LIMIT = 64 * MIB;
