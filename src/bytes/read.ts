/** Getting bytes out of `Bytes`: a range into memory, a stream of chunks, a comparison, a digest. */
import { invalid, stopIfAborted } from '../errors.ts';
import type { Hash, Source } from '../platform/types.ts';
import { type Bytes, type Extent, extentAt } from './bytes.ts';

/** Large enough that a system call costs little, small enough that a few in flight stay small: 1 MiB. */
export const CHUNK_SIZE: number = 1 << 20;

/**
 * Fills `into` from `position`. Ranges are read straight into place, those that follow each other in their source at once.
 * Throws `invalid-input` past the end, `io` when a source fails.
 */
export async function readInto(bytes: Bytes, position: number, into: Uint8Array): Promise<void> {
  if (position < 0 || position + into.length > bytes.size) {
    throw invalid(`read ${position}+${into.length} lies outside ${bytes.size} bytes`);
  }
  if (into.length === 0) return;
  const first = extentAt(bytes, position);
  const extent = bytes.extents[first]!;
  const skip = position - bytes.starts[first]!;
  // Nearly all reads lie in one range, and thousands of small files are read.
  if (extent.kind === 'range' && skip + into.length <= extent.length) {
    await extent.source.read(extent.offset + skip, into);
    return;
  }
  let run: SourceRun | undefined;
  for (const { extent, skip, length, at } of parts(bytes, position, into.length)) {
    if (extent.kind !== 'range') continue;
    const offset = extent.offset + skip;
    if (run?.source.key === extent.source.key && run.offset + run.length === offset) {
      run.length += length;
      run.pieces.push({ at, length });
    } else {
      if (run !== undefined) await readRun(run, into);
      run = { source: extent.source, offset, length, pieces: [{ at, length }] };
    }
  }
  if (run !== undefined) await readRun(run, into);
  for (const { extent, skip, length, at } of parts(bytes, position, into.length)) {
    if (extent.kind === 'memory') into.set(extent.data.subarray(skip, skip + length), at);
    else if (extent.kind === 'zeros') into.fill(0, at, at + length);
  }
}

interface Part {
  readonly extent: Extent;
  /** Where the part begins in the extent, and in what was asked for. */
  readonly skip: number;
  readonly at: number;
  readonly length: number;
}

/** What lies between `position` and `position + size`, extent by extent. */
function* parts(bytes: Bytes, position: number, size: number): Generator<Part, void, undefined> {
  let at = 0;
  for (let index = extentAt(bytes, position); at < size; index++) {
    const extent = bytes.extents[index]!;
    const skip = position + at - bytes.starts[index]!;
    const length = Math.min(extent.length - skip, size - at);
    yield { extent, skip, at, length };
    at += length;
  }
}

/** A stretch of one source that is wanted in pieces, with something else between them: the content of a container with block headers. */
interface SourceRun {
  readonly source: Source;
  readonly offset: number;
  length: number;
  readonly pieces: { readonly at: number; readonly length: number }[];
}

/** One read, at the place of the first piece; then the pieces move apart, the last one first. */
async function readRun({ source, offset, length, pieces }: SourceRun, into: Uint8Array): Promise<void> {
  const start = pieces[0]!.at;
  await source.read(offset, into.subarray(start, start + length));
  let end = start + length;
  for (let index = pieces.length - 1; index > 0; index--) {
    const piece = pieces[index]!;
    into.copyWithin(piece.at, end - piece.length, end);
    end -= piece.length;
  }
}

/** `length` bytes from `position` as fresh memory: for headers and small files, whose size the caller knows. `toMemory` has a limit. */
export async function read(bytes: Bytes, position = 0, length: number = bytes.size - position): Promise<Uint8Array> {
  if (length < 0 || position < 0 || position + length > bytes.size) {
    throw invalid(`read ${position}+${length} lies outside ${bytes.size} bytes`);
  }
  const data = new Uint8Array(length);
  await readInto(bytes, position, data);
  return data;
}

/** UTF-8 text of all bytes; above `limit` bytes, or where it is not UTF-8, `invalid-input` naming `what`. */
export async function readText(bytes: Bytes, what: string, limit: number): Promise<string> {
  if (bytes.size > limit) throw invalid(`${what}: ${bytes.size} bytes, want at most ${limit}`);
  const data = await read(bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  } catch (cause) {
    throw invalid(`${what}: not valid UTF-8`, { cause });
  }
}

/** How content is streamed. */
export interface ChunkOptions {
  /** Largest chunk, bytes. */
  readonly chunkSize?: number;
  /** Each chunk is good until the next one is asked for: two buffers serve for all. */
  readonly isTransient?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * The bytes in order, in chunks of at most `chunkSize`. The next chunk is read while the consumer works on this one.
 * Memory extents come as views: consumers must not write into a chunk.
 */
export async function* chunks(bytes: Bytes, options: ChunkOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
  const { chunkSize = CHUNK_SIZE, isTransient = false, signal } = options;
  const buffers = [new Uint8Array(0), new Uint8Array(0)];
  let turn = 0;
  const bufferOf = (length: number): Uint8Array => {
    if (!isTransient) return new Uint8Array(length);
    turn = 1 - turn;
    if (buffers[turn]!.length < length) buffers[turn] = new Uint8Array(length);
    return buffers[turn]!.subarray(0, length);
  };
  let ahead: Promise<Uint8Array> | undefined;
  try {
    for (let position = 0; position < bytes.size; ) {
      stopIfAborted(signal, 'reading');
      const current = ahead ?? nextChunk(bytes, position, chunkSize, bufferOf);
      const length = Math.min(chunkSize, bytes.size - position);
      position += length;
      const chunk = await current;
      ahead = position < bytes.size ? nextChunk(bytes, position, chunkSize, bufferOf) : undefined;
      // A rejection is reported when its turn comes, not as an unhandled one in between.
      ahead?.catch(() => undefined);
      yield chunk;
    }
  } finally {
    await ahead?.catch(() => undefined);
  }
}

async function nextChunk(
  bytes: Bytes,
  position: number,
  chunkSize: number,
  bufferOf: (length: number) => Uint8Array,
): Promise<Uint8Array> {
  const length = Math.min(chunkSize, bytes.size - position);
  const memory = memoryAt(bytes, position, length);
  if (memory !== undefined) return memory;
  const data = bufferOf(length);
  await readInto(bytes, position, data);
  return data;
}

/** A view of these bytes, where they lie in one piece of memory. */
export function memoryAt(bytes: Bytes, position: number, length: number): Uint8Array | undefined {
  const index = extentAt(bytes, position);
  const extent = bytes.extents[index]!;
  const skip = position - bytes.starts[index]!;
  if (extent.kind !== 'memory' || extent.length - skip < length) return undefined;
  return extent.data.subarray(skip, skip + length);
}

/** Feeds all bytes to `hash` and gives its digest. */
export async function digest(bytes: Bytes, hash: Hash, options: ChunkOptions = {}): Promise<Uint8Array> {
  for await (const chunk of chunks(bytes, { ...options, isTransient: true })) hash.update(chunk);
  return hash.digest();
}

/** Whether both are the same bytes. Ranges of one source at one offset are equal unread. */
export async function equals(a: Bytes, b: Bytes): Promise<boolean> {
  if (a.size !== b.size) return false;
  for (let position = 0; position < a.size; ) {
    const [left, leftSkip] = locate(a, position);
    const [right, rightSkip] = locate(b, position);
    const length = Math.min(left.length - leftSkip, right.length - rightSkip);
    const same =
      (left.kind === 'zeros' && right.kind === 'zeros') ||
      (left.kind === 'range' &&
        right.kind === 'range' &&
        left.source.key === right.source.key &&
        left.offset + leftSkip === right.offset + rightSkip);
    if (!same && !(await equalRange(a, b, position, length))) return false;
    position += length;
  }
  return true;
}

function locate(bytes: Bytes, position: number): [Bytes['extents'][number], number] {
  const index = extentAt(bytes, position);
  return [bytes.extents[index]!, position - bytes.starts[index]!];
}

async function equalRange(a: Bytes, b: Bytes, position: number, length: number): Promise<boolean> {
  for (let done = 0; done < length; done += CHUNK_SIZE) {
    const size = Math.min(CHUNK_SIZE, length - done);
    const [left, right] = await Promise.all([read(a, position + done, size), read(b, position + done, size)]);
    for (let index = 0; index < size; index++) if (left[index] !== right[index]) return false;
  }
  return true;
}

/** All bytes in memory, as they lie where they are there already: not to be written to. Throws `invalid-input` above `limit` bytes. */
export async function toMemory(bytes: Bytes, limit: number, what: string): Promise<Uint8Array> {
  if (bytes.size > limit) throw invalid(`${what}: ${bytes.size} bytes, want at most ${limit}`);
  const [only] = bytes.extents;
  if (bytes.extents.length === 1 && only?.kind === 'memory') return only.data;
  return read(bytes);
}
