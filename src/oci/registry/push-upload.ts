/**
 * Bringing a blob into a repository. Small ones in one PUT; others in one PATCH, or several where a proxy takes no large request, with a PUT that ends it.
 * What breaks off goes on where the registry says it is. Sources: OCI distribution-spec "Pushing blobs", spec factory-and-signatures H8.
 */
import { type Bytes, slice } from '../../bytes/bytes.ts';
import { chunks, read } from '../../bytes/read.ts';
import { type Digest, MIB } from '../../bytes/units.ts';
import { ImagerError } from '../../errors.ts';
import type { Chunks, HttpRequest, HttpResponse } from '../../platform/types.ts';
import { type PushContext, placeOf, signalOf } from './push-context.ts';
import { pushRefusal } from './push-error.ts';
import { checkedTarget } from './redirect.ts';
import { isPassing, isPassingStatus, LONGEST_PAUSE, pauseAfter, retryAfter, withRetry } from './retry.ts';
import { headerOf } from './transport.ts';

export interface UploadedBlob {
  readonly digest: Digest;
  /** Never held whole, unless it is small. */
  readonly bytes: Bytes;
  /** For messages: `blob a/b@sha256:...`. */
  readonly what: string;
}

export interface UploadOptions {
  /** Bytes of one request; whole blobs unless told. */
  readonly chunkSize?: number;
  /** An upload that is open already. */
  readonly begun?: Upload;
  /** Told how many bytes are on their way; goes back when some have to be sent again. */
  readonly onBytes?: (done: number) => void;
}

/** An open upload. */
export interface Upload {
  /** Where the next request goes; with its query it is a secret of the two sides. */
  readonly url: string;
  /** Bytes the registry has. */
  readonly offset: number;
  /** Bytes that a chunk must have at least, the last one excepted. */
  readonly leastChunk: number;
}

/** Up to here a blob is read into memory and sent at once. */
const SMALL = MIB;
/** Where one request with everything is too large: below what proxies commonly allow, above what any registry asks for as least. */
const FALLBACK_CHUNK: number = 16 * MIB;
/** Milliseconds: before it answers, a registry reads the whole blob again, and some copy it to where it stays. */
const LAST_ANSWER_TIMEOUT = 600_000;
/** Getting so much further is worth a fresh count of attempts. */
const WORTHWHILE: number = MIB;

type Way = { readonly kind: 'put' } | { readonly kind: 'patch'; readonly chunkSize: number | undefined };

/** What came of one request. */
type Turn =
  | { readonly kind: 'stored' }
  | { readonly kind: 'open'; readonly upload: Upload }
  | { readonly kind: 'other-way'; readonly way: Way }
  /** May pass; `pause` in milliseconds is the registry's wish. */
  | { readonly kind: 'broken'; readonly error: ImagerError; readonly pause?: number | undefined };

/** Throws `dependency` when the registry refuses or keeps failing, `verification` when it has something else in the end, `io` from the content, `canceled`. */
export async function uploadBlob(context: PushContext, blob: UploadedBlob, options: UploadOptions = {}): Promise<void> {
  const { retry, signal } = context;
  let way: Way = blob.bytes.size <= SMALL ? { kind: 'put' } : { kind: 'patch', chunkSize: options.chunkSize };
  let upload = options.begun;
  let attempts = 0;
  let reached = 0;
  for (;;) {
    if (upload !== undefined && upload.offset - reached >= WORTHWHILE) {
      attempts = 0;
      reached = upload.offset;
    }
    const turn = await takeTurn(context, blob, upload, way, options);
    switch (turn.kind) {
      case 'stored':
        return;
      case 'open':
        upload = turn.upload;
        break;
      case 'other-way':
        way = turn.way;
        upload = undefined;
        break;
      case 'broken':
        attempts++;
        if (attempts >= retry.tries || (turn.pause ?? 0) > LONGEST_PAUSE) throw turn.error;
        await retry.clock.sleep(turn.pause ?? pauseAfter(attempts), signal);
        // All may have arrived, and only the answer was lost.
        if (await hasBlob(context, blob)) return;
        upload = way.kind === 'patch' && upload !== undefined ? await reopened(context, upload, blob) : undefined;
    }
  }
}

/** Whether the repository has the blob. An answer that is neither yes nor no counts as no: the upload will tell why. Throws `dependency` without permission. */
export async function hasBlob(
  context: PushContext,
  { digest, what }: Pick<UploadedBlob, 'digest' | 'what'>,
): Promise<boolean> {
  const { session, retry } = context;
  const send = withRetry(session.send, retry);
  const response = await send({ method: 'HEAD', url: session.url(`blobs/${digest}`), ...signalOf(context) });
  if (response.status === 401) throw await pushRefusal(response, placeOf(context), what);
  await response.discard();
  return response.status === 200;
}

/** The upload that an answer opens or carries on. Throws `dependency` for a place we do not go to. */
export function uploadAt(context: PushContext, response: HttpResponse, asked: string, offset: number): Upload {
  const location = headerOf(response, 'location');
  const least = Number(headerOf(response, 'oci-chunk-min-length') ?? 0);
  const from = new URL(asked);
  const start = new URL(context.session.url(''));
  const url = location === undefined ? from : checkedTarget(start, from, location, context.insecure);
  return { url: url.href, offset, leastChunk: Number.isSafeInteger(least) && least > 0 ? least : 0 };
}

function takeTurn(
  context: PushContext,
  blob: UploadedBlob,
  upload: Upload | undefined,
  way: Way,
  options: UploadOptions,
): Promise<Turn> {
  if (upload === undefined) return begin(context, blob);
  if (way.kind === 'put') return putWhole(context, blob, upload, options);
  return upload.offset < blob.bytes.size
    ? patch(context, blob, upload, way, options)
    : put(context, blob, upload, new Uint8Array());
}

async function begin(context: PushContext, { what }: UploadedBlob): Promise<Turn> {
  const url = context.session.url('blobs/uploads/');
  const answer = await exchange(context, what, { method: 'POST', url, headers: { 'content-length': '0' } });
  if ('kind' in answer) return answer;
  if (answer.status !== 202 || headerOf(answer, 'location') === undefined) {
    throw await pushRefusal(answer, placeOf(context), what);
  }
  await answer.discard();
  return { kind: 'open', upload: uploadAt(context, answer, url, 0) };
}

async function patch(
  context: PushContext,
  blob: UploadedBlob,
  upload: Upload,
  { chunkSize }: Extract<Way, { readonly kind: 'patch' }>,
  { onBytes }: UploadOptions,
): Promise<Turn> {
  const { bytes, what } = blob;
  const { url, offset, leastChunk } = upload;
  const end = Math.min(bytes.size, offset + Math.max(chunkSize ?? bytes.size, leastChunk));
  const isPart = offset > 0 || end < bytes.size;
  const answer = await exchange(context, what, {
    method: 'PATCH',
    url,
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': String(end - offset),
      // Without a unit, unlike everywhere else in HTTP. Registries that know no chunks take a whole blob when it is not said.
      ...(isPart ? { 'content-range': `${offset}-${end - 1}` } : {}),
    },
    body: repeatable(slice(bytes, offset, end), context.signal, (done) => onBytes?.(offset + done)),
  });
  if ('kind' in answer) return answer;
  if (answer.status === 413) return smallerWay(context, answer, what, chunkSize ?? bytes.size);
  if (answer.status === 405 || answer.status === 501) {
    await answer.discard();
    return { kind: 'other-way', way: { kind: 'put' } };
  }
  // Forgotten, or elsewhere than we thought.
  if (answer.status === 404 || answer.status === 416) return broken(context, answer, what);
  if (answer.status !== 202 && answer.status !== 201) throw await pushRefusal(answer, placeOf(context), what);
  await answer.discard();
  const taken = offsetIn(answer) ?? end;
  const says = (fault: string): ImagerError => new ImagerError('dependency', `${placeOf(context)}: ${what}: ${fault}`);
  if (taken > end) throw says(`has ${taken} bytes, ${end} were sent`);
  if (taken <= offset) return { kind: 'broken', error: says(`still has ${taken} bytes, ${end} were sent`) };
  return { kind: 'open', upload: { ...uploadAt(context, answer, url, taken), leastChunk } };
}

async function smallerWay(context: PushContext, answer: HttpResponse, what: string, tried: number): Promise<Turn> {
  if (tried <= FALLBACK_CHUNK) throw await pushRefusal(answer, placeOf(context), what);
  await answer.discard();
  return { kind: 'other-way', way: { kind: 'patch', chunkSize: FALLBACK_CHUNK } };
}

async function putWhole(
  context: PushContext,
  blob: UploadedBlob,
  upload: Upload,
  { onBytes }: UploadOptions,
): Promise<Turn> {
  const { bytes } = blob;
  const body = bytes.size <= SMALL ? await read(bytes) : repeatable(bytes, context.signal, (done) => onBytes?.(done));
  const turn = await put(context, blob, upload, body);
  if (turn.kind === 'stored') onBytes?.(bytes.size);
  return turn;
}

/** Ends the upload, with what was not sent yet. */
async function put(
  context: PushContext,
  { bytes, digest, what }: UploadedBlob,
  { url, offset }: Upload,
  body: Uint8Array | Chunks,
): Promise<Turn> {
  const answer = await exchange(context, what, {
    method: 'PUT',
    // Not by `searchParams`: that would write the rest of the query anew.
    url: `${url}${url.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`,
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(bytes.size - offset) },
    body,
    stallTimeout: LAST_ANSWER_TIMEOUT,
  });
  if ('kind' in answer) return answer;
  if (answer.status === 404 || answer.status === 416) return broken(context, answer, what);
  if (answer.status !== 201 && answer.status !== 204) throw await pushRefusal(answer, placeOf(context), what);
  await answer.discard();
  checkStored(answer, digest, `${placeOf(context)}: ${what}`);
  return { kind: 'stored' };
}

/** What the registry says it has must be what was sent. Throws `verification`. */
export function checkStored(answer: Pick<HttpResponse, 'headers'>, digest: Digest, what: string): void {
  const stored = headerOf(answer, 'docker-content-digest');
  if (stored === undefined || !stored.startsWith('sha256:') || stored === digest) return;
  throw new ImagerError('verification', `${what}: the registry has ${stored.slice(0, 100)} in its place`);
}

/** Where an upload that broke off stands; `undefined` when it has to begin anew. */
async function reopened(
  context: PushContext,
  upload: Upload,
  { bytes, what }: UploadedBlob,
): Promise<Upload | undefined> {
  const answer = await exchange(context, what, { method: 'GET', url: upload.url });
  if ('kind' in answer) return undefined;
  await answer.discard();
  const offset = offsetIn(answer);
  if (answer.status !== 204 || offset === undefined || offset > bytes.size) return undefined;
  return { ...uploadAt(context, answer, upload.url, offset), leastChunk: upload.leastChunk };
}

/** From `Range: 0-<last>`. `0-0` is what registries say of no bytes; nobody sends one. */
function offsetIn(answer: HttpResponse): number | undefined {
  const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(headerOf(answer, 'range')?.trim() ?? '')?.[1];
  if (last === undefined) return undefined;
  return last === '0' ? 0 : Number(last) + 1;
}

/** One request, with failures that may pass told apart from all others, which are thrown. */
async function exchange(
  context: PushContext,
  what: string,
  request: HttpRequest,
): Promise<HttpResponse | Extract<Turn, { readonly kind: 'broken' }>> {
  let answer: HttpResponse;
  try {
    answer = await context.session.send({ ...request, ...signalOf(context) });
  } catch (error) {
    if (isPassing(error)) return { kind: 'broken', error: error as ImagerError };
    throw error;
  }
  return isPassingStatus(answer.status) ? broken(context, answer, what) : answer;
}

async function broken(
  context: PushContext,
  answer: HttpResponse,
  what: string,
): Promise<Extract<Turn, { readonly kind: 'broken' }>> {
  const pause = retryAfter(answer);
  return { kind: 'broken', error: await pushRefusal(answer, placeOf(context), what), pause };
}

/** Read anew each time it is sent: a challenge may have to be answered in between. */
function repeatable(bytes: Bytes, signal: AbortSignal | undefined, onBytes: (done: number) => void): Chunks {
  return {
    async *[Symbol.asyncIterator]() {
      let done = 0;
      for await (const chunk of chunks(bytes, signal === undefined ? {} : { signal })) {
        yield chunk;
        done += chunk.length;
        onBytes(done);
      }
    },
  };
}
