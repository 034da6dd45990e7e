/** The imager image, and others a build is made of: asked for where they are, or where nothing may be contacted found in the store. */
import type { Digest } from '../bytes/units.ts';
import { ImagerError } from '../errors.ts';
import type { ImageSource } from '../oci/image-source.ts';
import { openArchive } from '../oci/local/archive.ts';
import { openLayout } from '../oci/local/layout.ts';
import { formatReference, identifierOf, parseReference, type Reference } from '../oci/reference.ts';
import { hostsOf } from '../oci/registry/mirrors.ts';
import type { PulledImage, Store } from '../oci/store/store.ts';
import type { Tree } from '../tree/tree.ts';
import { nameForRules } from '../trust/rules.ts';
import { type AssetSource, formatAssetSource } from './asset-source.ts';
import { checkPinned } from './input-digest.ts';
import { sourceOfRepository } from './repository-source.ts';
import { openWorkplaceStore, type Workplace } from './workplace.ts';

/** A source of assets that is an image. */
export type ImageAssetSource = Exclude<AssetSource, { readonly kind: 'directory' }>;

export interface ImagerImage {
  /** All layers as one tree of ranges of the store. */
  readonly tree: Tree;
  /** Of the manifest for the architecture. */
  readonly digest: Digest;
}

/** `host[:port]` of what may be contacted, in order; none for local sources and offline. Throws `invalid-input` for a bad reference. */
export function hostsOfImage({ transport }: Workplace, from: ImageAssetSource): string[] {
  if (from.kind !== 'registry') return [];
  const reference = parseReference(from.reference);
  return transport.offline === true ? [] : hostsOf(reference, transport.mirrors ?? {});
}

/** Digest of the manifest for the architecture; fetches manifests, no layers. Throws as `Store.resolve`, `dependency` offline. */
export async function resolveImagerImage(
  workplace: Workplace,
  from: ImageAssetSource,
  architecture: string,
): Promise<Digest> {
  const platform = { os: 'linux', architecture };
  const located = await locate(workplace, from);
  const { source, identifier, referenceName } = located;
  const store = await openWorkplaceStore(workplace);
  if (source !== undefined) {
    const { digest, manifestDigest } = await store.resolve(source, identifier, platform, signalOf(workplace));
    await verifyLocated(workplace, located, digest);
    return manifestDigest;
  }
  const found = await store.find(referenceName, platform);
  if (found === undefined) throw notInStore(referenceName, workplace.store);
  await verifyLocated(workplace, located, found.digest);
  return found.manifestDigest;
}

/** As `pullImage`, only what the boot assets are taken from. */
export async function pullImagerImage(
  workplace: Workplace,
  from: ImageAssetSource,
  architecture: string,
  pinned: Digest | undefined,
): Promise<ImagerImage> {
  const { tree, manifestDigest } = await pullImage(workplace, from, architecture, pinned);
  return { tree, digest: manifestDigest };
}

/**
 * The image for the architecture, fetched where the store has it not. `pinned` is the manifest digest a plan decided on, whatever its name says by
 * now; without it the name decides. Throws as `Store.pull`, `dependency` offline, `verification` for an archive that changed since it was pinned.
 */
export async function pullImage(
  workplace: Workplace,
  from: ImageAssetSource,
  architecture: string,
  pinned: Digest | undefined,
): Promise<PulledImage> {
  const { onProgress } = workplace;
  const platform = { os: 'linux', architecture };
  const located = await locate(workplace, from);
  const { source, identifier, referenceName } = located;
  const store = await openWorkplaceStore(workplace);
  if (source === undefined) {
    const found = await store.find(pinned ?? referenceName, platform);
    if (found === undefined) throw notInStore(pinned ?? referenceName, workplace.store);
    // What a plan pins was verified when it was planned, by the index that lists it.
    if (pinned === undefined) await verifyLocated(workplace, located, found.digest);
    return found;
  }
  const wanted =
    pinned === undefined
      ? await verifiedIdentifier(workplace, located)
      : await plannedDigest(workplace, { ...located, source }, store, { pinned, platform });
  // What docker save writes has no manifests to ask for by digest: we make them up from what a name leads to.
  const asked = from.kind === 'docker-archive' ? identifier : wanted;
  const image = await store.pull(source, asked, {
    platform,
    referenceName,
    ...signalOf(workplace),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  checkPinned(`${referenceName}: manifest`, image.manifestDigest, pinned);
  return image;
}

/** What was verified is what is asked for from then on: a name may lead elsewhere by then. */
async function verifiedIdentifier(workplace: Workplace, located: LocatedImage): Promise<string> {
  const { reference, source, identifier } = located;
  if (reference === undefined || source === undefined) return identifier;
  const { digest } = await source.manifest(identifier, workplace.signal);
  await verifyLocated(workplace, located, digest);
  return digest;
}

interface PinnedImage {
  readonly pinned: Digest;
  readonly platform: { readonly os: string; readonly architecture: string };
}

/** Of the index that led to the pinned manifest, if one did: signatures are of it, and a later build without a network looks for them. */
async function plannedDigest(
  { planned = [], signal }: Workplace,
  { reference, source }: LocatedImage & { readonly source: ImageSource },
  store: Store,
  { pinned, platform }: PinnedImage,
): Promise<Digest> {
  const image = reference === undefined ? undefined : nameForRules(reference);
  for (const { digest } of planned.filter((one) => one.image === image && one.digest !== pinned)) {
    try {
      const found = await store.resolve(source, digest, platform, signal === undefined ? {} : { signal });
      if (found.manifestDigest === pinned) return digest;
    } catch (error) {
      // Of another image of that repository, or gone meanwhile: what is pinned is enough to build.
      if (!(error instanceof ImagerError) || error.code === 'canceled') throw error;
    }
  }
  return pinned;
}

/** Local images are the user's own. */
async function verifyLocated(workplace: Workplace, { reference, source }: LocatedImage, digest: Digest): Promise<void> {
  if (reference === undefined) return;
  const { verifyUse } = await import('./verify-image.ts');
  await verifyUse(workplace, reference, digest, source);
}

interface LocatedImage {
  /** Of images in registries. */
  readonly reference?: Reference;
  /** Absent when nothing may be contacted. */
  readonly source: ImageSource | undefined;
  /** What the source knows it by. */
  readonly identifier: string;
  /** What the store knows it by. */
  readonly referenceName: string;
}

async function locate({ platform, transport }: Workplace, from: ImageAssetSource): Promise<LocatedImage> {
  switch (from.kind) {
    case 'registry': {
      const reference = parseReference(from.reference);
      return {
        reference,
        source: await sourceOfRepository(platform, transport, reference),
        identifier: identifierOf(reference),
        referenceName: formatReference(reference),
      };
    }
    case 'layout':
      return {
        source: await openLayout(platform, from.directory),
        identifier: from.name ?? '',
        referenceName: formatAssetSource(from),
      };
    case 'oci-archive':
    case 'docker-archive':
      return {
        source: await openArchive(platform, from.kind, from.file),
        identifier: from.name ?? '',
        referenceName: formatAssetSource(from),
      };
  }
}

function signalOf({ signal }: Workplace): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function notInStore(name: string, store: string): ImagerError {
  return new ImagerError('dependency', `${name}: not in the store ${store}, and offline there is no other place`, {
    hint: 'build once without --offline, or name an OCI layout with --imager-image oci:DIR',
  });
}
