/** One repository as a source of images, over all endpoints that have it. */
import type { Digest } from '../../bytes/units.ts';
import { invalid } from '../../errors.ts';
import type { Chunks, Platform } from '../../platform/types.ts';
import type { ImageSource } from '../image-source.ts';
import type { Reference } from '../reference.ts';
import { isDigest } from '../resolve.ts';
import { type BlobServers, blobServers, download, rejectBlob } from './download.ts';
import { endpointSearch } from './endpoint-search.ts';
import { manifestQuestion } from './manifest-question.ts';
import { type Endpoint, isCapable } from './mirrors.ts';
import { fetchReferrers } from './referrers-request.ts';
import { refusedStatus } from './registry-error.ts';
import type { RegistryEvent } from './registry-event.ts';
import { remember } from './remember.ts';
import type { RetryOptions } from './retry.ts';
import { nameOf, type Session, type SessionOptions } from './session.ts';

/** What of a reference names a repository. */
export type RepositoryName = Pick<Reference, 'registry' | 'repository'>;

/** A session with an endpoint about a repository, made when it is needed. */
export type Connect = (endpoint: Endpoint, repository: string, signal?: AbortSignal) => Promise<Session>;

/** The repository over the endpoints, in their order. */
export function sourceOver(
  platform: Platform,
  { registry, repository }: RepositoryName,
  endpoints: readonly Endpoint[],
  report: (event: RegistryEvent) => void,
  { tries, clock, random, budget, stallTimeout }: SessionOptions,
  connect: Connect,
): ImageSource {
  const label = `${registry}/${repository}`;
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

  const subject = { platform, label, repository, report };
  const pullers = endpoints.filter((one) => isCapable(one, 'pull'));
  const byTag = endpoints.filter((one) => isCapable(one, 'resolve'));
  const byDigest = (): readonly Endpoint[] => {
    const last = lastServer;
    return last === undefined || !pullers.includes(last) ? pullers : [last, ...pullers.filter((one) => one !== last)];
  };

  const orderFor = (identifier: string): readonly Endpoint[] => (isDigest(identifier) ? byDigest() : byTag);

  const serversOf = (digest: Digest): BlobServers => {
    const known = servers.get(digest) ?? blobServers(pullers);
    servers.set(digest, known);
    return known;
  };

  return {
    label,
    isPersistent: true,
    async manifest(identifier, signal) {
      const { question, request, orDoubtful } = manifestQuestion(subject, identifier, orderFor(identifier), signal);
      return search.ask(question, request).catch(orDoubtful);
    },
    async findManifest(identifier, signal) {
      const { question, request, orDoubtful } = manifestQuestion(subject, identifier, orderFor(identifier), signal);
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

function unlessNotFound(error: unknown): undefined {
  if (refusedStatus(error) !== 404) throw error;
  return undefined;
}

async function* nothing(): Chunks {}
