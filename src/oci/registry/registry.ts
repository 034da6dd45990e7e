/**
 * Registries as sources of images: the pull half of the OCI distribution protocol, over mirrors and the registry itself.
 * Source: OCI distribution-spec v1.1, spec factory-and-signatures H.
 */
import { type Digest, parseDigest } from '../../bytes/units.ts';
import { ImagerError, invalid } from '../../errors.ts';
import type { Chunks, Platform } from '../../platform/types.ts';
import type { ImageSource, RawManifest } from '../image-source.ts';
import { isTag, type Reference } from '../reference.ts';
import { TokenCache } from './authorization.ts';
import { findCredential } from './credentials.ts';
import type { Credential, CredentialTarget } from './docker-config.ts';
import { type BlobServers, blobServers, download, rejectBlob } from './download.ts';
import { type Attempt, endpointSearch, type Question } from './endpoint-search.ts';
import { fetchManifest, type ServedManifest } from './manifest-request.ts';
import { type Endpoint, endpointsOf, isCapable, type Mirrors } from './mirrors.ts';
import { fetchReferrers } from './referrers-request.ts';
import { printable, refusedStatus } from './registry-error.ts';
import { DEFAULT_TRIES, type RetryOptions } from './retry.ts';
import { type Connection, nameOf, openSession, ping, type Session, type SessionOptions } from './session.ts';
import { type Clock, systemClock } from './transport.ts';

/** Milliseconds. Talos gives a pull 90 s without a byte before it calls it stalled. */
const DEFAULT_STALL_TIMEOUT = 90_000;
const DEFAULT_BUDGET = 300_000;

export interface RegistryOptions {
  readonly mirrors?: Mirrors;
  /** TLS certificates are not checked and plain HTTP is tried: the user marked this registry, its mirrors included. */
  readonly insecure?: boolean;
  /** By `host[:port]`; before every other source of credentials. */
  readonly credentials?: Readonly<Record<string, Credential>>;
  /** Attempts per request at each endpoint; 3 unless told. */
  readonly tries?: number;
  /** Milliseconds without a byte, or with hardly any, before a connection counts as broken; 90 s unless told. */
  readonly stallTimeout?: number;
  /** Milliseconds for whatever is asked for, all endpoints, tries and pauses together, but without the time a blob comes in; 5 min unless told. */
  readonly budget?: number;
  /** From 0 to below 1, for the length of pauses. */
  readonly random?: () => number;
  /** `bootwright` unless told. */
  readonly userAgent?: string;
  readonly clock?: Clock;
  /** Told what happened on the way to a result. */
  readonly report?: (event: RegistryEvent) => void;
}

/** `what` is `manifest a/b:v1` or `blob a/b@sha256:...`, `endpoint` a host, with its path where that is not `/v2`. */
export type RegistryEvent =
  | { readonly kind: 'served'; readonly what: string; readonly endpoint: string }
  | { readonly kind: 'failed'; readonly what: string; readonly endpoint: string; readonly reason: string }
  /** The endpoint announced another digest than its manifest has; the computed one counts. */
  | { readonly kind: 'digest-differs'; readonly what: string; readonly endpoint: string; readonly announced: string };

/** What of a reference names a repository. */
export type RepositoryName = Pick<Reference, 'registry' | 'repository'>;

/** Registries under one set of options; their sources share connections and tokens. */
export interface Registries {
  /** At all endpoints of its registry unless told. */
  source(name: RepositoryName, endpoints?: readonly Endpoint[]): ImageSource;
}

/** One repository as a source of images. Nothing is contacted before the source is asked. Throws `invalid-input` for mirrors that are no URLs. */
export function registrySource(platform: Platform, name: RepositoryName, options: RegistryOptions = {}): ImageSource {
  return openRegistries(platform, options).source(name);
}

/** One repository at one of its endpoints and nowhere else. */
export function endpointSource(
  platform: Platform,
  name: RepositoryName,
  endpoint: Endpoint,
  options: RegistryOptions = {},
): ImageSource {
  return openRegistries(platform, options).source(name, [endpoint]);
}

/** For the sources of one build: what was found out about an endpoint for one image serves the next. */
export function openRegistries(platform: Platform, options: RegistryOptions = {}): Registries {
  const session = sessionOptionsOf(platform, options);
  const connections = new Map<string, Promise<Connection>>();
  const connect: Connect = async (endpoint, repository, signal) => {
    const { schemes, host, path } = endpoint;
    const key = JSON.stringify([schemes, host, path]);
    const connection = await remember(connections, key, signal, () => ping(platform, endpoint, session, signal));
    return openSession(platform, endpoint, repository, connection, session);
  };
  return {
    source: (name, endpoints = endpointsOf(name.registry, options.mirrors, options.insecure)) =>
      repositorySource(platform, name, endpoints, options, session, connect),
  };
}

/** What was not said by its default; tokens and credentials are remembered as long as the result is used. */
export function sessionOptionsOf(
  platform: Platform,
  options: Omit<RegistryOptions, 'mirrors' | 'report'>,
): SessionOptions {
  const clock = options.clock ?? systemClock;
  return {
    insecure: options.insecure === true,
    tries: options.tries ?? DEFAULT_TRIES,
    clock,
    random: options.random ?? Math.random,
    budget: options.budget ?? DEFAULT_BUDGET,
    tokens: new TokenCache(clock),
    stallTimeout: options.stallTimeout ?? DEFAULT_STALL_TIMEOUT,
    userAgent: options.userAgent ?? 'bootwright',
    credential: credentialsOf(platform, options.credentials ?? {}),
  };
}

type Connect = (endpoint: Endpoint, repository: string, signal?: AbortSignal) => Promise<Session>;

function repositorySource(
  platform: Platform,
  { registry, repository }: RepositoryName,
  endpoints: readonly Endpoint[],
  options: Pick<RegistryOptions, 'report'>,
  { tries, clock, random, budget, stallTimeout }: SessionOptions,
  connect: Connect,
): ImageSource {
  const label = `${registry}/${repository}`;
  const report = options.report ?? (() => undefined);
  const sessions = new Map<Endpoint, Promise<Session>>();
  const servers = new Map<Digest, BlobServers>();
  /** What is asked for by digest is the same everywhere: it begins where the last answer came from, so that a dead mirror is met once. */
  let lastServer: Endpoint | undefined;

  const retry: RetryOptions = { tries, clock, random };
  const search = endpointSearch({
    label,
    budget,
    retry,
    connect: (endpoint, signal) => remember(sessions, endpoint, signal, () => connect(endpoint, repository, signal)),
    onServed(what, endpoint) {
      lastServer = endpoint;
      report({ kind: 'served', what, endpoint: nameOf(endpoint) });
    },
    onFailed: (what, endpoint, { message: reason }) =>
      report({ kind: 'failed', what, endpoint: nameOf(endpoint), reason }),
  });

  const pullers = endpoints.filter((one) => isCapable(one, 'pull'));
  const byTag = endpoints.filter((one) => isCapable(one, 'resolve'));
  const byDigest = (): readonly Endpoint[] => {
    const last = lastServer;
    return last === undefined || !pullers.includes(last) ? pullers : [last, ...pullers.filter((one) => one !== last)];
  };

  const serversOf = (digest: Digest): BlobServers => {
    const known = servers.get(digest) ?? blobServers(pullers);
    servers.set(digest, known);
    return known;
  };

  /** What a source of manifests by tag or digest asks with, and how one endpoint is asked. */
  const manifestQuestion = (identifier: string, signal: AbortSignal | undefined): ManifestQuestion => {
    const digest = digestIn(identifier, label);
    const what = `manifest ${repository}${digest === undefined ? ':' : '@'}${identifier}`;
    const question = { what, order: digest === undefined ? byTag : byDigest(), signal };
    let doubtful: { readonly manifest: RawManifest; readonly event: RegistryEvent } | undefined;
    return {
      question,
      async request({ session, retry: within, signal: limited }) {
        const fetch = (): Promise<ServedManifest> =>
          fetchManifest(platform, session, within, { identifier, digest, what, signal: limited });
        const endpoint = nameOf(session.endpoint);
        const first = await fetch();
        if (first.otherDigest === undefined) return first.manifest;
        const announced = printable(first.otherDigest, 100);
        const event = { kind: 'digest-differs', what, endpoint, announced } as const;
        if (digest !== undefined) {
          report(event);
          return first.manifest;
        }
        // Damaged on the way, or is that what the endpoint has?
        const second = await fetch();
        if (second.otherDigest === undefined) return second.manifest;
        doubtful ??= { manifest: second.manifest, event };
        throw new ImagerError(
          'dependency',
          `${endpoint}: ${what}: announced as ${announced}, has ${second.manifest.digest}`,
        );
      },
      orDoubtful(error) {
        if (doubtful === undefined || !(error instanceof ImagerError) || error.code === 'canceled') throw error;
        report(doubtful.event);
        report({ kind: 'served', what, endpoint: doubtful.event.endpoint });
        return doubtful.manifest;
      },
    };
  };

  return {
    label,
    isPersistent: true,
    async manifest(identifier, signal) {
      const { question, request, orDoubtful } = manifestQuestion(identifier, signal);
      return search.ask(question, request).catch(orDoubtful);
    },
    async findManifest(identifier, signal) {
      const { question, request, orDoubtful } = manifestQuestion(identifier, signal);
      return search.askIfAny(question, (attempt) => request(attempt).catch(unlessNotFound)).catch(orDoubtful);
    },
    async referrers(digest, { artifactType, signal } = {}) {
      const what = `referrers of ${repository}@${digest}`;
      const question = { what, order: byDigest(), signal };
      const found = await search.askIfAny(question, async ({ session, retry: within, signal: limited }) => {
        const wish = { digest, artifactType, what, signal: limited };
        const listed = await fetchReferrers(session, within, wish);
        // A mirror may have copied the image alone.
        return listed === undefined || listed.length === 0 ? undefined : listed;
      });
      return found ?? [];
    },
    async blob({ digest, size }, from, signal) {
      if (!Number.isSafeInteger(from) || from < 0 || from > size) {
        throw invalid(`${label}: blob ${digest} from ${from}: want 0..${size}`);
      }
      if (from === size && size > 0) return { from, chunks: nothing() };
      const what = `blob ${repository}@${digest}`;
      const wish = { digest, size, what, label, signal, search, retry, stallTimeout, budget };
      return download({ ...wish, endpoints: byDigest(), servers: serversOf(digest) }, from);
    },
    reject: (digest) => rejectBlob(serversOf(digest)),
  };
}

interface ManifestQuestion {
  readonly question: Question;
  /** A manifest that is not what its endpoint announced counts as a failure: another endpoint may do better. */
  readonly request: (attempt: Attempt) => Promise<RawManifest>;
  /** Where none does, the bytes are what there is, and their digest is what counts. */
  readonly orDoubtful: (error: unknown) => RawManifest;
}

function unlessNotFound(error: unknown): undefined {
  if (refusedStatus(error) !== 404) throw error;
  return undefined;
}

/** The digest an identifier is, `undefined` for a tag. Checked, because it becomes a part of a URL. */
function digestIn(identifier: string, label: string): Digest | undefined {
  if (identifier.includes(':')) return parseDigest(identifier);
  if (!isTag(identifier)) throw invalid(`${label}: "${printable(identifier, 140)}": want a tag or a digest`);
  return undefined;
}

/** Looked up once per target: a helper may ask the user something. */
function credentialsOf(platform: Platform, own: Readonly<Record<string, Credential>>): SessionOptions['credential'] {
  const known = new Map<string, Promise<Credential | undefined>>();
  return (target: CredentialTarget, signal) => {
    if (Object.hasOwn(own, target.host)) return Promise.resolve(own[target.host]);
    const key = JSON.stringify([target.host, target.repository]);
    return remember(known, key, signal, () => findCredential(platform, target, signal));
  };
}

/**
 * The value made before, or made now; a failed one is made again next time, and one that somebody else's abort took away
 * at once.
 */
async function remember<K, T>(
  known: Map<K, Promise<T>>,
  key: K,
  signal: AbortSignal | undefined,
  make: () => Promise<T>,
): Promise<T> {
  const old = known.get(key);
  if (old !== undefined) {
    try {
      return await old;
    } catch (error) {
      const isTheirs = error instanceof ImagerError && error.code === 'canceled' && signal?.aborted !== true;
      if (!isTheirs) throw error;
      return remember(known, key, signal, make);
    }
  }
  const made = make().catch((error: unknown) => {
    known.delete(key);
    throw error;
  });
  known.set(key, made);
  return made;
}

async function* nothing(): Chunks {}
