/** Asking an endpoint for a blob, or for the rest of one. Source: OCI distribution-spec "Pulling blobs", spec factory-and-signatures H5. */
import { type Digest, parseDigest } from '../../bytes/units.ts';
import { ImagerError } from '../../errors.ts';
import type { Chunks, HttpRequest, HttpResponse } from '../../platform/types.ts';
import { refusal } from './registry-error.ts';
import { type RetryOptions, withRetry } from './retry.ts';
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
    url: session.url(`blobs/${parseDigest(digest)}`),
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
