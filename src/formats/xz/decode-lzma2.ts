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

export interface ChunkHeader {
  readonly control: number;
  /** Bytes: of the header, of what follows it, and of what that stands for. */
  readonly size: number;
  readonly packedSize: number;
  readonly unpackedSize: number;
  /** Where the header has them. */
  readonly properties: number | undefined;
}

/** Bytes of a header that begins with this byte, which is not the end marker. Throws `invalid-input` when no header does. */
export function chunkHeaderSize(control: number): number {
  if (control >= LZMA_RESET_STATE) return 6;
  if (control >= LZMA) return 5;
  if (control > STORED) throw invalid(`LZMA2 chunk: control byte 0x${control.toString(16)}`);
  return 3;
}

/** The header at `position`; `undefined` for the end marker. */
export function decodeChunkHeader(data: Uint8Array, position: number): ChunkHeader | undefined {
  const control = byteAt(data, position);
  if (control === 0) return undefined;
  const size = chunkHeaderSize(control);
  const low = (byteAt(data, position + 1) << 8) + byteAt(data, position + 2) + 1;
  if (control < LZMA) return { control, size, packedSize: low, unpackedSize: low, properties: undefined };
  return {
    control,
    size,
    packedSize: (byteAt(data, position + 3) << 8) + byteAt(data, position + 4) + 1,
    unpackedSize: ((control & 0x1f) << 16) + low,
    properties: control >= LZMA_RESET_STATE ? byteAt(data, position + 5) : undefined,
  };
}

function byteAt(data: Uint8Array, position: number): number {
  const byte = data[position];
  if (byte === undefined) throw invalid(`LZMA2 chunks: no end marker in ${data.length} bytes`);
  return byte;
}

/** Whether nothing before the chunk is referred to any more. */
export function beginsDictionary({ control }: ChunkHeader): boolean {
  return control === STORED_RESET || control >= LZMA_RESET_ALL;
}

/** What goes on from chunk to chunk. */
export class ChunkDecoder {
  #probabilities: Uint16Array | undefined;
  #coder: CoderState = { state: 0, reps: new Int32Array(4) };

  /**
   * Fills `output` from `start` on with what `packed` stands for; before it is the dictionary. Throws `invalid-input` on damage, `unsupported` for other
   * properties than those every encoder takes unless told otherwise (lc=3, lp=0, pb=2).
   */
  decode({ control, properties }: ChunkHeader, packed: Uint8Array, output: Uint8Array, start: number): void {
    if (control < LZMA) {
      output.set(packed, start);
      return;
    }
    if (properties !== undefined) checkProperties(properties);
    else if (this.#probabilities === undefined) {
      throw invalid('LZMA2 chunks: the first compressed one has no properties');
    }
    if (control >= LZMA_KEEP_PROPERTIES || this.#probabilities === undefined) {
      this.#probabilities = freshProbabilities();
      this.#coder = { state: 0, reps: new Int32Array(4) };
    }
    const decoder = new RangeDecoder(packed, this.#probabilities);
    decodeSteps(decoder, this.#coder, output, start);
    decoder.finish();
  }
}

/** Looks at the headers only. Throws `invalid-input` where chunks do not follow each other up to an end marker. */
export function extentOfChunks(data: Uint8Array, start: number): ChunksExtent {
  let position = start;
  let unpackedSize = 0;
  for (let chunk = decodeChunkHeader(data, position); chunk !== undefined; chunk = decodeChunkHeader(data, position)) {
    position += chunk.size + chunk.packedSize;
    unpackedSize += chunk.unpackedSize;
    if (position > data.length) throw invalid(`LZMA2 chunk: ends at ${position}, behind all ${data.length} bytes`);
  }
  return { end: position + 1, unpackedSize };
}

/** What the chunks at `start` stand for; `size` is what `extentOfChunks` counted. Throws as `ChunkDecoder` does. */
export function decodeLzma2(data: Uint8Array, start: number, size: number): Uint8Array {
  const output = new Uint8Array(size);
  const decoder = new ChunkDecoder();
  /** What the dictionary begins with: distances and positions count from there. */
  let dictionary: number | undefined;
  let done = 0;
  let position = start;
  for (let chunk = decodeChunkHeader(data, position); chunk !== undefined; chunk = decodeChunkHeader(data, position)) {
    if (beginsDictionary(chunk)) dictionary = done;
    if (dictionary === undefined) throw noDictionary();
    const packed = data.subarray(position + chunk.size, position + chunk.size + chunk.packedSize);
    const end = done + chunk.unpackedSize;
    decoder.decode(chunk, packed, output.subarray(dictionary, end), done - dictionary);
    done = end;
    position += chunk.size + chunk.packedSize;
  }
  return output;
}

export function noDictionary(): ImagerError {
  return invalid('LZMA2 chunks: the first one does not begin a dictionary');
}

function checkProperties(byte: number): void {
  if (byte === PROPERTIES) return;
  throw new ImagerError('unsupported', `LZMA2 properties 0x${byte.toString(16)}: want 0x${PROPERTIES.toString(16)}`);
}
