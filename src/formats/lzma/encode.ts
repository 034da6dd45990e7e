/** Raw LZMA1: what GRUB's decompressor takes. */
import { GreedyParser } from './greedy-parser.ts';
import {
  ALIGN_BITS,
  DISTANCE_ALIGN,
  DISTANCE_SLOT,
  DISTANCE_SLOTS,
  DISTANCE_SPECIAL,
  distanceSlot,
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
  REP_LENGTH,
  stateAfterLiteral,
  stateAfterMatch,
  stateAfterRep,
  stateAfterShortRep,
} from './model.ts';
import { RangeEncoder } from './range-encoder.ts';
import { type CoderState, LITERAL_STEP } from './step.ts';

/** grub-mkimage's dictionary: no match reaches further back, bytes. */
export const DICTIONARY_SIZE = 0x10000;

/** Earlier places looked at for a match: twice as many make GRUB 0.2 % smaller. */
const DEPTH = 32;

/**
 * `data` as a raw LZMA1 stream: lc=3, lp=0, pb=2, dictionary 64 KiB, no header and no end marker, so the reader must know
 * the size. The same bytes give the same stream on every machine.
 * Source: LZMA specification (LZMA SDK); GRUB util/mkimage.c for the properties.
 */
export function encodeLzma(data: Uint8Array): Uint8Array {
  const probabilities = freshProbabilities();
  const encoder = new RangeEncoder(probabilities, (data.length >>> 1) + 64);
  const parser = new GreedyParser(data, DICTIONARY_SIZE, DEPTH);
  const coder: CoderState = { state: 0, reps: new Int32Array(4) };
  for (let position = 0; position < data.length; ) {
    const length = parser.choose(position, coder.reps);
    encodeStep(encoder, coder, data, position, length, parser.code);
    position += length;
  }
  return encoder.finish();
}

/** One literal or match: `length` bytes from `position`, as `code` says (`step.ts`). Moves `coder` on. */
export function encodeStep(
  encoder: RangeEncoder,
  coder: CoderState,
  data: Uint8Array,
  position: number,
  length: number,
  code: number,
): void {
  const { state } = coder;
  const positionState = position % POSITION_STATES;
  encoder.bit(IS_MATCH + state * POSITION_STATES + positionState, code === LITERAL_STEP ? 0 : 1);
  if (code === LITERAL_STEP) {
    encodeLiteral(encoder, coder, data, position);
    coder.state = stateAfterLiteral(state);
    return;
  }
  encoder.bit(IS_REP + state, code < 4 ? 1 : 0);
  if (code < 4) {
    encodeRep(encoder, coder, positionState, length, code);
    return;
  }
  encodeLength(encoder, MATCH_LENGTH, positionState, length);
  encodeDistance(encoder, length, code - 4);
  coder.reps.copyWithin(1, 0, 3);
  coder.reps[0] = code - 4;
  coder.state = stateAfterMatch(state);
}

function encodeLiteral(encoder: RangeEncoder, coder: CoderState, data: Uint8Array, position: number): void {
  const byte = data[position]!;
  const tree = literalTree(position === 0 ? 0 : data[position - 1]!);
  if (coder.state < FIRST_STATE_AFTER_MATCH) {
    encoder.tree(tree, 8, byte);
    return;
  }
  let expected = data[position - coder.reps[0]! - 1]! << 1;
  let offset = 0x100;
  let symbol = 1;
  for (let index = 7; index >= 0; index--) {
    const bit = (byte >>> index) & 1;
    const expectedBit = expected & offset;
    encoder.bit(tree + offset + expectedBit + symbol, bit);
    symbol = (symbol << 1) | bit;
    if ((expectedBit !== 0) !== (bit === 1)) offset = 0;
    expected <<= 1;
  }
}

function encodeRep(
  encoder: RangeEncoder,
  coder: CoderState,
  positionState: number,
  length: number,
  index: number,
): void {
  const { state, reps } = coder;
  encoder.bit(IS_REP_G0 + state, index === 0 ? 0 : 1);
  if (index === 0) {
    encoder.bit(IS_REP0_LONG + state * POSITION_STATES + positionState, length === 1 ? 0 : 1);
  } else {
    encoder.bit(IS_REP_G1 + state, index === 1 ? 0 : 1);
    if (index > 1) encoder.bit(IS_REP_G2 + state, index - 2);
    const distance = reps[index]!;
    reps.copyWithin(1, 0, index);
    reps[0] = distance;
  }
  if (length === 1) {
    coder.state = stateAfterShortRep(state);
    return;
  }
  encodeLength(encoder, REP_LENGTH, positionState, length);
  coder.state = stateAfterRep(state);
}

function encodeLength(encoder: RangeEncoder, lengthCoder: number, positionState: number, length: number): void {
  const value = length - MIN_MATCH;
  encoder.bit(lengthCoder, value < 8 ? 0 : 1);
  if (value < 8) {
    encoder.tree(lengthCoder + LENGTH_LOW + positionState * 8, 3, value);
    return;
  }
  encoder.bit(lengthCoder + 1, value < 16 ? 0 : 1);
  if (value < 16) encoder.tree(lengthCoder + LENGTH_MIDDLE + positionState * 8, 3, value - 8);
  else encoder.tree(lengthCoder + LENGTH_HIGH, 8, value - 16);
}

function encodeDistance(encoder: RangeEncoder, length: number, distance: number): void {
  const slot = distanceSlot(distance);
  encoder.tree(DISTANCE_SLOT + lengthState(length) * DISTANCE_SLOTS, 6, slot);
  if (slot < 4) return;
  const bits = (slot >>> 1) - 1;
  const start = (2 | (slot & 1)) << bits;
  if (slot < FIRST_ALIGN_SLOT) {
    encoder.reverseTree(DISTANCE_SPECIAL + start - slot, bits, distance - start);
    return;
  }
  encoder.direct((distance - start) >>> ALIGN_BITS, bits - ALIGN_BITS);
  encoder.reverseTree(DISTANCE_ALIGN, ALIGN_BITS, distance & 15);
}
