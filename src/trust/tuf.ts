/**
 * Following a TUF repository to its trusted root. The library makes every check of the client's workflow; here is in which order files are asked
 * for. Source: The Update Framework specification 1.0, section 5.
 */
import { BadVersionError, EqualVersionError, ExpiredMetadataError } from 'tuf-js/dist/error.js';
import { TrustedMetadataStore } from 'tuf-js/dist/store.js';
import { ImagerError } from '../errors.ts';
import { asBuffer } from './base64.ts';
import { TRUSTED_ROOT_LIMIT } from './trusted-root.ts';

/** What a repository of sigstore calls it. */
const TARGET = 'trusted_root.json';

/** Bytes: what the reference client allows. */
const ROOT_LIMIT = 512_000;
const TIMESTAMP_LIMIT = 16_384;
const SNAPSHOT_LIMIT = 2_000_000;
const TARGETS_LIMIT = 5_000_000;

/** Of roots; the public instance has two or three a year. */
const MAX_ROTATIONS = 256;

/** A file of the repository by its path; `undefined` when it is not there. Throws `dependency`, and `verification` for more than `limit` bytes. */
export type TufFetch = (path: string, limit: number) => Promise<Uint8Array | undefined>;

/** What the last time was verified: the next one may not fall behind it. */
export interface TufState {
  readonly root: Uint8Array;
  readonly timestamp: Uint8Array;
  readonly snapshot: Uint8Array;
  readonly targets: Uint8Array;
  /** The trusted root. */
  readonly target: Uint8Array;
}

/** A TUF root as far as people care. */
export interface TufRootInfo {
  readonly version: number;
  /** Seconds since 1970. */
  readonly expires: number;
}

/**
 * The state after `before`, or after `initial`, the root.json that is believed without having been checked. `now` is in seconds since 1970.
 * Throws `verification` naming the file and what is wrong with it (expired, rolled back, not signed by those who should have), `dependency` for
 * what the repository does not have, `invalid-input` for an initial root that is none, and what `fetch` throws.
 */
export async function followTuf(
  initial: Uint8Array,
  before: TufState | undefined,
  fetch: TufFetch,
  now: number,
): Promise<TufState> {
  const walk: Walk = { now, set: openSet(before?.root ?? initial, now), fetch };
  const root = (await rotateRoots(walk)) ?? before?.root ?? initial;
  const timestamp = await updateTimestamp(walk, before?.timestamp);
  const { consistentSnapshot } = walk.set.root.signed;
  const versioned = (version: number, name: string): string => (consistentSnapshot ? `${version}.${name}` : name);
  const { version, length } = walk.set.timestamp!.signed.snapshotMeta;
  const snapshot = await update(walk, before?.snapshot, {
    path: versioned(version, 'snapshot.json'),
    limit: Math.min(length ?? SNAPSHOT_LIMIT, SNAPSHOT_LIMIT),
    accept: (raw, isKept) => walk.set.updateSnapshot(raw, isKept),
  });
  const listed = walk.set.snapshot!.signed.meta['targets.json'];
  if (listed === undefined) throw new ImagerError('verification', 'snapshot.json: lists no targets.json');
  const targets = await update(walk, before?.targets, {
    path: versioned(listed.version, 'targets.json'),
    limit: Math.min(listed.length ?? TARGETS_LIMIT, TARGETS_LIMIT),
    accept: (raw) => walk.set.updateDelegatedTargets(raw, 'targets', 'root'),
  });
  return { root, timestamp, snapshot, targets, target: await updateTarget(walk, before?.target) };
}

/** Throws `invalid-input` naming `what` for something else than a root.json. */
export function readTufRoot(raw: Uint8Array, what: string): TufRootInfo {
  try {
    const { version, expires } = openSet(raw, 0).root.signed;
    return { version, expires: Date.parse(expires) / 1000 };
  } catch (cause) {
    throw new ImagerError('invalid-input', `${what}: want the root.json of a TUF repository, signed by itself`, {
      cause,
    });
  }
}

interface Walk {
  /** Seconds since 1970. */
  readonly now: number;
  readonly set: TrustedMetadataStore;
  readonly fetch: TufFetch;
}

function openSet(root: Uint8Array, now: number): TrustedMetadataStore {
  const set = new TrustedMetadataStore(asBuffer(root));
  // The library would ask the machine's clock. Time is an input here.
  Reflect.set(set, 'referenceTime', new Date(now * 1000));
  return set;
}

/** The last root, if there is a newer one than the first. */
async function rotateRoots({ set, fetch }: Walk): Promise<Uint8Array | undefined> {
  let last: Uint8Array | undefined;
  for (let count = 0; count < MAX_ROTATIONS; count++) {
    const path = `${set.root.signed.version + 1}.root.json`;
    const raw = await fetch(path, ROOT_LIMIT);
    if (raw === undefined) return last;
    checked(path, () => set.updateRoot(asBuffer(raw)));
    last = raw;
  }
  throw new ImagerError('verification', `more than ${MAX_ROTATIONS} roots after one another`);
}

async function updateTimestamp({ set, fetch, now }: Walk, before: Uint8Array | undefined): Promise<Uint8Array> {
  // Expired or not, what comes now may not be older.
  if (before !== undefined) accepts(() => set.updateTimestamp(asBuffer(before)));
  const path = 'timestamp.json';
  const raw = await needed(fetch, path, TIMESTAMP_LIMIT);
  return checked(path, () => {
    try {
      set.updateTimestamp(asBuffer(raw));
      return raw;
    } catch (error) {
      if (!(error instanceof EqualVersionError)) throw error;
      // The library would say so of the next file.
      if (set.timestamp!.signed.isExpired(new Date(now * 1000))) {
        throw new ExpiredMetadataError('Final timestamp.json is expired');
      }
      return before!;
    }
  });
}

interface Metadata {
  readonly path: string;
  readonly limit: number;
  readonly accept: (raw: Buffer, isKept: boolean) => void;
}

/** What was kept, if it is still what is meant. */
async function update(
  { fetch }: Walk,
  before: Uint8Array | undefined,
  { path, limit, accept }: Metadata,
): Promise<Uint8Array> {
  if (before !== undefined && accepts(() => accept(asBuffer(before), true))) return before;
  const raw = await needed(fetch, path, limit);
  checked(path, () => accept(asBuffer(raw), false));
  return raw;
}

async function updateTarget({ set, fetch }: Walk, before: Uint8Array | undefined): Promise<Uint8Array> {
  const { targets } = set.targets!.signed;
  const info = Object.hasOwn(targets, TARGET) ? targets[TARGET] : undefined;
  const [hash] = Object.values(info?.hashes ?? {});
  if (info === undefined || hash === undefined) {
    throw new ImagerError('verification', `targets.json: lists no ${TARGET} with a digest`);
  }
  const isRight = async (raw: Uint8Array): Promise<void> => info.verify([raw] as never);
  if (before !== undefined) {
    const isStill = await isRight(before).then(
      () => true,
      () => false,
    );
    if (isStill) return before;
  }
  const path = `targets/${set.root.signed.consistentSnapshot ? `${hash}.` : ''}${TARGET}`;
  if (info.length > TRUSTED_ROOT_LIMIT) throw tooLarge(path, TRUSTED_ROOT_LIMIT);
  const raw = await needed(fetch, path, info.length);
  try {
    await isRight(raw);
  } catch (cause) {
    throw wrong(path, cause);
  }
  return raw;
}

export function tooLarge(path: string, limit: number): ImagerError {
  return new ImagerError('verification', `${path}: more than ${limit} bytes`);
}

async function needed(fetch: TufFetch, path: string, limit: number): Promise<Uint8Array> {
  const raw = await fetch(path, limit);
  if (raw === undefined) throw new ImagerError('dependency', `${path}: the repository has none`);
  return raw;
}

function accepts(attempt: () => void): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}

/** The library reads structures as it goes: whatever it trips over is wrong with what it was given. */
function checked<T>(path: string, attempt: () => T): T {
  try {
    return attempt();
  } catch (cause) {
    throw wrong(path, cause);
  }
}

function wrong(path: string, cause: unknown): ImagerError {
  const said = cause instanceof Error ? cause.message : String(cause);
  const kind =
    cause instanceof ExpiredMetadataError
      ? 'the repository shows an old state: '
      : cause instanceof BadVersionError
        ? 'rolled back: '
        : '';
  return new ImagerError('verification', `${path}: ${kind}${said}`, { cause });
}
