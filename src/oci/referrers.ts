/** What refers to an image: signatures, attestations, bills of materials. Source: OCI distribution-spec v1.1 "Listing Referrers", "Referrers Tag Schema". */
import type { Digest } from '../bytes/units.ts';
import { invalid } from '../errors.ts';
import type { Descriptor, ImageSource, ReferrersOptions } from './image-source.ts';
import { referrerOf } from './local/layout-referrers.ts';
import { MANIFEST_LIMIT, parseManifest } from './manifest.ts';

/** Of one image. Whoever may push to a repository can add some; real images have a handful. */
export const MAX_REFERRERS = 1024;

/**
 * Descriptors of the manifests whose subject is `digest`, in the order of the source: as it lists them itself or, where it lists none that fit, as the
 * index (or the one manifest) under the tag `sha256-<hex>` does. Each has its `artifactType`, read from its manifest where the list leaves it out.
 * The image itself need not be there. Nothing is verified: a list is a hint, its manifests have digests.
 *
 * Throws `dependency` when the source refuses or fails, `invalid-input` for broken lists and for more than `MAX_REFERRERS`.
 */
export async function referrersOf(
  source: ImageSource,
  digest: Digest,
  options: ReferrersOptions = {},
): Promise<Descriptor[]> {
  const listed = await fitting(source, digest, await source.referrers(digest, options), options);
  if (listed.length > 0) return listed;
  return fitting(source, digest, await taggedReferrers(source, digest, options.signal), options);
}

/** The tag under which clients keep the referrers of an image where the registry does not. */
export function referrersTag(digest: Digest): string {
  return digest.replace(':', '-');
}

async function taggedReferrers(
  source: ImageSource,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<readonly Descriptor[]> {
  const tag = referrersTag(digest);
  const raw = await source.findManifest(tag, signal);
  if (raw === undefined) return [];
  const document = parseManifest(raw, `${source.label}:${tag}`);
  if (document.kind === 'index') return document.manifests;
  // Some clients put their only manifest there as it is.
  const isOther = document.subject !== undefined && document.subject.digest !== digest;
  return isOther ? [] : [referrerOf(document, { digest: raw.digest, size: raw.raw.length })];
}

async function fitting(
  source: ImageSource,
  digest: Digest,
  descriptors: readonly Descriptor[],
  { artifactType, signal }: ReferrersOptions,
): Promise<Descriptor[]> {
  if (descriptors.length > MAX_REFERRERS) {
    throw invalid(`${source.label}: ${digest} has ${descriptors.length} referrers, want at most ${MAX_REFERRERS}`);
  }
  const found: Descriptor[] = [];
  for (const one of new Map(descriptors.map((each) => [each.digest, each])).values()) {
    const typed = one.artifactType ? one : await withType(source, one, signal);
    if (artifactType === undefined || typed.artifactType === artifactType) found.push(typed);
  }
  return found;
}

/** As it is where its manifest is missing or too large to be one. */
async function withType(source: ImageSource, listed: Descriptor, signal: AbortSignal | undefined): Promise<Descriptor> {
  const raw = listed.size > MANIFEST_LIMIT ? undefined : await source.findManifest(listed.digest, signal);
  if (raw === undefined) return listed;
  const { artifactType } = referrerOf(parseManifest(raw, `${source.label}: ${listed.digest}`), listed);
  return artifactType === undefined ? listed : { ...listed, artifactType };
}
