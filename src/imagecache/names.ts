/**
 * Where an image cache keeps what: the names under which Talos' registry service looks for it. Source: spec profiles-and-inputs 10.2; upstream
 * internal/app/machined/pkg/system/services/registry.
 */
import { type Digest, parseDigest } from '../bytes/units.ts';
import { DOCKER_HUB, type Reference } from '../oci/reference.ts';

/** Configurations and layers. */
export const BLOB_DIRECTORY = 'blob';
/** Indexes and manifests by registry and repository. */
export const MANIFEST_DIRECTORY = 'manifests';
/** Below a repository: what its tags stand for. */
export const TAG_DIRECTORY = 'reference';
/** Below a repository: the same documents, and those of each platform, by digest. */
export const DIGEST_DIRECTORY = 'digest';

/** What of a reference names a repository. */
export type RepositoryName = Pick<Reference, 'registry' | 'repository'>;

export function blobPath(digest: Digest): string {
  return `${BLOB_DIRECTORY}/${digestName(digest)}`;
}

export function tagPath(name: RepositoryName, tag: string): string {
  return `${repositoryPath(name)}/${TAG_DIRECTORY}/${tag}`;
}

export function digestPath(name: RepositoryName, digest: Digest): string {
  return `${repositoryPath(name)}/${DIGEST_DIRECTORY}/${digestName(digest)}`;
}

export function repositoryPath({ registry, repository }: RepositoryName): string {
  return `${MANIFEST_DIRECTORY}/${registryName(registry)}/${repository}`;
}

/** A colon cannot be in a name on FAT, where caches are copied to: `host:5000` is `host_5000_`. A node asks for Docker Hub as docker.io. */
function registryName(registry: string): string {
  if (registry === DOCKER_HUB) return 'docker.io';
  const colon = registry.lastIndexOf(':');
  return colon > 0 ? `${registry.slice(0, colon)}_${registry.slice(colon + 1)}_` : registry;
}

/** `sha256-<hex>`. */
function digestName(digest: Digest): string {
  return digest.replace(':', '-');
}

/** The digest a file is named for; `undefined` for any other name, which nobody ever asks for. */
export function digestOfName(name: string): Digest | undefined {
  return /^sha256-[0-9a-f]{64}$/.test(name) ? parseDigest(name.replace('-', ':')) : undefined;
}

/** Tags under which cosign puts the signatures of an image: its own, and that of OCI referrers. */
export function signatureTags(digest: Digest): readonly [own: string, referrers: string] {
  return [`${digestName(digest)}.sig`, digestName(digest)];
}

export function isSignatureTag(tag: string): boolean {
  return digestOfName(tag.replace(/\.sig$/, '')) !== undefined;
}
