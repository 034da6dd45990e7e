/**
 * Two manifests under one tag that is made of a digest: what both hold about the image, so that copying signatures to where somebody has put others
 * takes none away. Sources: cosign SIGNATURE_SPEC.md (a layer for each signature, its annotations beside it), OCI distribution-spec "Referrers Tag Schema".
 */
import { type Digest, MIB } from '../bytes/units.ts';
import { invalid } from '../errors.ts';
import { digestOf, type Hasher } from './digest-check.ts';
import type { Descriptor, RawManifest } from './image-source.ts';
import { type ImageManifest, MANIFEST_LIMIT, parseManifest } from './manifest.ts';
import { OCI_MANIFEST } from './media-types.ts';

const IMAGE_CONFIG = 'application/vnd.oci.image.config.v1+json';

/** A configuration, made here. */
export interface MadeBlob {
  readonly digest: Digest;
  readonly raw: Uint8Array;
}

export interface MergedManifest {
  readonly document: RawManifest;
  /** What the document needs and neither side has. */
  readonly blobs: readonly MadeBlob[];
}

/**
 * `before`, which is there, with what `added` has besides: one of them as it is where it holds all of the other. Throws `invalid-input` naming `what`
 * where they cannot be one (an index and a manifest, artifacts of different types), and for more than a manifest may hold.
 */
export function mergeAttached(hasher: Hasher, before: RawManifest, added: RawManifest, what: string): MergedManifest {
  if (before.digest === added.digest) return { document: added, blobs: [] };
  const [old, fresh] = [parseManifest(before, what), parseManifest(added, what)];
  if (old.kind === 'index' && fresh.kind === 'index') {
    const manifests = union(old.manifests, fresh.manifests, byDigest);
    const whole = wholeOf(before, added, manifests.length, [old.manifests, fresh.manifests], byDigest);
    if (whole !== undefined) return { document: whole, blobs: [] };
    const index = { schemaVersion: 2, mediaType: old.mediaType, manifests, ...annotationsOf(old.annotations) };
    return { document: encoded(hasher, index, old.mediaType, what), blobs: [] };
  }
  if (old.kind !== 'manifest' || fresh.kind !== 'manifest' || !isListOfSignatures(old, fresh)) {
    throw invalid(`${what}: holds something else there than here, want it moved out of the way`, {
      hint: 'it may be what somebody has signed or written there: copy it to another tag, then remove this one',
    });
  }
  const layers = union(old.layers, fresh.layers, bySignature);
  const whole = wholeOf(before, added, layers.length, [old.layers, fresh.layers], bySignature);
  if (whole !== undefined) return { document: whole, blobs: [] };
  const config = configOf(hasher, layers);
  const descriptor = { mediaType: IMAGE_CONFIG, digest: config.digest, size: config.raw.length };
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptor,
    layers,
    ...annotationsOf(old.annotations),
  };
  return { document: encoded(hasher, manifest, OCI_MANIFEST, what), blobs: [config] };
}

/** The one that holds all there is; what is there before what comes. */
function wholeOf(
  before: RawManifest,
  added: RawManifest,
  count: number,
  [old, fresh]: readonly [readonly Descriptor[], readonly Descriptor[]],
  key: Key,
): RawManifest | undefined {
  if (union(old, [], key).length === count) return before;
  return union(fresh, [], key).length === count ? added : undefined;
}

function annotationsOf(annotations: Readonly<Record<string, string>>): { readonly annotations?: object } {
  return Object.keys(annotations).length === 0 ? {} : { annotations };
}

/** As cosign keeps them: layers of one kind below a configuration that says nothing; other artifacts are one thing each. */
function isListOfSignatures(one: ImageManifest, other: ImageManifest): boolean {
  const isList = (manifest: ImageManifest): boolean =>
    manifest.artifactType === undefined && manifest.subject === undefined && manifest.config.mediaType === IMAGE_CONFIG;
  const types = new Set([...one.layers, ...other.layers].map(({ mediaType }) => mediaType));
  return isList(one) && isList(other) && types.size === 1 && !isSbom([...types][0]!);
}

/** Of those a tag has one: whoever looks for it takes the first. */
function isSbom(mediaType: string): boolean {
  return /spdx|cyclonedx|syft/.test(mediaType);
}

/** Those of the first list, then what the second has besides. */
function union(first: readonly Descriptor[], second: readonly Descriptor[], key: Key): Descriptor[] {
  const known = new Set<string>();
  return [...first, ...second].filter((one) => {
    const isNew = !known.has(key(one));
    known.add(key(one));
    return isNew;
  });
}

type Key = (one: Descriptor) => string;

const byDigest: Key = ({ digest }) => digest;

/** One payload may be signed by several: the signatures are in the annotations. */
const bySignature: Key = ({ digest, annotations = {} }) =>
  JSON.stringify([digest, Object.entries(annotations).sort(([a], [b]) => (a < b ? -1 : 1))]);

/** As cosign makes it: an image of layers that are not compressed, without a platform. */
function configOf(hasher: Hasher, layers: readonly Descriptor[]): MadeBlob {
  const document = {
    architecture: '',
    created: '0001-01-01T00:00:00Z',
    history: layers.map(() => ({ created: '0001-01-01T00:00:00Z' })),
    os: '',
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    config: {},
  };
  const data = new TextEncoder().encode(JSON.stringify(document));
  return { digest: digestOf(hasher, data), raw: data };
}

function encoded(hasher: Hasher, document: object, mediaType: string, what: string): RawManifest {
  const data = new TextEncoder().encode(JSON.stringify(document));
  if (data.length > MANIFEST_LIMIT) {
    throw invalid(`${what}: ${data.length} bytes with what is there already, want at most ${MANIFEST_LIMIT / MIB} MiB`);
  }
  return { digest: digestOf(hasher, data), mediaType, raw: data };
}
