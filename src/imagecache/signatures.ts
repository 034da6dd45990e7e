/** Signatures of cached images, where a node looks for them: under tags, since its registry service knows nothing else. */
import type { Digest } from '../bytes/units.ts';
import { invalid } from '../errors.ts';
import { checkDigest, digestOf, type Hasher } from '../oci/digest-check.ts';
import type { ImageSource, RawManifest } from '../oci/image-source.ts';
import { type ImageManifest, parseManifest } from '../oci/manifest.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import { addBlobs, addDocument, addTag, type Collection } from './collection.ts';
import { type RepositoryName, signatureTags } from './names.ts';

/** Media types of cosign's signatures begin so: those of Sigstore bundles, and those of its own form before. */
const SIGNATURE_TYPES = ['application/vnd.dev.sigstore.bundle', 'application/vnd.dev.cosign.simplesigning'] as const;

/**
 * Adds what is under the two tags, with everything below it; upstream takes the first that is there, which need not be the one that the node's
 * policy asks for. Whether there is a signature among it. Throws `dependency`, `verification`, `invalid-input` for broken documents.
 */
export async function collectSignatures(
  collection: Collection,
  source: ImageSource,
  name: RepositoryName,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const [ownTag, referrersTag] = signatureTags(digest);
  const found = [
    { tag: ownTag, document: await source.findManifest(ownTag, signal) },
    {
      tag: referrersTag,
      document:
        (await source.findManifest(referrersTag, signal)) ??
        (await listedBundles(collection.hasher, source, digest, signal)),
    },
  ];
  let isSigned = false;
  for (const { tag, document } of found) {
    if (document === undefined) continue;
    checkDigest(digestOf(collection.hasher, document.raw), document.digest, `${source.label} ${tag}`);
    if (await collectBelow(collection, source, name, document, signal)) isSigned = true;
    addTag(collection, name, tag, document);
  }
  return isSigned;
}

/** What a registry lists itself, as the index that clients write where it does not: without a registry, that is where they look. */
async function listedBundles(
  hasher: Hasher,
  source: ImageSource,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<RawManifest | undefined> {
  const listed = await source.referrers(digest, signal === undefined ? {} : { signal });
  const bundles = listed.filter(({ artifactType = '' }) => artifactType.startsWith(SIGNATURE_TYPES[0]));
  if (bundles.length === 0) return undefined;
  const manifests = bundles
    .map(({ mediaType, digest: bundle, size, artifactType }) => ({ mediaType, digest: bundle, size, artifactType }))
    .sort((a, b) => (a.digest < b.digest ? -1 : 1));
  const raw = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
  return { digest: digestOf(hasher, raw), mediaType: OCI_INDEX, raw };
}

/** An index has manifests below it, and those nothing but blobs. True when one of them is a signature. */
async function collectBelow(
  collection: Collection,
  source: ImageSource,
  name: RepositoryName,
  raw: RawManifest,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const what = `${source.label} ${raw.digest}`;
  const document = parseManifest(raw, what);
  addDocument(collection, name, raw);
  if (document.kind === 'manifest') {
    addBlobs(collection, source, document);
    return isSignature(document);
  }
  let isSigned = false;
  for (const { digest } of document.manifests) {
    const child = await source.manifest(digest, signal);
    checkDigest(digestOf(collection.hasher, child.raw), digest, what);
    const manifest = parseManifest(child, `${source.label} ${digest}`);
    if (manifest.kind === 'index') throw invalid(`${what}: signatures in an index within an index`);
    addDocument(collection, name, child);
    addBlobs(collection, source, manifest);
    if (isSignature(manifest)) isSigned = true;
  }
  return isSigned;
}

function isSignature({ artifactType = '', layers }: ImageManifest): boolean {
  const types = [artifactType, ...layers.map(({ mediaType }) => mediaType)];
  return types.some((type) => SIGNATURE_TYPES.some((prefix) => type.startsWith(prefix)));
}
