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
import { type OpenBlob, openBlob, resumingChunks } from './blob-request.ts';
import { findCredential } from './credentials.ts';
import type { Credential, CredentialTarget } from './docker-config.ts';
import { fetchManifest, type ManifestRequest } from './manifest-request.ts';
import { type Endpoint, endpointsOf, type Mirrors } from './mirrors.ts';
import { fetchReferrers } from './referrers-request.ts';
import { printable, refusedStatus } from './registry-error.ts';
import { DEFAULT_TRIES, isUnreached, pauseAfter } from './retry.ts';
import { type Connection, nameOf, openSession, ping, type Session, type SessionOptions } from './session.ts';
import { type Clock, stopIfAborted, systemClock } from './transport.ts';

export interface RegistryOptions {
  readonly mirrors?: Mirrors;
  /** TLS certificates are not checked and plain HTTP is tried: the user marked this registry, its mirrors included. */
  readonly insecure?: boolean;
  /** By `host[:port]`; before every other source of credentials. */
  readonly credentials?: Readonly<Record<string, Credential>>;
  /** Attempts per request at each endpoint; 3 unless told. */
  readonly tries?: number;
  /** Milliseconds without a byte before a connection counts as broken; the platform's own unless told. */
  readonly stallTimeout?: number;
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
  source(name: RepositoryName): ImageSource;
}

/** One repository as a source of images. Nothing is contacted before the source is asked. Throws `invalid-input` for mirrors that are no URLs. */
export function registrySource(platform: Platform, name: RepositoryName, options: RegistryOptions = {}): ImageSource {
  return openRegistries(platform, options).source(name);
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
  return { source: (name) => repositorySource(platform, name, options, session, connect) };
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
    tokens: new TokenCache(clock),
    stallTimeout: options.stallTimeout,
    userAgent: options.userAgent ?? 'bootwright',
    credential: credentialsOf(platform, options.credentials ?? {}),
  };
}

type Connect = (endpoint: Endpoint, repository: string, signal?: AbortSignal) => Promise<Session>;

function repositorySource(
  platform: Platform,
  { registry, repository }: RepositoryName,
  options: RegistryOptions,
  retry: Pick<SessionOptions, 'tries' | 'clock'>,
  connect: Connect,
): ImageSource {
  const label = `${registry}/${repository}`;
  const report = options.report ?? (() => undefined);
  const endpoints = endpointsOf(registry, options.mirrors, options.insecure);
  const sessions = new Map<Endpoint, Promise<Session>>();
  /** What is asked for by digest is the same everywhere: it begins where the last answer came from, so that a dead mirror is met once. */
  let lastServer: Endpoint | undefined;

  /** Goes on after an endpoint that fails or, with `undefined`, has no such thing. */
  const search = async <T>(
    { what, order, signal }: Question,
    request: (session: Session) => Promise<T | undefined>,
  ): Promise<Search<T>> => {
    const failures: Failure[] = [];
    const without: Endpoint[] = [];
    for (const endpoint of order) {
      stopIfAborted(signal, label);
      const name = nameOf(endpoint);
      try {
        const session = await remember(sessions, endpoint, signal, () => connect(endpoint, repository, signal));
        const found = await request(session);
        if (found === undefined) {
          without.push(endpoint);
          continue;
        }
        lastServer = endpoint;
        report({ kind: 'served', what, endpoint: name });
        return { found, failures, without };
      } catch (error) {
        if (!(error instanceof ImagerError) || error.code === 'canceled') throw error;
        failures.push({ endpoint: name, error });
        report({ kind: 'failed', what, endpoint: name, reason: error.message });
      }
    }
    return { found: undefined, failures, without };
  };

  /** What must be there. */
  const ask = async <T>(question: Question, request: (session: Session) => Promise<T>): Promise<T> => {
    const { found, failures } = await search(question, request);
    if (found === undefined) throw notServed(label, question.what, failures);
    return found;
  };

  /** What need not be there: the registry itself decides or, where it is out of reach, the mirrors that answer. */
  const askIfAny = async <T>(
    question: Question,
    request: (session: Session) => Promise<T | undefined>,
  ): Promise<T | undefined> => {
    const { found, failures, without } = await search(question, request);
    const isDecided = without.some(({ mirrorOf }) => mirrorOf === undefined);
    const isAllThereIs = without.length > 0 && failures.every(({ error }) => isUnreached(error));
    if (found !== undefined || isDecided || isAllThereIs) return found;
    throw notServed(label, question.what, failures);
  };

  const byDigest = (): readonly Endpoint[] =>
    lastServer === undefined ? endpoints : [lastServer, ...endpoints.filter((one) => one !== lastServer)];

  const manifestQuestion = (identifier: string, signal: AbortSignal | undefined): ManifestQuestion => {
    const digest = digestIn(identifier, label);
    const what = `manifest ${repository}${digest === undefined ? ':' : '@'}${identifier}`;
    return { what, order: digest === undefined ? endpoints : byDigest(), signal, identifier, digest };
  };

  const requestManifest = async (session: Session, question: ManifestQuestion): Promise<RawManifest> => {
    const { otherDigest, ...manifest } = await fetchManifest(platform, session, retry, question);
    if (otherDigest !== undefined) {
      const announced = printable(otherDigest, 100);
      report({ kind: 'digest-differs', what: question.what, endpoint: nameOf(session.endpoint), announced });
    }
    return manifest;
  };

  return {
    label,
    async manifest(identifier, signal) {
      const question = manifestQuestion(identifier, signal);
      return ask(question, (session) => requestManifest(session, question));
    },
    async findManifest(identifier, signal) {
      const question = manifestQuestion(identifier, signal);
      return askIfAny(question, (session) => requestManifest(session, question).catch(unlessNotFound));
    },
    async referrers(digest, { artifactType, signal } = {}) {
      const what = `referrers of ${repository}@${digest}`;
      const found = await askIfAny({ what, order: byDigest(), signal }, async (session) => {
        const listed = await fetchReferrers(session, retry, { digest, artifactType, what, signal });
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
      const open = (position: number): Promise<OpenBlob> =>
        ask({ what, order: byDigest(), signal }, (session) =>
          openBlob(session, retry, { digest, size, from: position, what, signal }),
        );
      const again = async (attempt: number): Promise<boolean> => {
        if (attempt >= retry.tries) return false;
        await retry.clock.sleep(pauseAfter(attempt), signal);
        return true;
      };
      const first = await open(from);
      return { from: first.from, chunks: resumingChunks(first, { size, what: `${label}: ${what}`, open, again }) };
    },
  };
}

/** Something to be had from several endpoints. */
interface Question {
  readonly what: string;
  readonly order: readonly Endpoint[];
  readonly signal: AbortSignal | undefined;
}

type ManifestQuestion = Question & ManifestRequest;

interface Search<T> {
  readonly found: T | undefined;
  readonly failures: readonly Failure[];
  /** Those that answered that they have no such thing. */
  readonly without: readonly Endpoint[];
}

interface Failure {
  readonly endpoint: string;
  readonly error: ImagerError;
}

function unlessNotFound(error: unknown): undefined {
  if (refusedStatus(error) !== 404) throw error;
  return undefined;
}

/** Every endpoint with its own reason, or the one reason there is. */
function notServed(label: string, what: string, failures: readonly Failure[]): ImagerError {
  const [first, ...others] = failures;
  if (first === undefined) {
    return invalid(`${label}: its mirror entry has no endpoint and forbids the registry itself`);
  }
  if (others.length === 0) return first.error;
  const reasons = failures.map(({ endpoint, error }) => {
    const { message } = error;
    return `\n  ${message.startsWith(endpoint) ? message : `${endpoint}: ${message}`}`;
  });
  const hint = failures.map(({ error }) => error.hint).find((one) => one !== undefined);
  const details = { cause: failures.at(-1)!.error, ...(hint === undefined ? {} : { hint }) };
  return new ImagerError(
    'dependency',
    `${label}: ${what}: not served by any of ${failures.length} endpoints:${reasons.join('')}`,
    details,
  );
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
