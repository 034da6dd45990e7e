/** From what the user named to one image manifest: by tag, digest or name, through indexes, for one platform. */
import { type Digest, parseDigest } from '../bytes/units.ts';
import { ImagerError, invalid, stopIfAborted } from '../errors.ts';
import { checkDigest, digestOf, type Hasher, sizeError } from './digest-check.ts';
import type { Descriptor, Platform, RawManifest } from './image-source.ts';
import { type ImageConfig, type ImageIndex, type ImageManifest, parseImageConfig, parseManifest } from './manifest.ts';
import { CONFIG_TYPES, REF_NAME } from './media-types.ts';
import { candidates, configFits, platformText, unsaidConfigFits } from './platform-choice.ts';

/** Indexes in indexes: deeper is refused (spec factory-and-signatures H4). */
const MAX_DEPTH = 5;

/** Documents below one index that are looked at; an index lists no more. */
const MAX_DOCUMENTS = 4096;

/** Children without platform whose configuration we ask for before giving up. */
const MAX_UNSAID = 16;

/** Where manifests and configurations come from: a source alone, or the store with a source behind it. */
export interface ManifestReader {
  readonly label: string;
  manifest(identifier: string, signal?: AbortSignal): Promise<RawManifest>;
  /** The verified bytes of a configuration. */
  config(descriptor: Descriptor, signal?: AbortSignal): Promise<Uint8Array>;
}

export interface ResolvedImage {
  /** Of what the identifier names: an index or a manifest. */
  readonly digest: Digest;
  readonly manifestDigest: Digest;
  readonly manifest: ImageManifest;
  /** Every document on the way, the one named first, the manifest last. */
  readonly documents: readonly RawManifest[];
}

export interface ResolveOptions {
  readonly signal?: AbortSignal;
  /** What the identifier must turn out to be. */
  readonly expectedDigest?: Digest;
}

/**
 * Finds the image manifest for `wanted`. Digests, sizes and media types are checked on the way. Throws `verification` for wrong
 * ones, `invalid-input` for broken documents, `dependency` when nothing fits the platform, with what there is.
 */
export async function resolveImage(
  hasher: Hasher,
  reader: ManifestReader,
  identifier: string,
  wanted: Platform,
  options: ResolveOptions = {},
): Promise<ResolvedImage> {
  const { signal, expectedDigest } = options;
  const top = await reader.manifest(identifier, signal);
  const what = `${reader.label} ${identifier}`.trim();
  checkDigest(digestOf(hasher, top.raw), top.digest, what);
  if (isDigest(identifier)) checkDigest(top.digest, parseDigest(identifier), what);
  if (expectedDigest !== undefined) checkDigest(top.digest, expectedDigest, what);
  const search: Search = { hasher, reader, wanted, signal, offered: new Set(), inVain: new Set(), looked: 0, asked: 0 };
  const document = parseManifest(top, what);
  if (identifier === '' && document.kind === 'index') checkOnly(document, wanted, what);
  const found =
    document.kind === 'manifest' ? await single(search, document, what) : await descend(search, document, 1);
  if (found === undefined) throw nothingFits(search, what);
  const documents = document.kind === 'manifest' ? [top] : [top, ...found.documents];
  return {
    digest: top.digest,
    manifestDigest: documents.at(-1)!.digest,
    manifest: found.manifest,
    documents,
  };
}

/** Where nobody said which, one image may be meant: throws `invalid-input` with the names of several that say they are for the platform. */
function checkOnly(index: ImageIndex, wanted: Platform, what: string): void {
  const named = candidates(index, wanted).fitting.flatMap(({ annotations, digest }) => {
    const name = annotations?.[REF_NAME];
    return name === undefined ? [] : [[name, digest] as const];
  });
  if (new Set(named.map(([, digest]) => digest)).size < 2) return;
  const names = [...new Set(named.map(([name]) => name))];
  if (names.length < 2) return;
  throw invalid(`${what}: several images for ${platformText(wanted)}: ${names.join(', ')}`, {
    hint: 'say which one, with its name behind a colon',
  });
}

interface Search {
  readonly hasher: Hasher;
  readonly reader: ManifestReader;
  readonly wanted: Platform;
  readonly signal: AbortSignal | undefined;
  /** Platforms met on the way, for the message when none fits. */
  readonly offered: Set<string>;
  /** Indexes with nothing that fits: one that is listed again and again, by others that are too, is searched once. */
  readonly inVain: Set<Digest>;
  looked: number;
  /** Configurations asked for. */
  asked: number;
}

interface Found {
  readonly manifest: ImageManifest;
  readonly documents: readonly RawManifest[];
}

async function single(search: Search, manifest: ImageManifest, what: string): Promise<Found | undefined> {
  const config = await configOf(search, manifest, what);
  if (configFits(config, search.wanted)) return { manifest, documents: [] };
  search.offered.add(platformText(config));
  return undefined;
}

async function descend(search: Search, index: ImageIndex, depth: number): Promise<Found | undefined> {
  if (depth > MAX_DEPTH) throw invalid(`${search.reader.label}: indexes nested more than ${MAX_DEPTH} deep`);
  const { fitting, unsaid } = candidates(index, search.wanted);
  for (const { platform } of index.manifests) if (platform !== undefined) search.offered.add(platformText(platform));
  for (const child of fitting) {
    const found = await look(search, child, depth, true);
    if (found !== undefined) return found;
  }
  for (const child of unsaid) {
    const found = await look(search, child, depth, false);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Into one child: an index is searched, a manifest taken when its entry or its configuration says it fits. */
async function look(search: Search, child: Descriptor, depth: number, fits: boolean): Promise<Found | undefined> {
  const { hasher, reader, wanted, signal } = search;
  if (search.inVain.has(child.digest)) return undefined;
  search.looked++;
  if (search.looked > MAX_DOCUMENTS)
    throw invalid(`${reader.label}: more than ${MAX_DOCUMENTS} manifests below one index`);
  const what = `${reader.label} ${child.digest}`;
  stopIfAborted(signal, what);
  const raw = await reader.manifest(child.digest, signal);
  checkDigest(digestOf(hasher, raw.raw), child.digest, what);
  if (raw.raw.length !== child.size) throw sizeError(what, raw.raw.length, child.size);
  const document = parseManifest({ ...raw, mediaType: raw.mediaType || child.mediaType }, what);
  if (document.mediaType !== child.mediaType) {
    throw invalid(`${what}: media type ${document.mediaType}, the index says ${child.mediaType}`);
  }
  if (document.kind === 'index') {
    const found = await descend(search, document, depth + 1);
    if (found !== undefined) return { ...found, documents: [raw, ...found.documents] };
    search.inVain.add(child.digest);
    return undefined;
  }
  if (!fits) {
    search.asked++;
    if (search.asked > MAX_UNSAID) return undefined;
    const config = await configOf(search, document, what);
    if (!unsaidConfigFits(config, wanted)) {
      search.offered.add(platformText(config));
      return undefined;
    }
  }
  return { manifest: document, documents: [raw] };
}

async function configOf({ reader, signal }: Search, manifest: ImageManifest, what: string): Promise<ImageConfig> {
  requireImage(manifest, what);
  return parseImageConfig(await reader.config(manifest.config, signal), `${what}: config ${manifest.config.digest}`);
}

/** Throws `unsupported` for an artifact (a signature, a chart): it has no image configuration. */
export function requireImage(manifest: ImageManifest, what: string): void {
  if (CONFIG_TYPES.includes(manifest.config.mediaType)) return;
  const type = manifest.artifactType ?? manifest.config.mediaType;
  throw new ImagerError('unsupported', `${what}: an artifact of type ${type}, want a container image`);
}

export function isDigest(identifier: string): boolean {
  return identifier.startsWith('sha256:');
}

function nothingFits({ wanted, offered }: Search, what: string): ImagerError {
  const list = [...offered].join(', ') || 'nothing that is an image';
  return new ImagerError('dependency', `${what}: no image for ${platformText(wanted)}, it has ${list}`);
}
