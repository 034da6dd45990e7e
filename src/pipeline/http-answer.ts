/** An artefact as an HTTP answer (RFC 9110): ranges of it are computed when they are asked for. */
import { EMPTY } from '../bytes/bytes.ts';
import { chunks } from '../bytes/read.ts';
import { answerRange } from '../bytes/write.ts';
import type { Chunks } from '../platform/types.ts';
import type { Artifact } from './artifact.ts';

/** What of a request decides the answer; header values as sent. */
export interface ArtifactRequest {
  readonly method: string;
  readonly range?: string | null | undefined;
  readonly ifRange?: string | null | undefined;
  readonly ifNoneMatch?: string | null | undefined;
}

/** Status, headers and body for any HTTP server. */
export interface ArtifactAnswer {
  /** The whole, a part, not modified, no such method, no such range. */
  readonly status: 200 | 206 | 304 | 405 | 416;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Nothing is read before it is iterated. */
  readonly body: Chunks;
}

/**
 * The answer for any HTTP server. `etag` is the strong validator without quotes: the plan's digest, which is known before the first byte. One range is
 * served; a request for several gets the whole, as the RFC allows. Aborting `signal` breaks the body off.
 *
 * @example
 * const answer = answerRequest(artifact, { method: 'GET', range: 'bytes=0-1023' }, planDigest(plan));
 * response.writeHead(answer.status, answer.headers);
 * Readable.from(answer.body).pipe(response);
 */
export function answerRequest(
  artifact: Artifact,
  request: ArtifactRequest,
  etag: string,
  options: { readonly signal?: AbortSignal } = {},
): ArtifactAnswer {
  const { method, range, ifRange, ifNoneMatch } = request;
  if (method !== 'GET' && method !== 'HEAD') return bodyless(405, { allow: 'GET, HEAD' });
  if (matches(ifNoneMatch, etag)) return bodyless(304, { etag: `"${etag}"` });
  // Ranges have a meaning with GET only (section 14.2).
  const wanted = method === 'GET' ? { range: range ?? undefined, ifRange: ifRange ?? undefined } : {};
  const answer = answerRange(artifact.bytes, wanted, etag, options);
  if (answer.status === 416) return answer;
  const headers = {
    ...answer.headers,
    'content-type': artifact.mediaType,
    'content-disposition': `attachment; filename="${artifact.name}"`,
  };
  return { status: answer.status, headers, body: method === 'HEAD' ? chunks(EMPTY) : answer.body };
}

/**
 * The same as a web `Response`, for servers that speak fetch.
 *
 * @example
 * const fetch = (request: Request) =>
 *   toResponse(artifact, {
 *     method: request.method,
 *     range: request.headers.get('range'),
 *     ifRange: request.headers.get('if-range'),
 *   }, planDigest(plan));
 */
export function toResponse(
  artifact: Artifact,
  request: ArtifactRequest,
  etag: string,
  options: { readonly signal?: AbortSignal } = {},
): Response {
  const { status, headers, body } = answerRequest(artifact, request, etag, options);
  const hasBody = request.method !== 'HEAD' && (status === 200 || status === 206);
  return new Response(hasBody ? ReadableStream.from(body) : null, { status, headers });
}

/** Weak comparison (section 13.1.2). No tag of ours has a comma in it. */
function matches(ifNoneMatch: string | null | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined || ifNoneMatch === null) return false;
  const tags = ifNoneMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes('*') || tags.includes(`"${etag}"`);
}

function bodyless(status: 304 | 405, headers: Readonly<Record<string, string>>): ArtifactAnswer {
  return { status, headers, body: chunks(EMPTY) };
}
