/** Small images of several kinds, in a registry of this process: what image caches are made of in tests. */
import { gzipSync } from 'node:zlib';
import type { Literal } from '../../src/tree/tree.ts';
import {
  describe,
  digestOf,
  OCI_CONFIG,
  OCI_LAYER,
  OCI_MANIFEST,
  randomBytes,
  type TestImage,
  testImage,
  testIndex,
  withChildren,
} from './image.ts';

/** An index for amd64 and arm64 that share their lowest layer. */
export function twoPlatforms(seed: number, size = 5_000): TestImage {
  const base = layer(seed, size);
  return testIndex([
    testImage([base, layer(seed + 1, 700)], { os: 'linux', architecture: 'amd64' }),
    testImage([base, layer(seed + 2, 900)], { os: 'linux', architecture: 'arm64' }),
  ]);
}

/** A manifest without index, for one platform. */
export function onePlatform(seed: number, architecture = 'amd64'): TestImage {
  return testImage([layer(seed, 3_000)], { os: 'linux', architecture });
}

/** What cosign puts under the tag `sha256-<hex>.sig`: a manifest with an empty platform whose layer is the payload. */
export function signatureOf(image: TestImage): TestImage {
  const payload = new TextEncoder().encode(
    JSON.stringify({ critical: { image: { 'docker-manifest-digest': digestOf(image.manifest) } } }),
  );
  const config = new TextEncoder().encode(
    JSON.stringify({ architecture: '', os: '', rootfs: { type: 'layers', diff_ids: [digestOf(payload)] } }),
  );
  const manifest = new TextEncoder().encode(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: describe(config, OCI_CONFIG),
      layers: [describe(payload, 'application/vnd.dev.cosign.simplesigning.v1+json')],
    }),
  );
  return { mediaType: OCI_MANIFEST, manifest, children: [], blobs: [config, payload] };
}

/** What refers to an image by its subject: a Sigstore bundle, or another artifact. */
export function bundleFor(
  image: TestImage,
  content: string,
  artifactType = 'application/vnd.dev.sigstore.bundle.v0.3+json',
): TestImage {
  const [config, layer] = [new TextEncoder().encode('{}'), new TextEncoder().encode(content)];
  const document = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType,
    config: describe(config, 'application/vnd.oci.empty.v1+json'),
    layers: [describe(layer, artifactType)],
    subject: describe(image.manifest, image.mediaType),
  };
  const manifest = new TextEncoder().encode(JSON.stringify(document));
  return { mediaType: OCI_MANIFEST, manifest, children: [], blobs: [config, layer] };
}

/** The tag of a signature. */
export function signatureTag(image: TestImage): string {
  return `${digestOf(image.manifest).replace(':', '-')}.sig`;
}

function layer(seed: number, size: number): { readonly data: Uint8Array; readonly mediaType: string } {
  return { data: gzipSync(randomBytes(size, seed)), mediaType: `${OCI_LAYER}+gzip` };
}

/** The files of a cache with these images, by `<registry directory>/<repository>:<tag>`. */
export function cacheFiles(images: Readonly<Record<string, TestImage>>): Record<string, Literal> {
  const files: Record<string, Literal> = { blob: null, manifests: null };
  for (const [name, image] of Object.entries(images)) {
    const at = name.lastIndexOf(':');
    const repository = `manifests/${name.slice(0, at)}`;
    files[`${repository}/reference/${name.slice(at + 1)}`] = image.manifest;
    for (const { manifest, blobs } of withChildren(image)) {
      files[`${repository}/digest/${fileName(manifest)}`] = manifest;
      for (const data of blobs) files[`blob/${fileName(data)}`] = data;
    }
  }
  return files;
}

function fileName(data: Uint8Array): string {
  return digestOf(data).replace(':', '-');
}
