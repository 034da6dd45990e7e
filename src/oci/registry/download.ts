/** A blob over several endpoints: where one breaks, stalls or sends other than it should, the same or the next one goes on. Source: spec factory-and-signatures H5. */
import { type Digest, MIB } from '../../bytes/units.ts';
import { ImagerError } from '../../errors.ts';
import type { Chunks } from '../../platform/types.ts';
import { type OpenBlob, openBlob } from './blob-request.ts';
import { type EndpointSearch, type Failure, notServed } from './endpoint-search.ts';
import type { Endpoint } from './mirrors.ts';
import { pauseAfter, type RetryOptions } from './retry.ts';

/** Bytes per second; a server that sends less for the time of a stall has stalled. */
const SLOWEST = 8192;

/** An endpoint that sent this much since it was asked is as good as new, bytes. */
const WORTHWHILE: number = MIB / 4;

/** Which endpoints a blob may come from: kept from one download to the next, because only the end tells whether its bytes were right. */
export interface BlobServers {
  readonly all: readonly Endpoint[];
  /** Those that sent something since the blob was last found wrong. */
  readonly sent: Set<Endpoint>;
  /** Those that are known to have it wrong. */
  readonly rejected: Set<Endpoint>;
  /** Parts of several were put together and came out wrong: from now on all must come from one. */
  isMixed: boolean;
}

export function blobServers(all: readonly Endpoint[]): BlobServers {
  return { all, sent: new Set(), rejected: new Set(), isMixed: false };
}

/** The blob was wrong, or could not be had otherwise than wrong. False when no other way is left. */
export function rejectBlob(servers: BlobServers): boolean {
  const { all, sent, rejected, isMixed } = servers;
  const wrong = isMixed ? usable(servers, all) : [...sent];
  // One of several may have been right.
  if (wrong.length > 1) servers.isMixed = true;
  else for (const endpoint of wrong) rejected.add(endpoint);
  sent.clear();
  return wrong.length > 0 && all.some((endpoint) => !rejected.has(endpoint));
}

/** Those that may have it right, in the order given; one at a time where parts of several did not fit. */
function usable({ all, rejected, isMixed }: BlobServers, order: readonly Endpoint[]): readonly Endpoint[] {
  const isLeft = (endpoint: Endpoint): boolean => !rejected.has(endpoint);
  return isMixed ? all.filter(isLeft).slice(0, 1) : order.filter(isLeft);
}

export interface Download {
  readonly digest: Digest;
  /** Bytes of the whole blob. */
  readonly size: number;
  /** For messages: `blob a/b@sha256:...`. */
  readonly what: string;
  readonly label: string;
  readonly signal: AbortSignal | undefined;
  readonly search: EndpointSearch;
  /** The best first. */
  readonly endpoints: readonly Endpoint[];
  readonly servers: BlobServers;
  readonly retry: RetryOptions;
  /** Milliseconds without the least rate before an endpoint counts as broken. */
  readonly stallTimeout: number;
  /** Milliseconds for all but sending. */
  readonly budget: number;
}

interface Served extends OpenBlob {
  readonly endpoint: Endpoint;
}

/** Opens the blob at a position; what comes is exactly the rest of it, from wherever. Throws `dependency` with every endpoint's reason. */
export async function download(blob: Download, from: number): Promise<OpenBlob> {
  const breaks = new Map<Endpoint, number>();
  if (blob.endpoints.length > 0 && candidates(blob, breaks).length === 0) {
    throw new ImagerError('dependency', `${blob.label}: ${blob.what}: every endpoint has sent it wrong`);
  }
  const first = await open(blob, from, breaks);
  return { from: first.from, chunks: continued(blob, first, breaks) };
}

/** The bytes from where the first answer begins to the end of the blob. */
async function* continued(blob: Download, first: Served, breaks: Map<Endpoint, number>): Chunks {
  const { size, what, label, retry } = blob;
  const deadline = retry.clock.now() + blob.budget + (size / SLOWEST) * 1000;
  const failures = new Map<Endpoint, ImagerError>();
  let position = first.from;
  for (let current = first; ; ) {
    const { endpoint } = current;
    const began = position;
    let failure: ImagerError;
    try {
      let at = current.from;
      for await (const chunk of paced(current.chunks, blob)) {
        const fresh = chunk.subarray(Math.min(chunk.length, Math.max(0, position - at)));
        at += chunk.length;
        if (at > size) throw new ImagerError('dependency', `${label}: ${what}: more than its ${size} bytes were sent`);
        if (fresh.length === 0) continue;
        position += fresh.length;
        blob.servers.sent.add(endpoint);
        yield fresh;
      }
      if (position === size) return;
      failure = new ImagerError('dependency', `${label}: ${what}: ended after ${position} of ${size} bytes`);
    } catch (error) {
      if (!(error instanceof ImagerError) || error.code !== 'dependency') throw error;
      failure = error;
    }
    failures.set(endpoint, failure);
    breaks.set(endpoint, position - began >= WORTHWHILE ? 1 : (breaks.get(endpoint) ?? 0) + 1);
    const [next] = candidates(blob, breaks);
    const pause = next === undefined ? 0 : pauseAfter(breaks.get(next) ?? 0, retry.random);
    if (next === undefined || retry.clock.now() + pause > deadline) {
      throw notServed(label, what, failuresIn(blob.endpoints, failures));
    }
    await retry.clock.sleep(pause, blob.signal);
    current = await open(blob, position, breaks);
  }
}

function open(blob: Download, from: number, breaks: ReadonlyMap<Endpoint, number>): Promise<Served> {
  const { digest, size, what, signal, search } = blob;
  return search.ask({ what, order: candidates(blob, breaks), signal }, async (attempt) => {
    const opened = await openBlob(attempt.session, attempt.retry, { digest, size, from, what, signal: attempt.signal });
    return { ...opened, endpoint: attempt.session.endpoint };
  });
}

/** Those that broke least come first, for as long as they have tries left. */
function candidates(
  { endpoints, servers, retry }: Download,
  breaks: ReadonlyMap<Endpoint, number>,
): readonly Endpoint[] {
  const broken = (endpoint: Endpoint): number => breaks.get(endpoint) ?? 0;
  return usable(servers, endpoints)
    .filter((endpoint) => broken(endpoint) < retry.tries)
    .toSorted((a, b) => broken(a) - broken(b));
}

function failuresIn(endpoints: readonly Endpoint[], failures: ReadonlyMap<Endpoint, ImagerError>): Failure[] {
  return endpoints.flatMap((endpoint) => {
    const error = failures.get(endpoint);
    return error === undefined ? [] : [{ endpoint, error }];
  });
}

/** Chunks for as long as they come fast enough. Only waiting counts: a reader may take its time. */
async function* paced(chunks: Chunks, { retry: { clock }, stallTimeout, what, label }: Download): Chunks {
  const iterator = chunks[Symbol.asyncIterator]();
  let waited = 0;
  let bytes = 0;
  try {
    for (;;) {
      const asked = clock.now();
      const next = await iterator.next();
      if (next.done === true) return;
      waited += clock.now() - asked;
      bytes += next.value.length;
      if (waited >= stallTimeout) {
        if (bytes < (waited / 1000) * SLOWEST) {
          const seconds = (waited / 1000).toFixed(1);
          throw new ImagerError('dependency', `${label}: ${what}: only ${bytes} bytes in ${seconds} s`);
        }
        waited = 0;
        bytes = 0;
      }
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}
