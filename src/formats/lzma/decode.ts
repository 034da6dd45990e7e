/** The reading side of `encode.ts`: for inspecting core images and for judging the encoder. */
import { invalid } from '../../errors.ts';
import {
  ADAPTION_SHIFT,
  ALIGN_BITS,
  DISTANCE_ALIGN,
  DISTANCE_SLOT,
  DISTANCE_SLOTS,
  DISTANCE_SPECIAL,
  FIRST_ALIGN_SLOT,
  FIRST_STATE_AFTER_MATCH,
  freshProbabilities,
  IS_MATCH,
  IS_REP,
  IS_REP_G0,
  IS_REP_G1,
  IS_REP_G2,
  IS_REP0_LONG,
  LENGTH_HIGH,
  LENGTH_LOW,
  LENGTH_MIDDLE,
  lengthState,
  literalTree,
  MATCH_LENGTH,
  MIN_MATCH,
  POSITION_STATES,
  PROBABILITY_BITS,
  REP_LENGTH,
  stateAfterLiteral,
  stateAfterMatch,
  stateAfterRep,
  stateAfterShortRep,
  TOP_RANGE,
} from './model.ts';
import type { CoderState } from './step.ts';

/** More than any core image can be: GRUB refuses a kernel that ends above 416 KiB, and modules stay below a few MiB. */
const MAX_SIZE: number = 64 << 20;

/**
 * The `size` bytes that a raw LZMA1 stream (lc=3, lp=0, pb=2, no header) stands for. Throws `invalid-input` when the
 * stream ends early, has an end marker, reaches back before its beginning, or is not used up exactly.
 */
export function decodeLzma(stream: Uint8Array, size: number): Uint8Array {
  if (!Number.isSafeInteger(size) || size < 0 || size > MAX_SIZE) {
    throw invalid(`LZMA stream: ${size} bytes when unpacked, want 0..${MAX_SIZE}`);
  }
  const decoder = new RangeDecoder(stream, freshProbabilities());
  const output = new Uint8Array(size);
  decodeSteps(decoder, { state: 0, reps: new Int32Array(4) }, output, 0);
  decoder.finish();
  return output;
}

/** Fills `output` from `start` on: what is before is the dictionary. Throws `invalid-input` where a step reaches out of it on either side. */
export function decodeSteps(decoder: RangeDecoder, coder: CoderState, output: Uint8Array, start: number): void {
  const { reps } = coder;
  for (let position = start; position < output.length; ) {
    const { state } = coder;
    const positionState = position % POSITION_STATES;
    if (decoder.bit(IS_MATCH + state * POSITION_STATES + positionState) === 0) {
      output[position] = decodeLiteral(decoder, output, position, state, reps[0]!);
      position++;
      coder.state = stateAfterLiteral(state);
      continue;
    }
    let length: number;
    if (decoder.bit(IS_REP + state) === 0) {
      length = decodeLength(decoder, MATCH_LENGTH, positionState);
      reps.copyWithin(1, 0, 3);
      reps[0] = decodeDistance(decoder, length);
      coder.state = stateAfterMatch(state);
    } else if (decodeRepIsShort(decoder, state, positionState, reps)) {
      length = 1;
      coder.state = stateAfterShortRep(state);
    } else {
      length = decodeLength(decoder, REP_LENGTH, positionState);
      coder.state = stateAfterRep(state);
    }
    copyMatch(output, position, length, reps[0]!);
    position += length;
  }
}

function copyMatch(output: Uint8Array, position: number, length: number, distance: number): void {
  // The end marker is distance 0xFFFFFFFF, which is -1 here.
  if (distance < 0 || distance >= position) {
    throw invalid(`LZMA stream: at ${position} a match reaches back ${(distance >>> 0) + 1} bytes`);
  }
  if (length > output.length - position) {
    throw invalid(`LZMA stream: at ${position} a match of ${length} bytes passes the end at ${output.length}`);
  }
  const end = position + length;
  for (let at = position; at < end; at++) output[at] = output[at - distance - 1]!;
}

function decodeLiteral(
  decoder: RangeDecoder,
  output: Uint8Array,
  position: number,
  state: number,
  distance: number,
): number {
  const tree = literalTree(position === 0 ? 0 : output[position - 1]!);
  if (state < FIRST_STATE_AFTER_MATCH) return decoder.tree(tree, 8);
  let expected = output[position - distance - 1]! << 1;
  let offset = 0x100;
  let symbol = 1;
  while (symbol < 0x100) {
    const expectedBit = expected & offset;
    const bit = decoder.bit(tree + offset + expectedBit + symbol);
    symbol = (symbol << 1) | bit;
    if ((expectedBit !== 0) !== (bit === 1)) offset = 0;
    expected <<= 1;
  }
  return symbol & 0xff;
}

/** Moves the chosen distance to the front of `reps`; true for the one-byte form, which has no length. */
function decodeRepIsShort(decoder: RangeDecoder, state: number, positionState: number, reps: Int32Array): boolean {
  if (decoder.bit(IS_REP_G0 + state) === 0) {
    return decoder.bit(IS_REP0_LONG + state * POSITION_STATES + positionState) === 0;
  }
  let index = 1;
  if (decoder.bit(IS_REP_G1 + state) === 1) index = 2 + decoder.bit(IS_REP_G2 + state);
  const distance = reps[index]!;
  reps.copyWithin(1, 0, index);
  reps[0] = distance;
  return false;
}

function decodeLength(decoder: RangeDecoder, coder: number, positionState: number): number {
  if (decoder.bit(coder) === 0) return MIN_MATCH + decoder.tree(coder + LENGTH_LOW + positionState * 8, 3);
  if (decoder.bit(coder + 1) === 0) return MIN_MATCH + 8 + decoder.tree(coder + LENGTH_MIDDLE + positionState * 8, 3);
  return MIN_MATCH + 16 + decoder.tree(coder + LENGTH_HIGH, 8);
}

function decodeDistance(decoder: RangeDecoder, length: number): number {
  const slot = decoder.tree(DISTANCE_SLOT + lengthState(length) * DISTANCE_SLOTS, 6);
  if (slot < 4) return slot;
  const bits = (slot >>> 1) - 1;
  const start = (2 | (slot & 1)) << bits;
  if (slot < FIRST_ALIGN_SLOT) return start + decoder.reverseTree(DISTANCE_SPECIAL + start - slot, bits);
  const high = decoder.direct(bits - ALIGN_BITS) << ALIGN_BITS;
  return (start + high + decoder.reverseTree(DISTANCE_ALIGN, ALIGN_BITS)) | 0;
}

/** The binary range decoder of LZMA. */
export class RangeDecoder {
  readonly #stream: Uint8Array;
  readonly #probabilities: Uint16Array;
  #position = 0;
  #range = 0xffffffff;
  #code = 0;

  /** `probabilities` are changed by what is read. */
  constructor(stream: Uint8Array, probabilities: Uint16Array) {
    this.#stream = stream;
    this.#probabilities = probabilities;
    if (this.#next() !== 0) throw invalid('LZMA stream: begins with something else than a zero byte');
    for (let count = 0; count < 4; count++) this.#code = ((this.#code << 8) | this.#next()) >>> 0;
  }

  bit(index: number): number {
    const probability = this.#probabilities[index]!;
    const bound = (this.#range >>> PROBABILITY_BITS) * probability;
    let value = 0;
    if (this.#code < bound) {
      this.#range = bound;
      this.#probabilities[index] = probability + (((1 << PROBABILITY_BITS) - probability) >>> ADAPTION_SHIFT);
    } else {
      this.#code -= bound;
      this.#range -= bound;
      this.#probabilities[index] = probability - (probability >>> ADAPTION_SHIFT);
      value = 1;
    }
    if (this.#range < TOP_RANGE) this.#shift();
    return value;
  }

  tree(base: number, bits: number): number {
    let node = 1;
    for (let count = 0; count < bits; count++) node = (node << 1) | this.bit(base + node);
    return node - (1 << bits);
  }

  reverseTree(base: number, bits: number): number {
    let node = 1;
    let value = 0;
    for (let index = 0; index < bits; index++) {
      const bit = this.bit(base + node);
      node = (node << 1) | bit;
      value |= bit << index;
    }
    return value;
  }

  direct(bits: number): number {
    let value = 0;
    for (let count = 0; count < bits; count++) {
      this.#range >>>= 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit === 1) this.#code -= this.#range;
      value = (value << 1) | bit;
      if (this.#range < TOP_RANGE) this.#shift();
    }
    return value;
  }

  finish(): void {
    const left = this.#stream.length - this.#position;
    if (left > 0) throw invalid(`LZMA stream: ${left} bytes follow its end`);
    if (this.#code !== 0) throw invalid('LZMA stream: damaged, or longer than its size says');
  }

  #shift(): void {
    this.#range *= 256;
    this.#code = ((this.#code << 8) | this.#next()) >>> 0;
  }

  #next(): number {
    if (this.#position >= this.#stream.length) {
      throw invalid(`LZMA stream: ends after ${this.#stream.length} bytes, in the middle`);
    }
    return this.#stream[this.#position++]!;
  }
}
