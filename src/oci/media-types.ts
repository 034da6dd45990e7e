/** Media types of images, in OCI's and in Docker's words (image-spec media-types.md; distribution manifest-v2-2). */

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const DOCKER_INDEX = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
export const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar';

/** Docker's first manifests: no digests of configurations, no descriptors. Not supported by anybody any more. */
export const DOCKER_SCHEMA_1: readonly string[] = [
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
];

export const INDEX_TYPES: readonly string[] = [OCI_INDEX, DOCKER_INDEX];
export const MANIFEST_TYPES: readonly string[] = [OCI_MANIFEST, DOCKER_MANIFEST];
export const CONFIG_TYPES: readonly string[] = [OCI_CONFIG, DOCKER_CONFIG];

/** Layers whose bytes may not be pushed to other registries, and are often not in this one. */
const FOREIGN_LAYERS: readonly string[] = [
  'application/vnd.docker.image.rootfs.foreign.diff.tar',
  'application/vnd.oci.image.layer.nondistributable.v1.tar',
];

const COMPRESSIONS: readonly string[] = ['', '+gzip', '+zstd', '.gzip', '.zstd'];

/** What a layer's media type says about us and it. How it is compressed is read from its first bytes, as all others do. */
export function layerKind(mediaType: string): 'layer' | 'foreign' | 'unknown' {
  const is = (base: string): boolean => COMPRESSIONS.some((compression) => mediaType === base + compression);
  if (is(OCI_LAYER) || is(DOCKER_LAYER)) return 'layer';
  return FOREIGN_LAYERS.some(is) ? 'foreign' : 'unknown';
}

/** A layer's media type in OCI's words: Docker's mean the same bytes, but do not belong into OCI's manifests. */
export function inOciWords(mediaType: string): string {
  if (!mediaType.startsWith(DOCKER_LAYER)) return mediaType;
  const compression = mediaType.slice(DOCKER_LAYER.length);
  return `${OCI_LAYER}${compression.replace('.', '+')}`;
}

/** The annotation of an index entry that names it, in a layout. */
export const REF_NAME = 'org.opencontainers.image.ref.name';
