/** Asking an endpoint for a blob, or for the rest of one. Source: OCI distribution-spec "Pulling blobs", spec factory-and-signatures H5. */
import type { Digest } from '../../bytes/units.ts';
import { ImagerError } from '../../errors.ts';
import type { Chunks, HttpRequest, HttpResponse } from '../../platform/types.ts';
import { refusal } from './registry-error.ts';
import { isPassing, type RetryOptions, withRetry } from './retry.ts';
import { nameOf, type Session } from './session.ts';
import { headerOf } from './transport.ts';

/** One opened answer. */
export interface OpenBlob {
  /** Position in the blob of the first byte of `chunks`. */
  readonly from: number;
  readonly chunks: Chunks;
}

export interface BlobRequest {
  readonly digest: Digest;
  /** Bytes of the whole blob. */
  readonly size: number;
  readonly from: number;
  /** For messages: `blob a/b@sha256:...`. */
  readonly what: string;
  readonly signal: AbortSignal | undefined;
}

/** Opens a blob at a position, or at its start where the endpoint has no ranges. Throws `dependency`. */
export async function openBlob(session: Session, retry: RetryOptions, request: BlobRequest): Promise<OpenBlob> {
  const { digest, size, from, what, signal } = request;
  const where = nameOf(session.endpoint);
  const send = withRetry(session.send, retry);
  const whole: HttpRequest = {
    method: 'GET',
    url: session.url(`blobs/${digest}`),
    ...(signal === undefined ? {} : { signal }),
  };
  if (from > 0) {
    const response = await send({ ...whole, headers: { range: `bytes=${from}-` } });
    if (isPartFrom(response, from, size)) return opened(response, from, size, `${where}: ${what}`);
    if (response.status === 200) return opened(response, 0, size, `${where}: ${what}`);
    // Another part, or none (416): what we have may be more than what this endpoint has.
    if (response.status !== 206 && response.status !== 416) throw await refusal(response, where, what);
    await response.discard();
  }
  const response = await send(whole);
  if (response.status !== 200) throw await refusal(response, where, what);
  return opened(response, 0, size, `${where}: ${what}`);
}

export interface ResumeOptions {
  /** Bytes of the whole blob. */
  readonly size: number;
  readonly what: string;
  /** Opens again at a position; the answer may begin before it. */
  readonly open: (from: number) => Promise<OpenBlob>;
  /** Asked after attempt 1, 2, ... broke: waits and says whether there is another one. */
  readonly again: (attempt: number) => Promise<boolean>;
}

/**
 * The bytes from `first.from` to the end of the blob, exactly: a connection that breaks or ends early is opened again where
 * it was. Throws `dependency` when the server sends more than the size, or gives up sending.
 */
export async function* resumingChunks(first: OpenBlob, { size, what, open, again }: ResumeOptions): Chunks {
  let position = first.from;
  let current = first;
  for (let attempt = 1; ; attempt++) {
    let failure: unknown;
    try {
      let at = current.from;
      for await (const chunk of current.chunks) {
        const fresh = chunk.subarray(Math.min(chunk.length, Math.max(0, position - at)));
        at += chunk.length;
        if (at > size) throw new ImagerError('dependency', `${what}: more than its ${size} bytes were sent`);
        if (fresh.length === 0) continue;
        position += fresh.length;
        yield fresh;
      }
      if (position === size) return;
      failure = new ImagerError('dependency', `${what}: ended after ${position} of ${size} bytes`);
    } catch (error) {
      if (!isPassing(error)) throw error;
      failure = error;
    }
    if (!(await again(attempt))) throw failure;
    current = await open(position);
  }
}

/** Whether the answer is exactly the wanted rest. Some caches answer with the part they happen to have. */
function isPartFrom(response: HttpResponse, from: number, size: number): boolean {
  if (response.status !== 206) return false;
  const range = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/.exec(headerOf(response, 'content-range') ?? '');
  const [first, last, total] = (range ?? []).slice(1);
  return Number(first) === from && Number(last) === size - 1 && (total === '*' || Number(total) === size);
}

async function opened(response: HttpResponse, from: number, size: number, what: string): Promise<OpenBlob> {
  const length = headerOf(response, 'content-length');
  if (length !== undefined && Number(length) !== size - from) {
    await response.discard();
    throw new ImagerError('dependency', `${what}: answer of ${length.slice(0, 20)} bytes, want ${size - from}`);
  }
  return { from, chunks: response.body };
}
