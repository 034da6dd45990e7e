/** xz streams as they come, in memory bounded by their dictionary (XZ format specification 1.1.0): a whole initramfs, for example. */
import { crc32 } from '../../bytes/crc32.ts';
import { joinMemory, viewOf } from '../../bytes/field.ts';
import { MIB } from '../../bytes/units.ts';
import { invalid, stopIfAborted } from '../../errors.ts';
import type { Chunks, NativeLzma2 } from '../../platform/types.ts';
import { beginsDictionary, ChunkDecoder, chunkHeaderSize, decodeChunkHeader, noDictionary } from './decode-lzma2.ts';
import {
  CHECK_SIZES,
  CRC32_CHECK,
  decodeBlockHeader,
  decodeStreamHeader,
  INDEX_INDICATOR,
  STREAM_FOOTER_SIZE,
  STREAM_HEADER_SIZE,
} from './decode-stream.ts';

/**
 * The content of all streams in `input`, one after the other; zeros between and behind them are padding. Checks are compared where they are CRC-32 (by a
 * native decoder, whatever they are). Throws `invalid-input` on damage and where something else follows, `unsupported` for filters other than LZMA2
 * and for dictionaries above 128 MiB, and what the input throws.
 */
export async function* unxz(input: Chunks, native: NativeLzma2 | undefined, signal?: AbortSignal): Chunks {
  if (native !== undefined) {
    yield* native.unxz(input, signal);
    return;
  }
  const reader = new StreamReader(input, signal);
  try {
    do yield* decodeStream(reader);
    while (await skipPadding(reader));
  } finally {
    await reader.close();
  }
}

async function* decodeStream(reader: StreamReader): Chunks {
  const check = decodeStreamHeader(await reader.take(STREAM_HEADER_SIZE));
  let blocks = 0;
  for (;;) {
    const first = await reader.take(1);
    if (first[0] === INDEX_INDICATOR) break;
    const rest = await reader.take(first[0]! * 4 + 3);
    const { dictionarySize } = decodeBlockHeader(joinMemory([first, rest]), 0);
    yield* decodeBlock(reader, dictionarySize, check);
    blocks++;
  }
  await readIndex(reader, blocks);
  await reader.take(STREAM_FOOTER_SIZE);
}

/** The most that one chunk stands for. */
const MAXIMUM_CHUNK: number = 2 * MIB;
/** Positions count modulo this: bytes move by multiples of it. */
const POSITION_UNIT = 4;

async function* decodeBlock(reader: StreamReader, dictionarySize: number, check: number): Chunks {
  const decoder = new ChunkDecoder();
  /** The dictionary, then room for what comes next. */
  const window = new Uint8Array(dictionarySize + MAXIMUM_CHUNK + POSITION_UNIT);
  let filled: number | undefined;
  let crc = 0;
  const start = reader.position;
  for (let first = await reader.take(1); first[0] !== 0; first = await reader.take(1)) {
    const header = joinMemory([first, await reader.take(chunkHeaderSize(first[0]!) - 1)]);
    const chunk = decodeChunkHeader(header, 0)!;
    if (beginsDictionary(chunk)) filled = 0;
    if (filled === undefined) throw noDictionary();
    if (filled + chunk.unpackedSize > window.length) {
      const moved = Math.floor((filled - dictionarySize) / POSITION_UNIT) * POSITION_UNIT;
      window.copyWithin(0, moved, filled);
      filled -= moved;
    }
    const end: number = filled + chunk.unpackedSize;
    decoder.decode(chunk, await reader.take(chunk.packedSize), window.subarray(0, end), filled);
    const content = window.slice(filled, end);
    filled = end;
    if (check === CRC32_CHECK) crc = crc32(content, crc);
    yield content;
  }
  await reader.take(-(reader.position - start) & 3);
  const stored = await reader.take(CHECK_SIZES[check]!);
  if (check === CRC32_CHECK && viewOf(stored).getUint32(0, true) !== crc) {
    throw invalid('xz stream: the CRC of a block is wrong');
  }
}

/** The index says again where blocks are. Its first byte is read. */
async function readIndex(reader: StreamReader, blocks: number): Promise<void> {
  const parts: Uint8Array[] = [Uint8Array.of(INDEX_INDICATOR)];
  const start = reader.position - 1;
  const varint = async (): Promise<number> => {
    let value = 0;
    for (let factor = 1; ; factor *= 0x80) {
      const byte = await reader.take(1);
      parts.push(byte);
      value += (byte[0]! & 0x7f) * factor;
      if ((byte[0]! & 0x80) === 0) return value;
      if (factor >= 2 ** 56) throw invalid('xz stream: a number of more than 63 bits in its index');
    }
  };
  const records = await varint();
  if (records !== blocks) throw invalid(`xz stream: ${blocks} blocks, its index has ${records}`);
  for (let count = 0; count < 2 * records; count++) await varint();
  parts.push(await reader.take(-(reader.position - start) & 3));
  const crc = viewOf(await reader.take(4)).getUint32(0, true);
  if (crc !== crc32(joinMemory(parts))) throw invalid('xz stream: the CRC of its index is wrong');
}

/** Whether another stream follows. */
async function skipPadding(reader: StreamReader): Promise<boolean> {
  for (let byte = await reader.peek(); byte !== undefined; byte = await reader.peek()) {
    if (byte !== 0) return true;
    await reader.take(1);
  }
  return false;
}

/** Takes bytes off a stream of chunks. */
class StreamReader {
  position = 0;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  #rest: Uint8Array = new Uint8Array();

  constructor(input: Chunks, signal: AbortSignal | undefined) {
    this.#chunks = input[Symbol.asyncIterator]();
    this.#signal = signal;
  }

  /** The next byte, which stays; `undefined` at the end. */
  async peek(): Promise<number | undefined> {
    while (this.#rest.length === 0) {
      stopIfAborted(this.#signal, 'decompression');
      const next = await this.#chunks.next();
      if (next.done === true) return undefined;
      this.#rest = next.value;
    }
    return this.#rest[0];
  }

  /** Exactly so many bytes. Throws `invalid-input` at the end. */
  async take(length: number): Promise<Uint8Array> {
    let data: Uint8Array | undefined;
    for (let filled = 0; filled < length; ) {
      if (this.#rest.length === 0 && (await this.peek()) === undefined) {
        throw invalid(`xz stream: ends after ${this.position} bytes, in the middle`);
      }
      const part = this.#rest.subarray(0, length - filled);
      this.#rest = this.#rest.subarray(part.length);
      this.position += part.length;
      if (part.length === length) return part;
      data ??= new Uint8Array(length);
      data.set(part, filled);
      filled += part.length;
    }
    return data ?? new Uint8Array();
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
