/** What every stage of a build works with: the machine, the store, and how images may be reached. */
import type { Mirrors } from '../oci/registry/mirrors.ts';
import { openStore, type Store } from '../oci/store/store.ts';
import type { Platform } from '../platform/types.ts';
import type { OnProgress } from './progress.ts';
import type { ImageVerification, OnVerification, TrustSettings } from './verify-image.ts';

/** How registries are reached. */
export interface Transport {
  readonly mirrors?: Mirrors;
  /** Plain HTTP and unknown certificates are accepted. */
  readonly insecure?: boolean;
  /** Contact nothing: what the store has not is an error. */
  readonly offline?: boolean;
}

/** The surroundings of a build, none of which change its result. */
export interface Workplace {
  readonly platform: Platform;
  /** Directory of the store; opened when an image is needed. */
  readonly store: string;
  readonly transport: Transport;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** Told what a build finds out about its inputs, one sentence each; what is known before is in the plan's `warnings`. */
  readonly onWarning?: (text: string) => void;
  /** Whose images may be used. */
  readonly trust?: TrustSettings;
  readonly onVerification?: OnVerification;
  /** What names led to when the build was planned: what signatures are about, and what names mean from now on where nothing may be contacted. */
  readonly planned?: readonly Pick<ImageVerification, 'image' | 'digest' | 'status'>[];
  /** Which programs of overlays may run here; those of verified images and of the user's own files unless given. */
  readonly overlayPrograms?: 'verified' | 'allowed' | 'forbidden';
  /** Milliseconds such a program has; two minutes unless given. */
  readonly overlayTimeout?: number;
}

/** `$XDG_CACHE_HOME/bootwright`, else `~/.cache/bootwright`. */
export function defaultStoreDirectory(platform: Pick<Platform, 'environment' | 'homeDirectory'>): string {
  const cache = platform.environment.XDG_CACHE_HOME;
  // The XDG specification: a relative path there is to be ignored.
  return `${cache?.startsWith('/') === true ? cache : `${platform.homeDirectory}/.cache`}/bootwright`;
}

/** The store of the workplace; its directory is made when it is not there. Throws `io`. */
export function openWorkplaceStore({ platform, store }: Workplace): Promise<Store> {
  return openStore(platform, store);
}
