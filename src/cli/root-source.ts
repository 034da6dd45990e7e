/** Where the trusted root of keyless signatures comes from, of what commands were given. */
import { ImagerError } from '../errors.ts';
import { type RootFinder, type RootWishes, rootFinder } from '../pipeline/root-finder.ts';
import { defaultStoreDirectory } from '../pipeline/workplace.ts';
import { parseTufUrl } from '../trust/tuf-url.ts';
import type { Io } from './io.ts';
import type { RootFlags } from './root-flags.ts';

/** Of the public repository some 8 KiB. */
const ROOT_LIMIT = 512_000;

/** Throws `usage` for a root without a repository, `invalid-input` for one that is none and for the URL, `io`. */
export async function rootWishes(
  { tufUrl, tufRoot, store }: RootFlags,
  offline: boolean,
  { platform, signal, now }: Pick<Io, 'platform' | 'signal' | 'now'>,
): Promise<RootWishes> {
  const common = { platform, store: store ?? defaultStoreDirectory(platform), offline, now: now(), signal };
  if (tufUrl === undefined && tufRoot === undefined) return common;
  if (tufUrl === undefined) throw new ImagerError('usage', 'flag --tuf-root: want --tuf-url with it');
  const url = parseTufUrl(tufUrl);
  if (tufRoot === undefined) return { ...common, repository: { url } };
  const initialRoot = await platform.files.read(tufRoot, ROOT_LIMIT);
  (await import('../trust/tuf.ts')).readTufRoot(initialRoot, tufRoot);
  return { ...common, repository: { url, initialRoot } };
}

/** Throws as `rootWishes`. */
export async function rootFinderOf(
  flags: RootFlags,
  offline: boolean,
  io: Pick<Io, 'platform' | 'signal' | 'now'>,
): Promise<RootFinder> {
  return rootFinder(await rootWishes(flags, offline, io));
}
