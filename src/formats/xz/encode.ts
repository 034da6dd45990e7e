/** LZMA2 for what is worth compressing: quick choices of matches, the coding of `formats/lzma`. The same bytes on every machine. */
import { joinMemory } from '../../bytes/field.ts';
import { encodeStep } from '../lzma/encode.ts';
import { GreedyParser } from '../lzma/greedy-parser.ts';
import { freshProbabilities } from '../lzma/model.ts';
import { RangeEncoder } from '../lzma/range-encoder.ts';
import type { CoderState } from '../lzma/step.ts';
import { LZMA, LZMA_RESET_ALL, LZMA_RESET_STATE, lzmaHeader, storedHeader } from './lzma2.ts';

/** Content of a chunk, bytes: with one more match it still fits a stored chunk, should compression make it larger. */
const CHUNK = 0xf000;

/**
 * `data` as LZMA2 chunks without end marker, from a dictionary reset on; the dictionary is as large as the data. `depth` is how many earlier
 * places are looked at for each match. Never longer than the data by more than three bytes for each 60 KiB.
 */
export function encodeLzma2(data: Uint8Array, depth: number): Uint8Array {
  const parser = new GreedyParser(data, data.length, depth);
  const coder: CoderState = { state: 0, reps: new Int32Array(4) };
  const probabilities = freshProbabilities();
  const parts: Uint8Array[] = [];
  let control = LZMA_RESET_ALL;
  for (let position = 0; position < data.length; ) {
    const start = position;
    const encoder = new RangeEncoder(probabilities, CHUNK);
    while (position < data.length && position - start < CHUNK) {
      const length = parser.choose(position, coder.reps);
      encodeStep(encoder, coder, data, position, length, parser.code);
      position += length;
    }
    const packed = encoder.finish();
    if (packed.length < position - start) {
      parts.push(lzmaHeader(control, position - start, packed.length), packed);
      control = LZMA;
      continue;
    }
    parts.push(storedHeader(position - start, start === 0), data.subarray(start, position));
    // What the decoder has not seen it has not learnt from.
    probabilities.set(freshProbabilities());
    coder.state = 0;
    coder.reps.fill(0);
    control = LZMA_RESET_STATE;
  }
  return joinMemory(parts);
}
