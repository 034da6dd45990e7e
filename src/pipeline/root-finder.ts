/** What is asked for a trusted root, and what is answered. The work is in `trusted-root.ts`, loaded when somebody asks: most builds need none. */
import type { Platform } from '../platform/types.ts';
import { PUBLIC_GOOD_URL } from '../trust/tuf-url.ts';

/** Where trusted roots are published. */
export interface TufRepository {
  /** As `parseTufUrl` has it. */
  readonly url: string;
  /** The `root.json` it is followed from; that of the public instance, for a copy of its repository, unless given. */
  readonly initialRoot?: Uint8Array;
}

/** What decides about a root, besides what is kept of it. */
export interface RootWishes {
  readonly platform: Platform;
  /** Directory of the store. */
  readonly store: string;
  /** Contact nothing. */
  readonly offline: boolean;
  /** Seconds since 1970. */
  readonly now: number;
  /** That of the public instance unless given. */
  readonly repository?: TufRepository;
  /** Milliseconds for a refresh; ten seconds unless given, a minute where it was asked for. */
  readonly budget?: number;
  readonly signal?: AbortSignal;
}

/** A root, and what there is to say of it. */
export interface FoundRoot {
  /** In JSON, as a file for other tools. */
  readonly document: string;
  /** Where it comes from, in words. */
  readonly origin: string;
  /** When it was fetched, or published with this program, seconds since 1970. */
  readonly date: number;
  /** Before which its publisher promised a newer one, seconds since 1970. */
  readonly expires: number;
  /** What is wrong with it, or with fetching it. */
  readonly warnings: readonly string[];
}

/** A root that is looked for when it is needed. */
export interface RootFinder {
  /** Once; later calls have the same answer. Throws where there is no root at all: `dependency`, `verification`. */
  find(): Promise<FoundRoot>;
  /** One fetched just now, for signatures by keys that the found one does not know; `undefined` where none is to be had, or was asked for within a day. */
  renewed(): Promise<FoundRoot | undefined>;
  /** `host[:port]` that may be contacted for it. */
  readonly hosts: readonly string[];
}

/**
 * For `trust.root` of a workplace: builds that have to judge an identity then follow its TUF repository, where without it they believe the built-in root.
 *
 * @example
 * const root = rootFinder({ platform, store, offline: false, now: Date.now() / 1000 });
 * const workplace = { platform, store, transport: {}, trust: { rules: [], otherwise: [], root } };
 */
export function rootFinder(wishes: RootWishes): RootFinder {
  let found: Promise<FoundRoot> | undefined;
  let renewed: Promise<FoundRoot | undefined> | undefined;
  const renew = async (): Promise<FoundRoot | undefined> => (await import('./trusted-root.ts')).renewRoot(wishes);
  const find = async (): Promise<FoundRoot> => (await import('./trusted-root.ts')).findRoot(wishes);
  return {
    hosts: wishes.offline ? [] : [new URL(wishes.repository?.url ?? PUBLIC_GOOD_URL).host],
    find() {
      found ??= find();
      return found;
    },
    renewed() {
      renewed ??= renew();
      return renewed;
    },
  };
}
