/** An OCI image layout (image-spec image-layout.md) as a source of images: a directory, or the same inside an archive. */
import { type Bytes, ofSource, slice } from '../../bytes/bytes.ts';
import { chunks, toMemory } from '../../bytes/read.ts';
import { type Digest, hexOf, parseDigest } from '../../bytes/units.ts';
import { ImagerError, invalid, withContext } from '../../errors.ts';
import type { Files, Platform as Machine } from '../../platform/types.ts';
import { digestOf, type Hasher, sizeError } from '../digest-check.ts';
import type { Descriptor, ImageSource, RawManifest } from '../image-source.ts';
import { type ImageIndex, MANIFEST_LIMIT, parseManifest } from '../manifest.ts';
import { INDEX_TYPES, MANIFEST_TYPES, OCI_INDEX, REF_NAME } from '../media-types.ts';
import { isDigest } from '../resolve.ts';
import { referrersInLayout } from './layout-referrers.ts';

export { REF_NAME };

/** `undefined` when there is no file at the path. */
export type OpenFile = (path: string) => Promise<Bytes | undefined>;

/** The layout in `directory`. Throws `invalid-input` when it is none, `io`. */
export function openLayout(machine: Pick<Machine, 'files' | 'hash'>, directory: string): Promise<ImageSource> {
  return layoutSource(machine, `oci:${directory}`, fileOpener(machine.files, directory));
}

export function fileOpener(files: Files, directory: string): OpenFile {
  return async (path) => {
    const info = await files.info(`${directory}/${path}`);
    return info?.kind === 'file' ? ofSource(await files.source(`${directory}/${path}`)) : undefined;
  };
}

/**
 * A source over the files of a layout. Identifiers are reference names as annotated in `index.json`, digests, or the empty text for
 * whatever there is. Where several entries answer, they come as an index, for the platform to choose from.
 */
export async function layoutSource(hasher: Hasher, label: string, open: OpenFile): Promise<ImageSource> {
  await checkMarker(open, label);
  const raw = await readFile(open, 'index.json', `${label}: index.json`);
  const document = rawManifest(hasher, raw, OCI_INDEX);
  const index = parseManifest({ ...document, mediaType: '' }, `${label}: index.json`);
  if (index.kind !== 'index') throw invalid(`${label}: index.json is no index`);
  const findManifest: ImageSource['findManifest'] = async (identifier) => {
    if (isDigest(identifier)) return manifestAt(open, label, parseDigest(identifier), index);
    const entries = entriesNamed(index, identifier);
    if (entries.length === 0) return undefined;
    // What the index lists has to be there.
    if (entries.length === 1)
      return (await manifestAt(open, label, entries[0]!.digest, index)) ?? missing(label, entries[0]!.digest);
    if (entries.length === index.manifests.length) return document;
    return rawManifest(hasher, encodeIndex(entries), OCI_INDEX);
  };
  let bySubject: Promise<ReadonlyMap<Digest, readonly Descriptor[]>> | undefined;
  return {
    label,
    async manifest(identifier) {
      return (await findManifest(identifier)) ?? notThere(index, identifier, label);
    },
    findManifest,
    async referrers(digest) {
      bySubject ??= referrersInLayout(hasher, (one) => open(blobPathOf(one)), index, label);
      return (await bySubject).get(digest) ?? [];
    },
    async blob({ digest, size }, from, signal) {
      const bytes = await blobAt(open, label, digest);
      // Nothing that is asked for again becomes longer or shorter.
      if (bytes.size !== size) throw sizeError(`${label}: blob ${digest}`, bytes.size, size);
      const rest = slice(bytes, Math.min(from, bytes.size));
      return { from, chunks: chunks(rest, signal === undefined ? {} : { signal }) };
    },
  };
}

async function checkMarker(open: OpenFile, label: string): Promise<void> {
  const hint = 'want a directory or archive with oci-layout, index.json and blobs';
  const bytes = await open('oci-layout');
  if (bytes === undefined) throw invalid(`${label}: no OCI image layout, it has no file oci-layout`, { hint });
  let version: unknown;
  const text = new TextDecoder().decode(await toMemory(bytes, 65_536, `${label}: oci-layout`));
  try {
    version = (JSON.parse(text) as { imageLayoutVersion?: unknown } | null)?.imageLayoutVersion;
  } catch (cause) {
    throw invalid(`${label}: oci-layout is not JSON`, { hint, cause });
  }
  if (typeof version !== 'string' || !version.startsWith('1.')) {
    throw new ImagerError(
      'unsupported',
      `${label}: layout version ${JSON.stringify(version) ?? 'missing'}, want 1.0.0`,
    );
  }
}

function entriesNamed(index: ImageIndex, name: string): readonly Descriptor[] {
  return imagesIn(index).filter(({ annotations }) => name === '' || annotations?.[REF_NAME] === name);
}

function imagesIn(index: ImageIndex): readonly Descriptor[] {
  return index.manifests.filter(
    ({ mediaType }) => MANIFEST_TYPES.includes(mediaType) || INDEX_TYPES.includes(mediaType),
  );
}

function notThere(index: ImageIndex, identifier: string, label: string): never {
  if (isDigest(identifier)) return missing(label, parseDigest(identifier));
  const images = imagesIn(index);
  const names = images.map(({ annotations }) => annotations?.[REF_NAME]).filter((one) => one !== undefined);
  const has = [...new Set(names)].join(', ') || `${images.length} images without names`;
  throw new ImagerError(
    'dependency',
    `${label}: no image ${identifier === '' ? 'at all' : `named "${identifier}", it has ${has}`}`,
  );
}

function encodeIndex(manifests: readonly Descriptor[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
}

/** The media type is that of the entry that leads there, if one does; else the document's own. */
async function manifestAt(
  open: OpenFile,
  label: string,
  digest: Digest,
  index: ImageIndex,
): Promise<RawManifest | undefined> {
  const bytes = await open(blobPathOf(digest));
  if (bytes === undefined) return undefined;
  const raw = await readBytes(bytes, `${label}: ${digest}`);
  const entry = index.manifests.find((one) => one.digest === digest);
  // The digest asked for, not that of the bytes: whoever reads this compares the two.
  return { digest, mediaType: entry?.mediaType ?? '', raw };
}

function rawManifest(hasher: Hasher, raw: Uint8Array, mediaType: string): RawManifest {
  return { digest: digestOf(hasher, raw), mediaType, raw };
}

async function blobAt(open: OpenFile, label: string, digest: Digest): Promise<Bytes> {
  return (await open(blobPathOf(digest))) ?? missing(label, digest);
}

function missing(label: string, digest: Digest): never {
  throw new ImagerError('dependency', `${label}: blob ${digest} is not there`, { hint: 'the layout is incomplete' });
}

/** Below the directory of a layout. */
export function blobPathOf(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

async function readFile(open: OpenFile, path: string, what: string): Promise<Uint8Array> {
  const bytes = await open(path);
  if (bytes === undefined) throw invalid(`${what}: no such file`);
  return readBytes(bytes, what);
}

function readBytes(bytes: Bytes, what: string): Promise<Uint8Array> {
  return toMemory(bytes, MANIFEST_LIMIT, what).catch((error: unknown) => {
    throw withContext(what, error);
  });
}
