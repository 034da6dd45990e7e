/** What every stage of a build works with: the machine, the store, and how images may be reached. */
import { ImagerError } from '../errors.ts';
import { openArchive } from '../oci/archive.ts';
import type { ImageSource } from '../oci/image-source.ts';
import { openLayout } from '../oci/layout.ts';
import type { Mirrors } from '../oci/mirrors.ts';
import { formatReference, identifierOf, parseReference } from '../oci/reference.ts';
import { registrySource } from '../oci/registry.ts';
import { openStore, type Store } from '../oci/store.ts';
import type { Platform } from '../platform/types.ts';
import { type AssetSource, formatAssetSource } from './asset-source.ts';
import type { OnProgress } from './progress.ts';

export interface Transport {
  readonly mirrors?: Mirrors;
  /** Plain HTTP and unknown certificates are accepted. */
  readonly insecure?: boolean;
  /** Contact nothing: what the store has not is an error. */
  readonly offline?: boolean;
}

export interface Workplace {
  readonly platform: Platform;
  /** Directory of the store; opened when an image is needed. */
  readonly store: string;
  readonly transport: Transport;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** `$XDG_CACHE_HOME/bootwright`, else `~/.cache/bootwright`. */
export function defaultStoreDirectory(platform: Pick<Platform, 'environment' | 'homeDirectory'>): string {
  const cache = platform.environment.XDG_CACHE_HOME;
  // The XDG specification: a relative path there is to be ignored.
  return `${cache?.startsWith('/') === true ? cache : `${platform.homeDirectory}/.cache`}/bootwright`;
}

/** An image that can be asked for: by whom, under which identifier, and the name it has in the store. */
export interface LocatedImage {
  readonly source: ImageSource | undefined;
  readonly identifier: string;
  readonly referenceName: string;
}

/** Where an image is to be had. Without a source it can only come from the store. Throws `invalid-input`, `io`. */
export async function locateImage(
  workplace: Workplace,
  from: Exclude<AssetSource, { kind: 'directory' }>,
): Promise<LocatedImage> {
  const { platform, transport } = workplace;
  const referenceName = formatAssetSource(from);
  switch (from.kind) {
    case 'registry': {
      const reference = parseReference(from.reference);
      const options = { mirrors: transport.mirrors ?? {}, insecure: transport.insecure === true };
      const source = transport.offline === true ? undefined : registrySource(platform, reference, options);
      return { source, identifier: identifierOf(reference), referenceName: formatReference(reference) };
    }
    case 'layout':
      return { source: await openLayout(platform, from.directory), identifier: from.name ?? '', referenceName };
    case 'oci-archive':
    case 'docker-archive':
      return { source: await openArchive(platform, from.kind, from.file), identifier: from.name ?? '', referenceName };
  }
}

export function openWorkplaceStore(workplace: Workplace): Promise<Store> {
  return openStore(workplace.platform, workplace.store);
}

export function notInStore(name: string, store: string): ImagerError {
  return new ImagerError('dependency', `${name}: not in the store ${store}, and --offline allows no other place`, {
    hint: 'build once without --offline, or name an OCI layout with --imager-image oci:DIR',
  });
}

/** Hosts of registries only speak for themselves; local sources contact nobody. */
export function isRemote(from: AssetSource): from is Extract<AssetSource, { kind: 'registry' }> {
  return from.kind === 'registry';
}
