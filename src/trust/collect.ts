/** Where the signatures of an image are found: referrers, the tag that stands in for them, and the tag of the older format (spec I1). */
import { type Digest, parseDigest } from '../bytes/units.ts';
import { ImagerError } from '../errors.ts';
import { BUNDLE_TYPES, readBundle } from './bundle.ts';
import { Refusal } from './check.ts';
import type { Evidence, Place } from './evidence.ts';
import { readLegacySignature, SIMPLE_SIGNING } from './legacy.ts';
import { asObject, parseStrictJson } from './strict-json.ts';

/** Of a signature's manifest and of a signature, bytes; and how many are looked at. What a Talos node allows. */
export const SIGNATURE_MANIFEST_LIMIT: number = 128 * 1024;
export const SIGNATURE_LIMIT: number = 1024 * 1024;
export const SIGNATURES_LIMIT = 100;

const ANY_BUNDLE_TYPE = /^application\/vnd\.dev\.sigstore\.bundle(?:\.v|\+json;version=)/;

export interface SignatureManifest {
  readonly digest: Digest;
  readonly raw: Uint8Array;
}

export interface SignatureDescriptor {
  readonly digest: Digest;
  readonly size: number;
  readonly artifactType?: string;
}

/** A repository, seen as what holds signatures. Everything that comes by digest was compared with it. */
export interface SignatureSource {
  /** By tag or digest; `undefined` where there is none. Throws `dependency` when that cannot be told. */
  manifest(identifier: string): Promise<SignatureManifest | undefined>;
  /** The manifests whose subject is `digest`, of whatever type. */
  referrers(digest: Digest): Promise<readonly SignatureDescriptor[]>;
  /** At most `SIGNATURE_LIMIT` bytes. */
  blob(descriptor: { readonly digest: Digest; readonly size: number }): Promise<Uint8Array>;
}

/** One signature that was found, or what was found in the place of one. */
export interface Candidate {
  readonly place: Place;
  /** Of the manifest; the tag or digest that was asked for where there is none to be read. */
  readonly manifest: string;
  readonly evidence: Evidence | Refusal;
}

export interface Collection {
  readonly candidates: readonly Candidate[];
  /** Places that could not be looked at: without a good signature elsewhere there is no verdict. */
  readonly failures: readonly ImagerError[];
}

/**
 * Everything that claims to sign `digest`, in the order of spec I1. What one place holds, or fails to hold, says nothing about the others: a
 * forged signature cannot hide a good one, but for a hundred of them before it, which is a failure that says so.
 */
export async function collectSignatures(source: SignatureSource, digest: Digest): Promise<Collection> {
  const tag = digest.replace(':', '-');
  const collector: Collector = { source, candidates: [], failures: [] };
  const referrers = (await attempt(collector, () => source.referrers(digest))) ?? [];
  const bundles = referrers.filter(({ artifactType: type }) => type === undefined || ANY_BUNDLE_TYPE.test(type));
  for (const { digest: identifier } of firstOf(collector, bundles, digest)) {
    await collect(collector, 'referrer', identifier, bundlesOf);
  }
  // Some versions of cosign put the bundle's manifest under the tag itself, where others keep an index of referrers.
  await collect(collector, 'bundle-tag', tag, bundlesOf);
  await collect(collector, 'signature-tag', `${tag}.sig`, legacySignaturesOf);
  return collector;
}

interface Collector {
  readonly source: SignatureSource;
  readonly candidates: Candidate[];
  readonly failures: ImagerError[];
}

/** `undefined` for what the source cannot give; a build that is stopped stays stopped. */
async function attempt<T>({ failures }: Collector, ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ImagerError) || error.code === 'canceled') throw error;
    failures.push(error);
    return undefined;
  }
}

async function collect(
  collector: Collector,
  place: Place,
  identifier: string,
  signaturesOf: (manifest: Manifest) => Signature[],
): Promise<void> {
  const found = await attempt(collector, () => collector.source.manifest(identifier));
  if (found === undefined) return;
  const add = (evidence: Evidence | Refusal): void =>
    void collector.candidates.push({ place, manifest: found.digest, evidence });
  const signatures = orRefusal(() => firstOf(collector, signaturesOf(readManifest(found)), found.digest));
  if (signatures instanceof Refusal) return add(signatures);
  for (const { layer, read } of signatures) {
    const descriptor = orRefusal(() => checkedDescriptor(layer, found.digest));
    if (descriptor instanceof Refusal) {
      add(descriptor);
      continue;
    }
    const raw = await attempt(collector, () => collector.source.blob(descriptor));
    if (raw !== undefined) add(orRefusal(() => read(raw)));
  }
}

/** As many as are looked at. */
function firstOf<T>({ failures }: Collector, all: readonly T[], what: string): readonly T[] {
  if (all.length > SIGNATURES_LIMIT) {
    const message = `${what}: ${all.length} signatures, of which the first ${SIGNATURES_LIMIT} were looked at`;
    failures.push(new ImagerError('dependency', message));
  }
  return all.slice(0, SIGNATURES_LIMIT);
}

function orRefusal<T>(read: () => T): T | Refusal {
  try {
    return read();
  } catch (error) {
    return refusalOf(error);
  }
}

/** The libraries read structures as they go: whatever they trip over is damage of what they were given. */
function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const reason = error instanceof ImagerError ? error.message : 'the signature cannot be read';
  return new Refusal('malformed', reason, error);
}

interface Signature {
  readonly layer: Layer;
  readonly read: (raw: Uint8Array) => Evidence;
}

function bundlesOf({ artifactType, layers }: Manifest): Signature[] {
  if (artifactType === undefined || !ANY_BUNDLE_TYPE.test(artifactType)) return [];
  return layers.map((layer) => {
    if (!BUNDLE_TYPES.includes(layer.mediaType)) {
      throw new Refusal(
        'malformed',
        `bundle of media type ${JSON.stringify(layer.mediaType)}, want ${BUNDLE_TYPES[0]}`,
      );
    }
    return { layer, read: readBundle };
  });
}

function legacySignaturesOf({ layers }: Manifest): Signature[] {
  const signatures = layers.filter(({ mediaType }) => mediaType === SIMPLE_SIGNING);
  return signatures.map((layer) => ({ layer, read: (raw) => readLegacySignature(raw, layer.annotations) }));
}

interface Layer {
  readonly mediaType: string;
  /** As written: what other tools put beside signatures may be named in ways that are not ours. */
  readonly digest: string;
  readonly size: number;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Manifest {
  readonly artifactType?: string;
  readonly layers: readonly Layer[];
}

/** What of a manifest matters here; an index, or something else that is no manifest, has no layers. */
function readManifest({ digest, raw }: SignatureManifest): Manifest {
  if (raw.length > SIGNATURE_MANIFEST_LIMIT) {
    throw new Refusal('too-large', `manifest of ${raw.length} bytes, want at most ${SIGNATURE_MANIFEST_LIMIT}`);
  }
  const { artifactType, layers } = asObject(parseStrictJson(raw, digest), digest);
  const list = Array.isArray(layers) ? layers : [];
  return {
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
    layers: list.flatMap((one) => layerOf(one, digest)),
  };
}

function layerOf(value: unknown, what: string): Layer[] {
  const { mediaType, digest, size, annotations } = asObject(value, `${what}: layer`);
  if (typeof mediaType !== 'string' || typeof digest !== 'string' || typeof size !== 'number') return [];
  const texts = Object.entries(asObject(annotations ?? {}, `${what}: annotations`)).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return [{ mediaType, digest, size, annotations: Object.fromEntries(texts) }];
}

/** What a source may be asked for: from here on a digest ends up in paths and in addresses. */
function checkedDescriptor({ digest, size }: Layer, what: string): { readonly digest: Digest; readonly size: number } {
  if (size > SIGNATURE_LIMIT) {
    throw new Refusal('too-large', `signature of ${size} bytes, want at most ${SIGNATURE_LIMIT}`);
  }
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new Refusal('malformed', `${what}: layer of size ${size}, want a byte count`);
  }
  return { digest: parseDigest(digest), size };
}
