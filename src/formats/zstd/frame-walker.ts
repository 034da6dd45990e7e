/**
 * Where zstd frames end (RFC 8878 section 3.1): frame header and block lengths only, nothing is decoded. Needed because the
 * platform's decoder takes one frame and then stops without a word (nodejs/node#64741).
 */
import { viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import type { Chunks, Compression } from '../../platform/types.ts';

export const FRAME_MAGIC = 0xfd2fb528;
/** Sixteen magic numbers, 0x184D2A50 to 0x184D2A5F, start frames without content. */
const SKIPPABLE_MAGIC = 0x184d2a50;
/** In a frame header's descriptor: the window is as large as the content. */
const SINGLE_SEGMENT = 0x20;

/** Whether a stream that starts with these four bytes (or fewer, then no) is zstd, skippable frames included. */
export function isZstd(start: Uint8Array): boolean {
  if (start.length < 4) return false;
  const magic = new DataView(start.buffer, start.byteOffset, 4).getUint32(0, true);
  return magic === FRAME_MAGIC || (magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC;
}

type Step = 'magic' | 'skippableSize' | 'descriptor' | 'headerRest' | 'blockHeader' | 'content' | 'checksum' | 'done';

/** Follows one frame through any cutting of its bytes: each step gathers a few or passes many. */
class FrameWalk {
  /** The frame's last byte has been seen. */
  finished = false;
  /** Known once the magic number is read. */
  skippable = false;
  #step: Step = 'magic';
  #value = 0;
  #gathered = 0;
  #needed = 4;
  #pass = 0;
  #lastBlock = false;
  #hasChecksum = false;

  /** How many bytes of `chunk`, from its start, belong to the frame. Throws `invalid-input` where no frame can go on so. */
  advance(chunk: Uint8Array): number {
    let position = 0;
    while (position < chunk.length && !this.finished) {
      if (this.#pass > 0) {
        const passed = Math.min(this.#pass, chunk.length - position);
        this.#pass -= passed;
        position += passed;
        if (this.#pass === 0) this.#afterPass();
        continue;
      }
      this.#value += chunk[position]! * 256 ** this.#gathered;
      this.#gathered++;
      position++;
      if (this.#gathered === this.#needed) this.#afterGather(this.#value);
    }
    return position;
  }

  #gather(step: Step, bytes: number): void {
    this.#step = step;
    this.#needed = bytes;
    this.#gathered = 0;
    this.#value = 0;
  }

  #passOver(step: Step, bytes: number): void {
    this.#step = step;
    this.#pass = bytes;
    if (bytes === 0) this.#afterPass();
  }

  #afterGather(value: number): void {
    switch (this.#step) {
      case 'magic':
        if (value === FRAME_MAGIC) {
          this.#gather('descriptor', 1);
          return;
        }
        if ((value & 0xfffffff0) >>> 0 !== SKIPPABLE_MAGIC) {
          throw invalid(`zstd: 0x${value.toString(16).padStart(8, '0')} where a frame should start`);
        }
        this.skippable = true;
        this.#gather('skippableSize', 4);
        return;
      case 'skippableSize':
        this.#passOver('done', value);
        return;
      case 'descriptor':
        this.#hasChecksum = (value & 0x04) !== 0;
        this.#passOver('headerRest', headerRest(value));
        return;
      case 'blockHeader':
        this.#block(value);
        return;
      case 'headerRest':
      case 'content':
      case 'checksum':
      case 'done':
        throw new Error(`no bytes are gathered in step ${this.#step}`);
    }
  }

  #block(header: number): void {
    this.#lastBlock = (header & 1) !== 0;
    const type = (header >>> 1) & 3;
    if (type === 3) throw invalid('zstd: a block of the reserved type');
    // A run-length block stores one byte, whatever its size says.
    this.#passOver('content', type === 1 ? 1 : header >>> 3);
  }

  #afterPass(): void {
    if (this.#step === 'headerRest' || (this.#step === 'content' && !this.#lastBlock)) {
      this.#gather('blockHeader', 3);
    } else if (this.#step === 'content' && this.#hasChecksum) {
      this.#passOver('checksum', 4);
    } else {
      this.finished = true;
    }
  }
}

/** Bytes of the frame header behind its descriptor: window, dictionary id, content size. */
export function headerRest(descriptor: number): number {
  if ((descriptor & 0x08) !== 0) throw invalid('zstd: a reserved bit is set in a frame header');
  const singleSegment = (descriptor & SINGLE_SEGMENT) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3]!;
  const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6]!;
  return (singleSegment ? 0 : 1) + dictionary + contentSize;
}

/** Bytes of content as the header at the start of `data` says; `undefined` where it does not, or there is none. Nothing makes it true. */
export function declaredSize(data: Uint8Array): number | undefined {
  if (data.length < 5 || viewOf(data).getUint32(0, true) !== FRAME_MAGIC) return undefined;
  const descriptor = data[4]!;
  const end = 5 + headerRest(descriptor);
  if (end > data.length) return undefined;
  const view = viewOf(data);
  switch (descriptor >>> 6) {
    case 0:
      return (descriptor & SINGLE_SEGMENT) === 0 ? undefined : data[end - 1]!;
    case 1:
      // So that these go on where one byte ends.
      return view.getUint16(end - 2, true) + 256;
    case 2:
      return view.getUint32(end - 4, true);
    default:
      return view.getUint32(end - 4, true) * 2 ** 32 + view.getUint32(end - 8, true);
  }
}

/**
 * The content of all frames of `input`, one after the other; skippable frames are passed over. Throws `invalid-input` for damage,
 * for anything that is no frame and for a stream that ends inside one.
 */
export async function* unzstd(
  compression: Pick<Compression, 'unzstdFrame'>,
  input: Chunks,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const cursor = new ChunkCursor(input);
  try {
    while ((await cursor.current()) !== undefined) {
      const frame = new FrameReader(cursor);
      const start = await frame.readMagic();
      if (!frame.skippable) yield* compression.unzstdFrame(frame.pieces(start), signal);
      // Also behind a decoder that was content before the last bytes.
      while ((await frame.next()) !== undefined);
    }
  } finally {
    await cursor.close();
  }
}

/** One frame's bytes, piece by piece. */
class FrameReader {
  readonly #cursor: ChunkCursor;
  readonly #walk = new FrameWalk();

  constructor(cursor: ChunkCursor) {
    this.#cursor = cursor;
  }

  get skippable(): boolean {
    return this.#walk.skippable;
  }

  /** `undefined` behind the last byte; throws when the stream ends before it. */
  async next(): Promise<Uint8Array | undefined> {
    if (this.#walk.finished) return undefined;
    const chunk = await this.#cursor.current();
    if (chunk === undefined) throw invalid('zstd: the stream ends inside a frame');
    const taken = this.#walk.advance(chunk);
    this.#cursor.consume(taken);
    return chunk.subarray(0, taken);
  }

  /** The pieces that hold the magic number, by which we know whether the frame has content. */
  async readMagic(): Promise<Uint8Array[]> {
    const pieces: Uint8Array[] = [];
    for (let length = 0; length < 4; length += pieces.at(-1)!.length) {
      const piece = await this.next();
      if (piece === undefined) break;
      pieces.push(piece);
    }
    return pieces;
  }

  async *pieces(start: readonly Uint8Array[]): Chunks {
    yield* start;
    for (let piece = await this.next(); piece !== undefined; piece = await this.next()) yield piece;
  }
}

/** A chunk stream that can be read up to any byte. */
class ChunkCursor {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array | undefined;

  constructor(chunks: Chunks) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** What is left of the current chunk, never empty; `undefined` at the end. */
  async current(): Promise<Uint8Array | undefined> {
    while (this.#chunk === undefined || this.#chunk.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return undefined;
      this.#chunk = next.value;
    }
    return this.#chunk;
  }

  consume(count: number): void {
    this.#chunk = this.#chunk?.subarray(count);
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
