/** Indexes, manifests and image configurations as they come from outside: strict, bounded, and never serialised again. */
import { type Digest, MIB, parseDigest } from '../bytes/units.ts';
import { ImagerError, invalid, withContext } from '../errors.ts';
import type { Descriptor, Platform, RawManifest } from './image-source.ts';
import { DOCKER_SCHEMA_1, INDEX_TYPES, MANIFEST_TYPES, OCI_INDEX, OCI_MANIFEST } from './media-types.ts';

/** Of a manifest, an index or a configuration, bytes (spec factory-and-signatures H4). */
export const MANIFEST_LIMIT: number = 4 * MIB;

/** Children of an index and layers of a manifest; the size cap would allow some 20,000. */
const MAX_DESCRIPTORS = 4096;

export interface ImageIndex {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly artifactType?: string;
  readonly subject?: Descriptor;
}

export interface ImageManifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
  /** What an artifact says it is; images have none. */
  readonly artifactType?: string;
  readonly subject?: Descriptor;
}

export interface ImageConfig {
  /** Empty when the configuration does not say. */
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  /** Digests of the uncompressed layers, lowest first. */
  readonly diffIds: readonly Digest[];
  /** The whole document, for who carries parts of it on (`config`, `history`). */
  readonly document: Readonly<Record<string, unknown>>;
}

/**
 * The document behind a raw manifest, which is not checked against its digest here. Throws `invalid-input` naming `what` when it is
 * neither index nor manifest, or both, or not what its media type says; `unsupported` for Docker's schema 1.
 */
export function parseManifest(raw: RawManifest, what: string): ImageIndex | ImageManifest {
  const document = parseDocument(raw.raw, what);
  if (DOCKER_SCHEMA_1.includes(raw.mediaType) || document.schemaVersion === 1) {
    throw new ImagerError('unsupported', `${what}: a Docker schema 1 manifest, want schema 2 or OCI`, {
      hint: 'push the image again with a current tool',
    });
  }
  if (document.schemaVersion !== 2) {
    throw invalid(`${what}: schemaVersion ${JSON.stringify(document.schemaVersion) ?? 'missing'}, want 2`);
  }
  const isIndex = 'manifests' in document;
  // One document read as two things is how scanners and runtimes are made to see different images (CVE-2021-41190).
  if (isIndex && ('layers' in document || 'config' in document)) {
    throw invalid(`${what}: both an index and a manifest`);
  }
  const mediaType = agreedMediaType(raw.mediaType, document.mediaType, isIndex, what);
  const annotations = stringMap(document.annotations, `${what}: annotations`);
  const artifact = {
    ...(document.artifactType === undefined
      ? {}
      : { artifactType: text(document.artifactType, `${what}: artifactType`) }),
    ...(document.subject === undefined ? {} : { subject: descriptor(document.subject, `${what}: subject`) }),
  };
  if (isIndex) {
    const manifests = descriptors(document.manifests, `${what}: manifests`);
    return { kind: 'index', mediaType, manifests, annotations, ...artifact };
  }
  if (!('layers' in document) || !('config' in document)) {
    throw invalid(`${what}: neither an index (manifests) nor an image manifest (config, layers)`);
  }
  return {
    kind: 'manifest',
    mediaType,
    config: descriptor(document.config, `${what}: config`),
    layers: descriptors(document.layers, `${what}: layers`),
    annotations,
    ...artifact,
  };
}

/** Throws `invalid-input` naming `what`; the bytes are not checked against a digest here. */
export function parseImageConfig(raw: Uint8Array, what: string): ImageConfig {
  const document = parseDocument(raw, what);
  const rootfs = document.rootfs === undefined ? {} : object(document.rootfs, `${what}: rootfs`);
  const diffIds = rootfs.diff_ids ?? [];
  if (!Array.isArray(diffIds) || diffIds.length > MAX_DESCRIPTORS) {
    throw invalid(`${what}: rootfs.diff_ids: want a list of at most ${MAX_DESCRIPTORS} digests`);
  }
  const { variant } = document;
  return {
    architecture: document.architecture === undefined ? '' : text(document.architecture, `${what}: architecture`),
    os: document.os === undefined ? '' : text(document.os, `${what}: os`),
    ...(variant === undefined || variant === '' ? {} : { variant: text(variant, `${what}: variant`) }),
    diffIds: diffIds.map((one) => digestOf(one, `${what}: rootfs.diff_ids`)),
    document,
  };
}

function parseDocument(raw: Uint8Array, what: string): Record<string, unknown> {
  if (raw.length > MANIFEST_LIMIT) throw invalid(`${what}: ${raw.length} bytes, want at most ${MANIFEST_LIMIT}`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw));
  } catch (cause) {
    throw invalid(`${what}: not JSON in UTF-8`, { cause });
  }
  return object(value, what);
}

/** What the sender and the document say must be the same; either may be silent, then the shape decides. */
function agreedMediaType(served: string, written: unknown, isIndex: boolean, what: string): string {
  const own = written === undefined ? '' : text(written, `${what}: mediaType`);
  if (served !== '' && own !== '' && served !== own) {
    throw invalid(`${what}: served as ${served}, but its mediaType is ${own}`);
  }
  const mediaType = own || served || (isIndex ? OCI_INDEX : OCI_MANIFEST);
  const allowed = isIndex ? INDEX_TYPES : MANIFEST_TYPES;
  if (!allowed.includes(mediaType)) {
    throw invalid(`${what}: media type ${mediaType} for ${isIndex ? 'an index' : 'a manifest'}`);
  }
  return mediaType;
}

/** Go writes a list that nobody made as null. */
function descriptors(value: unknown, what: string): Descriptor[] {
  if (value === null) return [];
  if (!Array.isArray(value)) throw invalid(`${what}: want a list`);
  if (value.length > MAX_DESCRIPTORS)
    throw invalid(`${what}: ${value.length} entries, want at most ${MAX_DESCRIPTORS}`);
  return value.map((one, index) => descriptor(one, `${what}[${index}]`));
}

/** Throws `invalid-input` naming `what`. */
export function descriptor(value: unknown, what: string): Descriptor {
  const { mediaType, digest, size, annotations, platform, artifactType } = object(value, what);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(`${what}: size ${JSON.stringify(size) ?? 'missing'}, want a byte count`);
  }
  return {
    mediaType: text(mediaType, `${what}: mediaType`),
    digest: digestOf(digest, `${what}: digest`),
    size,
    ...(annotations === undefined ? {} : { annotations: stringMap(annotations, `${what}: annotations`) }),
    ...(platform === undefined || platform === null ? {} : { platform: platformOf(platform, `${what}: platform`) }),
    ...(artifactType === undefined ? {} : { artifactType: text(artifactType, `${what}: artifactType`) }),
  };
}

function platformOf(value: unknown, what: string): Platform {
  const { os, architecture, variant } = object(value, what);
  return {
    os: os === undefined ? '' : text(os, `${what}: os`),
    architecture: architecture === undefined ? '' : text(architecture, `${what}: architecture`),
    ...(variant === undefined || variant === '' ? {} : { variant: text(variant, `${what}: variant`) }),
  };
}

function stringMap(value: unknown, what: string): Record<string, string> {
  if (value === undefined || value === null) return {};
  const entries = Object.entries(object(value, what));
  // A map without prototype: a key may be "__proto__".
  return Object.assign(
    Object.create(null),
    Object.fromEntries(entries.map(([key, one]) => [key, text(one, `${what}: ${key}`)])),
  );
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${what}: want an object`);
  return value as Record<string, unknown>;
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string' || value.length > 4096 * 16) throw invalid(`${what}: want a text`);
  return value;
}

function digestOf(value: unknown, what: string): Digest {
  try {
    return parseDigest(text(value, what));
  } catch (error) {
    throw withContext(what, error);
  }
}
