/**
 * The trusted root where no file gives one: what was fetched from a TUF repository and is kept in the store, fetched anew when it is old, else the
 * built-in one of the public instance. A refresh that fails is told and changes nothing.
 */
import type { Digest } from '../bytes/units.ts';
import { ImagerError, withContext } from '../errors.ts';
import { finishDigest } from '../oci/digest-check.ts';
import { keepTrustedRoot, keptTrustedRoot } from '../oci/store/trusted-roots.ts';
import { decodeBase64, encodeBase64 } from '../trust/base64.ts';
import { publicGoodDocument, publicGoodOrigin, publicGoodTufRoot } from '../trust/public-good.ts';
import { asObject } from '../trust/strict-json.ts';
import { parseTrustedRoot } from '../trust/trusted-root.ts';
import { readTufRoot, type TufState } from '../trust/tuf.ts';
import { PUBLIC_GOOD_URL } from '../trust/tuf-url.ts';
import type { FoundRoot, RootWishes } from './root-finder.ts';
import { fetchTufState } from './tuf-repository.ts';

const DAY = 86_400;
/** Seconds after which a root is fetched anew, if that may be. Keys are announced long before they sign. */
export const REFRESH_AFTER: number = 30 * DAY;
/** Seconds until a refresh that failed is tried again: where there is no network, each try costs its budget. */
export const RETRY_AFTER: number = DAY;
/** Seconds from which on a root is too old to go unmentioned. */
export const TOO_OLD: number = 180 * DAY;
/** Milliseconds of a refresh that nobody asked for, and of one that somebody did. */
const BUDGET = 10_000;
const ASKED_BUDGET = 60_000;

/** Fetches it now, however old the kept one is. Throws `dependency` offline and as fetching does, `verification`, `io`. */
export async function refreshRoot(wishes: RootWishes): Promise<FoundRoot> {
  if (wishes.offline)
    throw new ImagerError('dependency', 'trusted root: offline, and a refresh contacts its repository');
  const place = placeOf(wishes);
  const kept = await readKept(wishes, place);
  try {
    const fetched = await fetchRoot(wishes, place, kept, wishes.budget ?? ASKED_BUDGET);
    await keepTrustedRoot(wishes.platform, wishes.store, place.key, recordOf(fetched, place));
    return currentOf(fetched, place, wishes.now);
  } catch (error) {
    throw withContext(`trusted root from ${place.label}`, error);
  }
}

/** Fetched now unless it was, or in vain, within a day; `undefined` where that brings nothing. Throws `canceled`. */
export async function renewRoot(wishes: RootWishes): Promise<FoundRoot | undefined> {
  const { now, offline } = wishes;
  if (offline) return undefined;
  const place = placeOf(wishes);
  const kept = await readKept(wishes, place);
  const builtIn = place.isPublic ? publicGoodOrigin().date : Number.NEGATIVE_INFINITY;
  const last = Math.max(kept?.fetched ?? builtIn, kept?.tried ?? builtIn);
  if (now - last < RETRY_AFTER) return undefined;
  try {
    const fetched = await fetchRoot(wishes, place, kept, wishes.budget ?? BUDGET);
    await keep(wishes, place, fetched);
    return currentOf(fetched, place, now);
  } catch (error) {
    if (!(error instanceof ImagerError) || error.code === 'canceled') throw error;
    await keep(wishes, place, { ...kept, tried: now, failure: error.message });
    return undefined;
  }
}

/** Throws where there is no root at all: as `refreshRoot`. */
export async function findRoot(wishes: RootWishes): Promise<FoundRoot> {
  const { now, offline } = wishes;
  const place = placeOf(wishes);
  const kept = await readKept(wishes, place);
  const before = rootIn(kept, place);
  const isOld = before === undefined || now - before.date > REFRESH_AFTER;
  if (!isOld || offline) return withAge(before ?? noRoot(place), now, undefined);
  const sinceTried = now - (kept?.tried ?? Number.NEGATIVE_INFINITY);
  const mayTry = before === undefined || sinceTried < 0 || sinceTried >= RETRY_AFTER;
  if (!mayTry) return withAge(before, now, kept?.failure);
  let fetched: Fetched;
  try {
    fetched = await fetchRoot(wishes, place, kept, wishes.budget ?? BUDGET);
  } catch (error) {
    if (!(error instanceof ImagerError) || error.code === 'canceled') throw error;
    if (before === undefined) throw withContext(`trusted root from ${place.label}`, error);
    await keep(wishes, place, { ...kept, tried: now, failure: error.message });
    return withAge(before, now, error.message);
  }
  const trouble = await keep(wishes, place, fetched);
  const current = currentOf(fetched, place, now);
  return trouble === undefined ? current : { ...current, warnings: [...current.warnings, trouble] };
}

/** A repository, and what it is followed from. */
interface Place {
  readonly url: string;
  readonly label: string;
  readonly initialRoot: Uint8Array;
  /** Of what is kept of it. */
  readonly key: Digest;
  /** The built-in root stands in for what was not fetched. */
  readonly isPublic: boolean;
}

function placeOf({ platform, repository }: RootWishes): Place {
  const url = repository?.url ?? PUBLIC_GOOD_URL;
  const initialRoot = repository?.initialRoot ?? publicGoodTufRoot();
  const hash = platform.hash('sha256');
  hash.update(new TextEncoder().encode(`${url}\n`));
  hash.update(initialRoot);
  const label = url.replace(/^https?:\/\//, '');
  // A copy of the public repository speaks for the same instance.
  return { url, label, initialRoot, key: finishDigest(hash), isPublic: repository?.initialRoot === undefined };
}

/** What is known of a repository. */
interface Kept {
  readonly state?: TufState;
  /** When that was fetched, seconds since 1970. */
  readonly fetched?: number;
  /** When a refresh failed, and why. */
  readonly tried?: number;
  readonly failure?: string;
}

type Fetched = Kept & { readonly state: TufState; readonly fetched: number };

async function fetchRoot(
  { platform, now, signal }: RootWishes,
  { url, initialRoot, label }: Place,
  kept: Kept | undefined,
  budget: number,
): Promise<Fetched> {
  const before = kept?.state;
  const state = await fetchTufState({ platform, url, initialRoot, before, now, budget, signal });
  // What cannot be read is of no use, whoever signed it.
  parseTrustedRoot(state.target, `${label}/targets/trusted_root.json`);
  return { state, fetched: now };
}

/** The newest root that is here. */
function rootIn(kept: Kept | undefined, place: Place): Omit<FoundRoot, 'warnings'> | undefined {
  const builtIn = place.isPublic ? { ...publicGoodOrigin(), document: publicGoodDocument() } : undefined;
  if (kept?.state === undefined || kept.fetched === undefined) return builtIn;
  if (kept.fetched < (builtIn?.date ?? 0)) return builtIn;
  return fetchedRoot(kept as Fetched, place);
}

function currentOf(fetched: Fetched, place: Place, now: number): FoundRoot {
  return withAge(fetchedRoot(fetched, place), now, undefined);
}

function fetchedRoot({ state, fetched }: Fetched, { label }: Place): Omit<FoundRoot, 'warnings'> {
  const { version, expires } = readTufRoot(state.root, label);
  const origin = `from ${label}, version ${version}, fetched ${dateOf(fetched)} (to be renewed before ${dateOf(expires)})`;
  return { document: new TextDecoder().decode(state.target), origin, date: fetched, expires };
}

function withAge(found: Omit<FoundRoot, 'warnings'>, now: number, failure: string | undefined): FoundRoot {
  const { date, expires } = found;
  const age = `that of ${dateOf(date)}, ${daysBetween(date, now)} days old`;
  const warnings: string[] = [];
  if (failure !== undefined) warnings.push(`trusted root: could not be refreshed, going on with ${age}: ${failure}`);
  if (now - date > TOO_OLD || now > expires) {
    warnings.push(
      `trusted root: ${age}, may lack newer keys and have withdrawn ones; imager trust refresh renews it, --trusted-root FILE brings another`,
    );
  }
  return { ...found, warnings };
}

/** Whole days; none where the clock is behind. */
export function daysBetween(from: number, to: number): number {
  return Math.max(0, Math.floor((to - from) / DAY));
}

function dateOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}

function noRoot({ label }: Place): never {
  throw new ImagerError(
    'dependency',
    `trusted root from ${label}: not in the store, and offline there is no other place`,
    {
      hint: 'imager trust refresh fetches it where there is a network, --trusted-root FILE brings it',
    },
  );
}

/** In words why not: what was fetched is of use all the same. */
async function keep({ platform, store }: RootWishes, place: Place, kept: Kept): Promise<string | undefined> {
  try {
    await keepTrustedRoot(platform, store, place.key, recordOf(kept, place));
    return undefined;
  } catch (error) {
    if (!(error instanceof ImagerError)) throw error;
    return `trusted root: cannot be kept in the store: ${error.message}`;
  }
}

const STATE_FILES = ['root', 'timestamp', 'snapshot', 'targets', 'target'] as const;

/** JSON; files in base64. */
function recordOf({ state, ...times }: Kept, { url }: Place): object {
  if (state === undefined) return { url, ...times };
  return { url, ...times, state: Object.fromEntries(STATE_FILES.map((name) => [name, encodeBase64(state[name])])) };
}

/** What cannot be read counts as not there. */
async function readKept({ platform, store }: RootWishes, place: Place): Promise<Kept | undefined> {
  const raw = await keptTrustedRoot(platform, store, place.key);
  if (raw === undefined) return undefined;
  try {
    const { state, fetched, tried, failure } = asObject(raw, place.label);
    const times: Kept = {
      ...(typeof tried === 'number' ? { tried } : {}),
      ...(typeof failure === 'string' ? { failure } : {}),
    };
    if (state === undefined || typeof fetched !== 'number') return times;
    const files = asObject(state, place.label);
    const decoded = STATE_FILES.map((name) => [name, decodeBase64(String(files[name]), name)]);
    const kept = { ...times, fetched, state: Object.fromEntries(decoded) as TufState };
    parseTrustedRoot(kept.state.target, place.label);
    readTufRoot(kept.state.root, place.label);
    return kept;
  } catch (error) {
    if (!(error instanceof ImagerError)) throw error;
    return undefined;
  }
}
