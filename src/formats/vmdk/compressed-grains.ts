/**
 * The compressed grains of a disk as one sequence of bytes, so that they can be made once, kept, and laid out when their sizes are known: the directory of a
 * VMDK stands before its grains. First each different grain as it stands in the file, then a list of which grain of the disk is which, little-endian.
 */
import { blockRuns, isZero } from '../../bytes/blocks.ts';
import { type Bytes, slice } from '../../bytes/bytes.ts';
import { structure, viewOf } from '../../bytes/field.ts';
import { read, readInto } from '../../bytes/read.ts';
import type { StreamSink } from '../../bytes/write.ts';
import { invalid, stopIfAborted } from '../../errors.ts';
import { encodeMarker, MARKER_SIZE, sectorsOf } from './grain.ts';
import { GRAIN_SIZE, SECTOR } from './sparse-header.ts';
import { adler32, type Deflate, zlibStream } from './zlib-stream.ts';

export interface StoredGrain {
  /** Position in the disk, in grains. */
  readonly number: number;
  /** Bytes of its zlib stream. */
  readonly size: number;
  /** Where its marker is, in sectors from the start of the grains. The marker names the grain of the disk for which it was first stored. */
  readonly at: number;
  /** Of what is compressed. */
  readonly adler32: number;
}

export interface CompressedGrains {
  /** Markers, streams and padding, without gaps. */
  readonly data: Bytes;
  /** Ascending by number; what is missing is zero. */
  readonly grains: readonly StoredGrain[];
}

export interface CompressOptions {
  readonly signal?: AbortSignal;
  /** Called with the bytes of the disk handled so far, zeros included. */
  readonly onProgress?: (done: number) => void;
}

/** What a store may call this form: it changes with the bytes that `compressGrains` writes. */
export const COMPRESSED_GRAINS_KIND = 'vmdk grains 1';

const ENTRY_SIZE = 16;
/** `gn1` and a 1; then the number of entries. */
const TRAILER_MAGIC = 0x0131_6e67;
const TRAILER_SIZE = 8;
/** Grains being read and compressed while an earlier one is written. */
const AHEAD = 4;

/**
 * Writes the grains of `disk`, which is whole sectors. What the extents show to be zero is never read, what they show to be the same is read and compressed once.
 * Memory: a few grains and the list. Throws what reading, `deflate` and `writer` throw.
 */
export async function compressGrains(
  disk: Bytes,
  deflate: Deflate,
  writer: StreamSink,
  options: CompressOptions = {},
): Promise<void> {
  const stored: StoredGrain[] = [];
  let at = 0;
  const write = async (number: number, grain: PreparedGrain): Promise<void> => {
    if (grain.zero) return;
    const size = grain.stream.length;
    const data = new Uint8Array(sectorsOf(size) * SECTOR);
    data.set(encodeMarker(number, size));
    data.set(grain.stream, MARKER_SIZE);
    await writer.write(data);
    stored.push({ number, size, at, adler32: grain.adler32 });
    at += sectorsOf(size);
  };

  const waiting: { readonly number: number; readonly grain: Promise<PreparedGrain> }[] = [];
  const writeFirst = async (): Promise<void> => {
    const { number, grain } = waiting.shift()!;
    await write(number, await grain);
    options.onProgress?.(Math.min(disk.size, (number + 1) * GRAIN_SIZE));
  };
  try {
    for (const { first, count, sameAs } of blockRuns(disk, GRAIN_SIZE)) {
      for (let number = first; number < first + count; number++) {
        stopIfAborted(options.signal, 'compression');
        if (sameAs !== undefined) {
          // The grain it repeats must have been written.
          while (waiting.length > 0) await writeFirst();
          const original = storedAt(stored, sameAs + number - first);
          if (original !== undefined) stored.push({ ...original, number });
          continue;
        }
        const grain = prepare(disk, number, deflate);
        // A rejection is reported when its turn comes.
        grain.catch(() => undefined);
        waiting.push({ number, grain });
        if (waiting.length >= AHEAD) await writeFirst();
      }
    }
    while (waiting.length > 0) await writeFirst();
  } finally {
    await Promise.allSettled(waiting.map(({ grain }) => grain));
  }
  await writeList(stored, writer);
  options.onProgress?.(disk.size);
}

type PreparedGrain =
  | { readonly zero: true }
  | { readonly zero: false; readonly stream: Uint8Array; readonly adler32: number };

async function prepare(disk: Bytes, number: number, deflate: Deflate): Promise<PreparedGrain> {
  const data = new Uint8Array(GRAIN_SIZE);
  const position = number * GRAIN_SIZE;
  await readInto(disk, position, data.subarray(0, Math.min(GRAIN_SIZE, disk.size - position)));
  if (isZero(data)) return { zero: true };
  return { zero: false, stream: await zlibStream(data, deflate), adler32: adler32(data) };
}

/** `undefined`: it was zero. */
function storedAt(stored: readonly StoredGrain[], number: number): StoredGrain | undefined {
  let low = 0;
  let high = stored.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (stored[middle]!.number < number) low = middle + 1;
    else high = middle;
  }
  return stored[low]?.number === number ? stored[low] : undefined;
}

/** Entries written at once: 64 KiB of them. */
const LIST_CHUNK = 4096;

async function writeList(stored: readonly StoredGrain[], writer: StreamSink): Promise<void> {
  for (let start = 0; start < stored.length; start += LIST_CHUNK) {
    const part = stored.slice(start, start + LIST_CHUNK);
    const { data, view } = structure(part.length * ENTRY_SIZE);
    for (const [index, grain] of part.entries()) {
      view.setUint32(index * ENTRY_SIZE, grain.number, true);
      view.setUint32(index * ENTRY_SIZE + 4, grain.size, true);
      view.setUint32(index * ENTRY_SIZE + 8, grain.at, true);
      view.setUint32(index * ENTRY_SIZE + 12, grain.adler32, true);
    }
    await writer.write(data);
  }
  const { data, view } = structure(TRAILER_SIZE);
  view.setUint32(0, TRAILER_MAGIC, true);
  view.setUint32(4, stored.length, true);
  await writer.write(data);
}

/** What `compressGrains` wrote. Throws `invalid-input` when it is damaged. */
export async function readCompressedGrains(bytes: Bytes): Promise<CompressedGrains> {
  if (bytes.size < TRAILER_SIZE) throw damaged(`${bytes.size} bytes`);
  const trailer = viewOf(await read(bytes, bytes.size - TRAILER_SIZE, TRAILER_SIZE));
  const count = trailer.getUint32(4, true);
  const end = bytes.size - TRAILER_SIZE - count * ENTRY_SIZE;
  if (trailer.getUint32(0, true) !== TRAILER_MAGIC || end < 0 || end % SECTOR !== 0)
    throw damaged('no list at the end');
  const view = viewOf(await read(bytes, end, count * ENTRY_SIZE));
  const grains: StoredGrain[] = [];
  for (let index = 0; index < count; index++) {
    const grain = {
      number: view.getUint32(index * ENTRY_SIZE, true),
      size: view.getUint32(index * ENTRY_SIZE + 4, true),
      at: view.getUint32(index * ENTRY_SIZE + 8, true),
      adler32: view.getUint32(index * ENTRY_SIZE + 12, true),
    };
    const before = grains.at(-1)?.number ?? -1;
    if (grain.number <= before) throw damaged(`grain ${grain.number} after ${before}`);
    if ((grain.at + sectorsOf(grain.size)) * SECTOR > end) throw damaged(`grain ${grain.number} outside`);
    grains.push(grain);
  }
  return { data: slice(bytes, 0, end), grains };
}

function damaged(what: string): Error {
  return invalid(`compressed grains: ${what}`);
}
