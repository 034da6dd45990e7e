/** Which manifests of a layout name another as their subject: its index does not tell, so all of them are read once. Source: image-spec manifest.md. */
import type { Bytes } from '../../bytes/bytes.ts';
import { toMemory } from '../../bytes/read.ts';
import type { Digest } from '../../bytes/units.ts';
import { ImagerError, invalid } from '../../errors.ts';
import { checkDigest, digestOf, type Hasher } from '../digest-check.ts';
import type { Descriptor } from '../image-source.ts';
import { type ImageIndex, type ImageManifest, MANIFEST_LIMIT, parseManifest } from '../manifest.ts';
import { INDEX_TYPES, MANIFEST_TYPES } from '../media-types.ts';

/** Manifests and indexes read; a mirror of everything a release needs has some thousand. */
const MAX_DOCUMENTS = 16_384;

/**
 * By subject, in the order of the index. What is not here (other platforms of a sparse copy) or no image document (other kinds of artifacts) is
 * passed over. Throws `verification` for a damaged one that has a subject, `invalid-input` for more documents than fit any purpose.
 */
export async function referrersInLayout(
  hasher: Hasher,
  openBlob: (digest: Digest) => Promise<Bytes | undefined>,
  index: ImageIndex,
  label: string,
): Promise<ReadonlyMap<Digest, readonly Descriptor[]>> {
  const bySubject = new Map<Digest, Descriptor[]>();
  const seen = new Set<Digest>();
  const queue: Descriptor[] = [...index.manifests];
  for (const entry of queue) {
    const { mediaType, digest, size } = entry;
    const isDocument = MANIFEST_TYPES.includes(mediaType) || INDEX_TYPES.includes(mediaType);
    if (!isDocument || seen.has(digest) || size > MANIFEST_LIMIT) continue;
    seen.add(digest);
    if (seen.size > MAX_DOCUMENTS) throw invalid(`${label}: more than ${MAX_DOCUMENTS} manifests`);
    const bytes = await openBlob(digest);
    if (bytes === undefined || bytes.size !== size) continue;
    const raw = await toMemory(bytes, MANIFEST_LIMIT, `${label}: ${digest}`);
    const document = parsed(raw, entry, label);
    if (document === undefined) continue;
    if (document.kind === 'index') queue.push(...document.manifests);
    if (document.subject === undefined) continue;
    checkDigest(digestOf(hasher, raw), digest, `${label}: ${digest}`);
    const others = bySubject.get(document.subject.digest) ?? [];
    bySubject.set(document.subject.digest, [...others, referrerOf(document, entry)]);
  }
  return bySubject;
}

/** The descriptor a registry would list for a manifest with a subject (distribution-spec "Listing Referrers"). */
export function referrerOf(
  document: ImageIndex | ImageManifest,
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
): Descriptor {
  const { mediaType, annotations } = document;
  const artifactType = document.artifactType || (document.kind === 'manifest' ? document.config.mediaType : undefined);
  return { mediaType, digest, size, annotations, ...(artifactType === undefined ? {} : { artifactType }) };
}

function parsed(
  raw: Uint8Array,
  { mediaType, digest }: Descriptor,
  label: string,
): ImageIndex | ImageManifest | undefined {
  try {
    return parseManifest({ raw, mediaType, digest }, `${label}: ${digest}`);
  } catch (error) {
    if (error instanceof ImagerError) return undefined;
    throw error;
  }
}
