/** Decoding LZMA2 chunks in memory. Source: XZ format specification 1.1.0 section 5.3.1; liblzma's lzma2_decoder.c for the control bytes. */
import { ImagerError, invalid } from '../../errors.ts';
import { decodeSteps, RangeDecoder } from '../lzma/decode.ts';
import { freshProbabilities } from '../lzma/model.ts';
import type { CoderState } from '../lzma/step.ts';
import { LZMA, LZMA_RESET_ALL, LZMA_RESET_STATE, PROPERTIES } from './lzma2.ts';

/** Where the chunks end, behind their end marker, and what they unpack to: both bytes. */
export interface ChunksExtent {
  readonly end: number;
  readonly unpackedSize: number;
}

const STORED_RESET = 1;
const STORED = 2;
/** Compressed; the state begins anew, the properties stay. */
const LZMA_KEEP_PROPERTIES = 0xa0;

interface Chunk {
  readonly control: number;
  readonly unpackedSize: number;
  /** Of the content, in the data. */
  readonly start: number;
  readonly end: number;
}

/** The chunk at `position`; `undefined` for the end marker. */
function chunkAt(data: Uint8Array, position: number): Chunk | undefined {
  const control = byteAt(data, position);
  if (control === 0) return undefined;
  const low = (byteAt(data, position + 1) << 8) + byteAt(data, position + 2) + 1;
  if (control < LZMA) {
    if (control > STORED) throw invalid(`LZMA2 chunk: control byte 0x${control.toString(16)}`);
    return checkEnd(data, { control, unpackedSize: low, start: position + 3, end: position + 3 + low });
  }
  const packedSize = (byteAt(data, position + 3) << 8) + byteAt(data, position + 4) + 1;
  const start = position + (control >= LZMA_RESET_STATE ? 6 : 5);
  return checkEnd(data, { control, unpackedSize: ((control & 0x1f) << 16) + low, start, end: start + packedSize });
}

function byteAt(data: Uint8Array, position: number): number {
  const byte = data[position];
  if (byte === undefined) throw invalid(`LZMA2 chunks: no end marker in ${data.length} bytes`);
  return byte;
}

function checkEnd(data: Uint8Array, chunk: Chunk): Chunk {
  if (chunk.end > data.length) throw invalid(`LZMA2 chunk: ends at ${chunk.end}, behind all ${data.length} bytes`);
  return chunk;
}

/** Looks at the headers only. Throws `invalid-input` where chunks do not follow each other up to an end marker. */
export function extentOfChunks(data: Uint8Array, start: number): ChunksExtent {
  let position = start;
  let unpackedSize = 0;
  for (let chunk = chunkAt(data, position); chunk !== undefined; chunk = chunkAt(data, position)) {
    position = chunk.end;
    unpackedSize += chunk.unpackedSize;
  }
  return { end: position + 1, unpackedSize };
}

/**
 * What the chunks at `start` stand for; `size` is what `extentOfChunks` counted. Throws `invalid-input` on damage, `unsupported` for other properties
 * than those every encoder takes unless told otherwise (lc=3, lp=0, pb=2).
 */
export function decodeLzma2(data: Uint8Array, start: number, size: number): Uint8Array {
  const output = new Uint8Array(size);
  let probabilities: Uint16Array | undefined;
  let coder: CoderState = { state: 0, reps: new Int32Array(4) };
  /** What the dictionary begins with: distances and positions count from there. */
  let dictionary: number | undefined;
  let done = 0;
  let position = start;
  for (let chunk = chunkAt(data, position); chunk !== undefined; chunk = chunkAt(data, position)) {
    const { control } = chunk;
    if (control === STORED_RESET || control >= LZMA_RESET_ALL) dictionary = done;
    if (dictionary === undefined) throw invalid('LZMA2 chunks: the first one does not begin a dictionary');
    const end = done + chunk.unpackedSize;
    if (control < LZMA) {
      output.set(data.subarray(chunk.start, chunk.end), done);
    } else {
      if (control >= LZMA_RESET_STATE) checkProperties(data[chunk.start - 1]!);
      else if (probabilities === undefined) throw invalid('LZMA2 chunks: the first compressed one has no properties');
      if (control >= LZMA_KEEP_PROPERTIES || probabilities === undefined) {
        probabilities = freshProbabilities();
        coder = { state: 0, reps: new Int32Array(4) };
      }
      const decoder = new RangeDecoder(data.subarray(chunk.start, chunk.end), probabilities);
      decodeSteps(decoder, coder, output.subarray(dictionary, end), done - dictionary);
      decoder.finish();
    }
    done = end;
    position = chunk.end;
  }
  return output;
}

function checkProperties(byte: number): void {
  if (byte === PROPERTIES) return;
  throw new ImagerError('unsupported', `LZMA2 properties 0x${byte.toString(16)}: want 0x${PROPERTIES.toString(16)}`);
}
