/** Sinks: `Bytes` to a file, to a stream, to an HTTP range. Each writes every byte once and in bounded memory. */
import { ImagerError, stopIfAborted } from '../errors.ts';
import type { Chunks, Files, NewFile } from '../platform/types.ts';
import { type Bytes, slice } from './bytes.ts';
import { CHUNK_SIZE, chunks, memoryAt, readInto } from './read.ts';

/** How content is written. */
export interface WriteOptions {
  /** Flush file and directory to the disk before the rename: survives power loss, not only a crash. */
  readonly sync?: boolean;
  readonly signal?: AbortSignal;
  /** Called with the bytes handled so far, zeros included. */
  readonly onProgress?: (done: number) => void;
  /** Distinguishes temporary names of writers at work at once. */
  readonly temporarySuffix?: string;
  /** Given all bytes in order as they are written, zeros included: what takes a digest without a second look. Each chunk is good until it returns. */
  readonly observe?: (chunk: Uint8Array) => void;
}

/**
 * Writes all bytes to `path`: a temporary file beside it, truncated to size (zeros stay holes), positioned writes with
 * reading and writing overlapped, then a rename. On any failure, `signal` included, the temporary file is gone and what was at `path`
 * stays. Throws `io`.
 */
export async function writeToFile(files: Files, path: string, bytes: Bytes, options: WriteOptions = {}): Promise<void> {
  const temporary = `${path}.${options.temporarySuffix ?? 'partial'}`;
  await files.remove(temporary);
  const file = await files.create(temporary);
  try {
    await writeThenRename(files, file, path, async () => {
      await file.truncate(bytes.size);
      await writeExtents(file, bytes, options);
      if (options.sync === true) await file.sync();
      stopIfAborted(options.signal, 'writing');
    });
  } catch (error) {
    throw asCanceled(error, options.signal);
  }
  if (options.sync === true) await files.syncDirectory(path.replace(/[^/]*$/, '') || '.');
}

/**
 * Has `write` fill a new file, closes it and gives it the name `path`: on any failure it is gone, and what was at `path` stays.
 * Throws `io`, and what `write` throws.
 */
export async function writeThenRename(
  files: Files,
  file: NewFile,
  path: string,
  write: () => Promise<void>,
): Promise<void> {
  try {
    try {
      await write();
    } finally {
      await file.close();
    }
    await files.rename(file.path, path);
  } catch (error) {
    await files.remove(file.path);
    throw error;
  }
}

/** Zeros of at least this size are left out of a file: what file systems make holes of. Bytes. */
const MIN_HOLE = 4096;

/** Pieces under way at once, each read and then written by its own turn: with three, one is being read while another is written, without waiting. */
const IN_FLIGHT = 3;

async function writeExtents(file: NewFile, bytes: Bytes, options: WriteOptions): Promise<void> {
  const pieces = piecesOf(bytes);
  const order = options.observe === undefined ? undefined : observeInOrder(options.observe);
  let reported = 0;
  const writePieces = async (): Promise<void> => {
    let buffer: Uint8Array | undefined;
    for (const [position, length] of pieces) {
      const turn = order?.turn(position);
      try {
        stopIfAborted(options.signal, 'writing');
        let data = memoryAt(bytes, position, length);
        if (data === undefined) {
          buffer ??= new Uint8Array(CHUNK_SIZE);
          data = buffer.subarray(0, length);
          await readInto(bytes, position, data);
        }
        await file.write(position, data);
        await turn?.give(data);
      } catch (error) {
        turn?.fail(error);
        throw error;
      }
      reported = Math.max(reported, position + length);
      options.onProgress?.(reported);
    }
  };
  // A turn that fails ends the pieces, and so the others; all have ended before the file is closed and, on failure, removed.
  const turns = await Promise.allSettled(Array.from({ length: IN_FLIGHT }, writePieces));
  for (const turn of turns) if (turn.status === 'rejected') throw turn.reason;
  order?.finish(bytes.size);
}

/** A piece of what is written several at once, and observed one after the other. */
interface ObservedPiece {
  /** Returns when all before it were observed, and it was. */
  readonly give: (data: Uint8Array) => Promise<void>;
  /** Nobody waits for it then. */
  readonly fail: (reason: unknown) => void;
}

interface ObservedOrder {
  /** Turns are taken by rising positions. */
  readonly turn: (position: number) => ObservedPiece;
  /** After all turns: what zeros are left. */
  readonly finish: (size: number) => void;
}

/** Holes are given as zeros. */
function observeInOrder(observe: (chunk: Uint8Array) => void): ObservedOrder {
  let observed = 0;
  let last = Promise.resolve();
  let zeros: Uint8Array | undefined;
  const fillTo = (position: number): void => {
    while (observed < position) {
      zeros ??= new Uint8Array(CHUNK_SIZE);
      const length = Math.min(zeros.length, position - observed);
      observe(zeros.subarray(0, length));
      observed += length;
    }
  };
  return {
    turn(position) {
      const before = last;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      // Whoever comes next tells of it; there may be nobody.
      promise.catch(() => undefined);
      last = promise;
      return {
        async give(data) {
          await before;
          fillTo(position);
          observe(data);
          observed += data.length;
          resolve();
        },
        fail: reject,
      };
    },
    finish: fillTo,
  };
}

/** Position and length of pieces of at most `CHUNK_SIZE` that cover what is no hole. */
function* piecesOf(bytes: Bytes): Generator<readonly [number, number], void, undefined> {
  for (const [start, end] of withoutHoles(bytes)) {
    for (let position = start; position < end; position += CHUNK_SIZE) {
      yield [position, Math.min(CHUNK_SIZE, end - position)];
    }
  }
}

/** Starts and ends of what lies between the holes. */
function* withoutHoles(bytes: Bytes): Generator<readonly [number, number], void, undefined> {
  let start = 0;
  for (const [index, { kind, length }] of bytes.extents.entries()) {
    if (kind !== 'zeros' || length < MIN_HOLE) continue;
    const at = bytes.starts[index]!;
    if (at > start) yield [start, at];
    start = at + length;
  }
  if (bytes.size > start) yield [start, bytes.size];
}

function asCanceled(error: unknown, signal: AbortSignal | undefined): unknown {
  return signal?.aborted === true && !(error instanceof ImagerError)
    ? new ImagerError('canceled', 'stopped before the output was complete', { cause: error })
    : error;
}

/** Whatever takes bytes one after the other: a socket, standard output, a compressor. */
export interface StreamSink {
  /** Resolves when more may come (back pressure). */
  write(chunk: Uint8Array): Promise<void>;
}

/** All bytes in order, waiting where the sink asks for it. Throws what the sink throws and `io` from sources. */
export async function writeToStream(sink: StreamSink, bytes: Bytes, options: WriteOptions = {}): Promise<void> {
  let done = 0;
  const chunkOptions = options.signal === undefined ? {} : { signal: options.signal };
  for await (const chunk of chunks(bytes, chunkOptions)) {
    options.observe?.(chunk);
    await sink.write(chunk);
    done += chunk.length;
    options.onProgress?.(done);
  }
}

export interface RangeAnswer {
  /** 200 whole, 206 part, 416 no such range. */
  readonly status: 200 | 206 | 416;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Chunks;
}

/**
 * The HTTP answer for `bytes` and a `Range` header (RFC 9110 section 14). One range is served; several, or a unit other than
 * bytes, are answered with the whole as the RFC allows. `etag` is the opaque validator without quotes; `ifRange` as sent.
 */
export function answerRange(
  bytes: Bytes,
  request: { readonly range?: string | undefined; readonly ifRange?: string | undefined },
  etag: string,
  options: { readonly signal?: AbortSignal } = {},
): RangeAnswer {
  const common = { 'accept-ranges': 'bytes', etag: `"${etag}"` };
  const usable = request.ifRange === undefined || request.ifRange === `"${etag}"`;
  const range = usable && request.range !== undefined ? parseRange(request.range, bytes.size) : 'whole';
  if (range === 'none') {
    const headers = { ...common, 'content-range': `bytes */${bytes.size}`, 'content-length': '0' };
    return { status: 416, headers, body: chunks(slice(bytes, 0, 0)) };
  }
  const [start, end] = range === 'whole' ? [0, bytes.size] : range;
  const headers = { ...common, 'content-length': String(end - start) };
  const body = chunks(slice(bytes, start, end), options);
  if (range === 'whole') return { status: 200, headers, body };
  return { status: 206, headers: { ...headers, 'content-range': `bytes ${start}-${end - 1}/${bytes.size}` }, body };
}

function parseRange(header: string, size: number): [number, number] | 'whole' | 'none' {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(header);
  if (match === null) return 'whole';
  const [, first, last] = match;
  if (first === '' && last === '') return 'whole';
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'none' : [size - length, size];
  }
  const start = Number(first);
  const end = last === '' ? size : Math.min(Number(last) + 1, size);
  if (last !== '' && Number(last) < start) return 'whole';
  return start >= size ? 'none' : [start, end];
}
