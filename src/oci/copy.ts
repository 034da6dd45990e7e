/**
 * Copying an image as it is, with everything that refers to it: signatures, attestations and bills of materials, under their tags and as
 * referrers, and what refers to those. Manifests keep their bytes, so digests and signatures hold. Sources: OCI distribution-spec v1.1 "Listing
 * Referrers", "Referrers Tag Schema"; cosign SIGNATURE_SPEC.md for the tags.
 */
import { type Digest, MIB } from '../bytes/units.ts';
import { invalid, stopIfAborted } from '../errors.ts';
import { atOnce } from './at-once.ts';
import { checkDigest, digestOf, type Hasher, sizeError } from './digest-check.ts';
import type { BlobSource, Descriptor, ImageSource, RawManifest } from './image-source.ts';
import { MANIFEST_LIMIT, parseManifest } from './manifest.ts';
import { INDEX_TYPES, layerKind, MANIFEST_TYPES, OCI_INDEX } from './media-types.ts';
import { mergeAttached } from './merge-attached.ts';
import { identifierOf, type Reference } from './reference.ts';
import { MAX_REFERRERS, referrersTag } from './referrers.ts';

/** Behind the tag made of a digest: the referrers, then what cosign attaches to an image. */
export const ATTACHED_SUFFIXES: readonly string[] = ['', '.sig', '.att', '.sbom'];

/** Manifests of one image, its platforms and all that refers to them; real ones have some dozen. */
const MAX_DOCUMENTS = 4096;
/** Of all of them, bytes. */
const MAX_DOCUMENT_BYTES: number = 64 * MIB;
/** Indexes in indexes, as where images are pulled. */
const MAX_DEPTH = 5;

export interface CollectedImage {
  /** Of what the reference names: an index or a manifest. */
  readonly digest: Digest;
  /** Every manifest and index, by digest: each after those it lists, referrers after what they are about. */
  readonly documents: ReadonlyMap<Digest, RawManifest>;
  /** Configurations and layers, each once. Layers that may not be pushed to other registries are left out. */
  readonly blobs: ReadonlyMap<Digest, Pick<Descriptor, 'digest' | 'size'>>;
  /** Tags of what is attached, then that of the image if it was named by one: who sees it finds its signatures. */
  readonly tags: ReadonlyMap<string, RawManifest>;
  /** What the source itself lists, by subject. */
  readonly referrers: ReadonlyMap<Digest, readonly Descriptor[]>;
}

interface Walk {
  readonly hasher: Hasher;
  readonly source: ImageSource;
  readonly signal: AbortSignal | undefined;
  readonly documents: Map<Digest, RawManifest>;
  readonly blobs: Map<Digest, Pick<Descriptor, 'digest' | 'size'>>;
  bytes: number;
}

/**
 * Every document of the image `reference` names in `source`, fetched and checked; no layer is. Throws `dependency` for what the source lacks or refuses,
 * `verification` for what is not what it is called, `invalid-input` for broken documents and for more of them than an image has.
 */
export async function collectImage(
  hasher: Hasher,
  source: ImageSource,
  reference: Reference,
  signal?: AbortSignal,
): Promise<CollectedImage> {
  const walk: Walk = { hasher, source, signal, documents: new Map(), blobs: new Map(), bytes: 0 };
  const top = await source.manifest(identifierOf(reference), signal);
  await addDocument(walk, top, reference.digest ?? top.digest);
  const tags = new Map<string, RawManifest>();
  const referrers = new Map<Digest, readonly Descriptor[]>();
  // The map grows meanwhile: what refers to a signature is looked for too.
  for (const digest of walk.documents.keys()) {
    for (const [tag, raw] of await attachedTo(walk, digest)) {
      await addDocument(walk, raw, raw.digest);
      tags.set(tag, walk.documents.get(raw.digest)!);
    }
    const listed = await source.referrers(digest, signal === undefined ? {} : { signal });
    if (listed.length > MAX_REFERRERS) {
      throw invalid(`${source.label}: ${digest} has ${listed.length} referrers, want at most ${MAX_REFERRERS}`);
    }
    if (listed.length > 0) referrers.set(digest, listed);
    for (const each of listed) await addChild(walk, each, 0);
  }
  if (reference.tag !== undefined) tags.set(reference.tag, walk.documents.get(top.digest)!);
  return { digest: top.digest, documents: walk.documents, blobs: walk.blobs, tags, referrers };
}

async function attachedTo({ source, signal }: Walk, digest: Digest): Promise<[string, RawManifest][]> {
  const tags = ATTACHED_SUFFIXES.map((suffix) => `${referrersTag(digest)}${suffix}`);
  const found = await Promise.all(tags.map(async (tag) => [tag, await source.findManifest(tag, signal)] as const));
  return found.flatMap(([tag, raw]) => (raw === undefined ? [] : [[tag, raw]]));
}

async function addDocument(walk: Walk, raw: RawManifest, want: Digest, depth = 0): Promise<void> {
  if (walk.documents.has(want)) return;
  const { label } = walk.source;
  const what = `${label} ${want}`;
  checkDigest(digestOf(walk.hasher, raw.raw), want, what);
  if (depth > MAX_DEPTH) throw invalid(`${what}: indexes nested more than ${MAX_DEPTH} deep`);
  walk.bytes += raw.raw.length;
  if (walk.documents.size >= MAX_DOCUMENTS || walk.bytes > MAX_DOCUMENT_BYTES) {
    throw invalid(
      `${label}: more than ${MAX_DOCUMENTS} manifests or ${MAX_DOCUMENT_BYTES} bytes of them for one image`,
    );
  }
  const document = parseManifest(raw, what);
  if (document.kind === 'index') {
    for (const child of document.manifests) await addChild(walk, child, depth + 1);
  } else {
    for (const blob of [document.config, ...document.layers]) addBlob(walk, blob);
  }
  walk.documents.set(want, { digest: want, mediaType: document.mediaType, raw: raw.raw });
}

async function addChild(walk: Walk, child: Descriptor, depth: number): Promise<void> {
  const { mediaType, digest, size } = child;
  if (walk.documents.has(digest)) return;
  if (![...MANIFEST_TYPES, ...INDEX_TYPES].includes(mediaType)) return addBlob(walk, child);
  const what = `${walk.source.label} ${digest}`;
  if (size > MANIFEST_LIMIT) throw invalid(`${what}: ${size} bytes, want at most ${MANIFEST_LIMIT}`);
  const raw = await walk.source.manifest(digest, walk.signal);
  if (raw.raw.length !== size) throw sizeError(what, raw.raw.length, size);
  await addDocument(walk, { ...raw, mediaType: raw.mediaType || mediaType }, digest, depth);
}

function addBlob({ blobs, source }: Walk, { mediaType, digest, size }: Descriptor): void {
  if (layerKind(mediaType) === 'foreign') return;
  const known = blobs.get(digest)?.size ?? size;
  if (known !== size) throw invalid(`${source.label}: blob ${digest} has ${size} bytes here, elsewhere ${known}`);
  blobs.set(digest, { digest, size });
}

/**
 * For a place that keeps no account of referrers itself: the indexes under tags that stand in for it, where the source has none or one that lists less
 * than the source does.
 */
export function referrersIndexes(
  hasher: Hasher,
  { referrers, tags }: Pick<CollectedImage, 'referrers' | 'tags'>,
): Map<string, RawManifest> {
  const indexes = new Map<string, RawManifest>();
  for (const [subject, listed] of referrers) {
    const tag = referrersTag(subject);
    const before = listIn(tags.get(tag));
    const added = listed.filter(({ digest }) => !before.some((one) => one.digest === digest)).map(entryOf);
    if (added.length === 0) continue;
    added.sort((a, b) => (a.digest < b.digest ? -1 : 1));
    const document = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...before.map(entryOf), ...added] };
    const raw = new TextEncoder().encode(JSON.stringify(document));
    indexes.set(tag, { digest: digestOf(hasher, raw), mediaType: OCI_INDEX, raw });
  }
  return indexes;
}

function listIn(raw: RawManifest | undefined): readonly Descriptor[] {
  const document = raw === undefined ? undefined : parseManifest(raw, raw.digest);
  return document?.kind === 'index' ? document.manifests : [];
}

function entryOf({ mediaType, digest, size, artifactType, annotations }: Descriptor): Descriptor {
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined || Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}

/** How a blob or document came to be where it belongs. */
export type CopyOutcome = 'present' | 'mounted' | 'copied';

/** A repository that an image is copied into. */
export interface CopyDestination {
  /** What messages call it. */
  readonly label: string;
  putBlob(
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    source: BlobSource,
    onBytes: (done: number) => void,
    signal: AbortSignal,
  ): Promise<CopyOutcome>;
  /** By its digest. */
  putDocument(document: RawManifest): Promise<CopyOutcome>;
  putTag(tag: string, document: RawManifest): Promise<CopyOutcome>;
  /** What it has under a tag that is made of a digest; several where it knows the tag by several names. */
  attachedAt(tag: string): Promise<readonly RawManifest[]>;
  /** Whether it finds what refers to a manifest by itself. */
  keepsReferrers(digest: Digest): Promise<boolean>;
  /** What was put is to be seen from now on. */
  finish(): Promise<void>;
}

export interface CopyOptions {
  readonly signal?: AbortSignal;
  /** Blobs under way at once; 4 unless told. */
  readonly concurrency?: number;
  /** Bytes of all blobs. */
  readonly onBytes?: (done: number, total: number) => void;
}

/** What a copy did. */
export interface CopyReport {
  readonly digest: Digest;
  readonly manifests: number;
  readonly blobs: number;
  /** Of the blobs, bytes. */
  readonly size: number;
  /** Tags of signatures and other things attached to the image. */
  readonly attached: readonly string[];
  readonly outcomes: Readonly<Record<CopyOutcome, number>>;
}

/**
 * Blobs, then documents, tags last: whenever it is stopped there is nothing to be seen that is not whole. What is there already stays, signatures that only the
 * destination has too. Throws as the source, the destination and `mergeAttached` do.
 */
export async function copyImage(
  hasher: Hasher,
  source: ImageSource,
  image: CollectedImage,
  destination: CopyDestination,
  options: CopyOptions = {},
): Promise<CopyReport> {
  const outcomes = { present: 0, mounted: 0, copied: 0 };
  const count = (outcome: CopyOutcome): void => void outcomes[outcome]++;
  await copyBlobs(source, [...image.blobs.values()], destination, options, count);
  for (const document of image.documents.values()) {
    stopIfAborted(options.signal, 'copying');
    count(await destination.putDocument(document));
  }
  const tags = new Map(image.tags);
  const [last] = [...tags.keys()].slice(-1);
  for (const [tag, index] of referrersIndexes(hasher, image)) {
    const subject = [...image.referrers.keys()].find((digest) => referrersTag(digest) === tag)!;
    if (await destination.keepsReferrers(subject)) continue;
    count(await destination.putDocument(index));
    tags.set(tag, index);
  }
  // Whichever tags were added, that of the image stays the last one.
  const ordered = [...tags].sort(([a], [b]) => Number(a === last) - Number(b === last));
  for (const [tag, document] of ordered) {
    const put = isAttached(tag) ? await withWhatIsThere(hasher, destination, tag, document, options.signal) : document;
    count(await destination.putTag(tag, put));
  }
  await destination.finish();
  const blobs = [...image.blobs.values()];
  return {
    digest: image.digest,
    manifests: image.documents.size,
    blobs: blobs.length,
    size: blobs.reduce((sum, { size }) => sum + size, 0),
    attached: ordered.map(([tag]) => tag).filter(isAttached),
    outcomes,
  };
}

function isAttached(tag: string): boolean {
  return tag.startsWith('sha256-');
}

/** Who keeps a copy may have signed it. */
async function withWhatIsThere(
  hasher: Hasher,
  destination: CopyDestination,
  tag: string,
  document: RawManifest,
  signal: AbortSignal = new AbortController().signal,
): Promise<RawManifest> {
  let put = document;
  for (const before of await destination.attachedAt(tag)) {
    const merged = mergeAttached(hasher, before, put, `${destination.label}:${tag}`);
    put = merged.document;
    for (const { digest, raw } of merged.blobs) {
      const source = sourceOfMemory(destination.label, raw);
      await destination.putBlob({ digest, size: raw.length }, source, () => undefined, signal);
    }
  }
  return put;
}

/** Of one blob. */
function sourceOfMemory(label: string, raw: Uint8Array): BlobSource {
  return {
    label,
    blob: async (_descriptor, from) => ({
      from,
      chunks: (async function* () {
        yield raw.subarray(from);
      })(),
    }),
  };
}

/** Several at once; the first failure stops the others. */
async function copyBlobs(
  source: ImageSource,
  blobs: readonly Pick<Descriptor, 'digest' | 'size'>[],
  destination: CopyDestination,
  { signal, concurrency = 4, onBytes }: CopyOptions,
  count: (outcome: CopyOutcome) => void,
): Promise<void> {
  const total = blobs.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  await atOnce(blobs, { concurrency, signal, what: source.label }, async (blob, either) => {
    let counted = 0;
    // May go back: a download that begins again.
    const report = (bytes: number): void => {
      done += bytes - counted;
      counted = bytes;
      onBytes?.(done, total);
    };
    count(await destination.putBlob(blob, source, report, either));
    report(blob.size);
  });
}
