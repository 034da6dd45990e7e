/** Small container images as values, to be served by a test registry or written as an OCI layout directory. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { Digest } from '../../src/bytes/units.ts';
import type { Descriptor, Platform } from '../../src/oci/image-source.ts';

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';

/** A manifest or index with everything below it. */
export interface TestImage {
  readonly mediaType: string;
  /** The manifest's own bytes. */
  readonly manifest: Uint8Array;
  /** Manifests of an index, exactly as referred to. */
  readonly children: readonly TestImage[];
  /** Config and layers. */
  readonly blobs: readonly Uint8Array[];
  readonly platform?: Platform;
}

export interface TestLayer {
  /** The blob as stored: plain, gzip or zstd, told by `mediaType`. */
  readonly data: Uint8Array;
  readonly mediaType?: string;
  /** What it unpacks to, where Node's own decoder does not tell: it stops after one zstd frame. */
  readonly plain?: Uint8Array;
}

/** `sha256:` and the hex digest of `data`. */
export function digestOf(data: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(data).digest('hex')}` as Digest;
}

/** The descriptor another document refers to `data` with. */
export function describe(data: Uint8Array, mediaType: string): Descriptor {
  return { mediaType, digest: digestOf(data), size: data.length };
}

/** An image of the given layers, lowest first, with a config whose `diff_ids` are right. */
export function testImage(layers: readonly TestLayer[], platform: Platform = LINUX_AMD64): TestImage {
  const config = encode({
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    config: {},
    rootfs: {
      type: 'layers',
      diff_ids: layers.map(({ data, mediaType, plain }) => digestOf(plain ?? uncompressed(data, mediaType))),
    },
  });
  const manifest = encode({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: describe(config, OCI_CONFIG),
    layers: layers.map(({ data, mediaType }) => describe(data, mediaType ?? OCI_LAYER)),
  });
  return {
    mediaType: OCI_MANIFEST,
    manifest,
    children: [],
    blobs: [config, ...layers.map(({ data }) => data)],
    platform,
  };
}

/** An index over images, in the given order. */
export function testIndex(images: readonly TestImage[]): TestImage {
  const manifests = images.map((image) => ({
    ...describe(image.manifest, image.mediaType),
    ...(image.platform === undefined ? {} : { platform: image.platform }),
  }));
  const manifest = encode({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
  return { mediaType: OCI_INDEX, manifest, children: images, blobs: [] };
}

export interface TestArtifact {
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Left out where a list is to be all that tells. */
  readonly subject?: TestImage;
}

/** A manifest about another one, with `payload` as its only blob besides the empty configuration. */
export function testArtifact(payload: Uint8Array, { artifactType, annotations, subject }: TestArtifact): TestImage {
  const config = new TextEncoder().encode('{}');
  const manifest = encode({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType,
    config: describe(config, 'application/vnd.oci.empty.v1+json'),
    layers: [describe(payload, 'application/octet-stream')],
    subject: subject && describe(subject.manifest, subject.mediaType),
    annotations,
  });
  return { mediaType: OCI_MANIFEST, manifest, children: [], blobs: [config, payload] };
}

/** The image and, recursively, all its children. */
export function withChildren(image: TestImage): TestImage[] {
  return [image, ...image.children.flatMap(withChildren)];
}

/** Writes an OCI image layout (`oci-layout`, `index.json`, `blobs/sha256`) with each image under its reference name. */
export async function writeLayout(directory: string, images: Readonly<Record<string, TestImage>>): Promise<void> {
  const blobs = join(directory, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  const all = Object.values(images).flatMap(withChildren);
  for (const data of all.flatMap((image) => [image.manifest, ...image.blobs])) {
    await writeFile(join(blobs, digestOf(data).slice('sha256:'.length)), data);
  }
  const manifests = Object.entries(images).map(([name, image]) => ({
    ...describe(image.manifest, image.mediaType),
    annotations: { 'org.opencontainers.image.ref.name': name },
    ...(image.platform === undefined ? {} : { platform: image.platform }),
  }));
  await writeFile(join(directory, 'oci-layout'), encode({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(directory, 'index.json'), encode({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
}

/** Incompressible bytes that depend on `seed` alone (xorshift32). */
export function randomBytes(size: number, seed: number): Uint8Array {
  const out = new Uint8Array(size);
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  for (let at = 0; at < size; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[at] = state >>> 24;
  }
  return out;
}

const LINUX_AMD64: Platform = { os: 'linux', architecture: 'amd64' };

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function uncompressed(data: Uint8Array, mediaType = OCI_LAYER): Uint8Array {
  if (mediaType.endsWith('gzip')) return gunzipSync(data);
  return mediaType.endsWith('zstd') ? zstdDecompressSync(data) : data;
}
