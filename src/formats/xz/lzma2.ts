/**
 * Chunks of an LZMA2 stream that can be written down without compressing anything. Each sequence of chunks begins with a dictionary reset, so that it
 * refers to nothing before it. Source: XZ format specification 1.1.0 section 5.3.1; liblzma's lzma2_encoder.c for the control bytes.
 */
import { type Bytes, concat, ofMemory, slice } from '../../bytes/bytes.ts';
import { joinMemory } from '../../bytes/field.ts';
import { encodeStep } from '../lzma/encode.ts';
import { freshProbabilities, MAX_MATCH } from '../lzma/model.ts';
import { RangeEncoder } from '../lzma/range-encoder.ts';
import type { CoderState } from '../lzma/step.ts';

/** The sizes of a chunk count from 1: 16 bits for what is stored, compressed or not, 21 for what it unpacks to. */
const MAX_STORED = 0x10000;
const MAX_UNPACKED = 0x200000;

/** Uncompressed; the dictionary begins anew, or goes on. */
const STORED_RESET = 1;
const STORED = 2;
/** Compressed: dictionary, state and properties begin anew; state and properties do; nothing does. The low five bits belong to the size. */
export const LZMA_RESET_ALL = 0xe0;
export const LZMA_RESET_STATE = 0xc0;
export const LZMA = 0x80;
/** lc=3, lp=0, pb=2: those of `formats/lzma`. */
export const PROPERTIES: number = (2 * 5 + 0) * 9 + 3;

/** Ends a stream. */
export const END_OF_CHUNKS: Bytes = ofMemory(Uint8Array.of(0));

/** Stored as it is: three bytes for each 64 KiB. */
export function storedChunks(content: Bytes): Bytes {
  const parts: Bytes[] = [];
  for (let position = 0; position < content.size; position += MAX_STORED) {
    const end = Math.min(position + MAX_STORED, content.size);
    parts.push(ofMemory(storedHeader(end - position, position === 0)), slice(content, position, end));
  }
  return concat(parts);
}

export function storedHeader(length: number, resets: boolean): Uint8Array {
  return Uint8Array.of(resets ? STORED_RESET : STORED, (length - 1) >>> 8, (length - 1) & 0xff);
}

/** Header of a compressed chunk. The properties follow when they begin anew. */
export function lzmaHeader(control: number, unpacked: number, packed: number): Uint8Array {
  const [size, stored] = [unpacked - 1, packed - 1];
  const fixed = [control | (size >>> 16), (size >>> 8) & 0xff, size & 0xff, stored >>> 8, stored & 0xff];
  return Uint8Array.from(control >= LZMA_RESET_STATE ? [...fixed, PROPERTIES] : fixed);
}

/** This many chunks of zeros are one piece of memory, used again and again: 64 MiB. */
const CHUNKS_PER_PAGE = 32;
let page: Uint8Array | undefined;

/** `length` zeros: about 370 bytes for each 2 MiB. */
export function zeroChunks(length: number): Bytes {
  page ??= joinMemory(new Array<Uint8Array>(CHUNKS_PER_PAGE).fill(zeroChunk(MAX_UNPACKED)));
  const parts: Bytes[] = [];
  let whole = Math.floor(length / MAX_UNPACKED);
  for (; whole > 0; whole -= CHUNKS_PER_PAGE) {
    const count = Math.min(whole, CHUNKS_PER_PAGE);
    parts.push(ofMemory(page.subarray(0, (count * page.length) / CHUNKS_PER_PAGE)));
  }
  const rest = length % MAX_UNPACKED;
  if (rest > 0) parts.push(ofMemory(zeroChunk(rest)));
  return concat(parts);
}

const ZERO = new Uint8Array(1);
/** Steps of `encodeStep`: the byte itself, and the latest distance again, which is 1 at the start. */
const LITERAL = -1;
const REPEAT = 0;

function zeroChunk(length: number): Uint8Array {
  const encoder = new RangeEncoder(freshProbabilities(), 512);
  const coder: CoderState = { state: 0, reps: new Int32Array(4) };
  encodeStep(encoder, coder, ZERO, 0, 1, LITERAL);
  for (let position = 1; position < length; position += MAX_MATCH) {
    encodeStep(encoder, coder, ZERO, position, Math.min(MAX_MATCH, length - position), REPEAT);
  }
  const data = encoder.finish();
  return joinMemory([lzmaHeader(LZMA_RESET_ALL, length, data.length), data]);
}
