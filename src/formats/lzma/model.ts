/**
 * What LZMA encoder and decoder share: the properties GRUB's decompressor is built for, the twelve states, and where each
 * adaptive probability lives in one array.
 *
 * Source: LZMA specification (LZMA SDK, DOC/lzma-specification.txt). The properties lc=3, lp=0, pb=2 are fixed because
 * GRUB's `lzma_decompress.img` has them compiled in and a raw stream has no header to say others.
 */

/** High bits of the previous byte that choose the literal's tree. */
export const LITERAL_CONTEXT_BITS = 3;
/** Low bits of the position that choose among probabilities. */
export const POSITION_BITS = 2;
export const POSITION_STATES: number = 1 << POSITION_BITS;

export const STATES = 12;
/** States below this one come after a literal. */
export const FIRST_STATE_AFTER_MATCH = 7;

export const MIN_MATCH = 2;
/** 8 + 8 + 256 lengths, beginning with 2. */
export const MAX_MATCH = 273;
/** Distances below this one have all their bits modelled; stored distances count from 0. */
export const FULL_DISTANCES = 128;
export const DISTANCE_SLOTS = 64;
/** Match lengths 2, 3, 4 and more each have their own slot tree. */
export const LENGTH_STATES = 4;
export const ALIGN_BITS = 4;
/** The first slot whose lowest bits are not all modelled. */
export const FIRST_ALIGN_SLOT = 14;

/** Probabilities are 11 bits: the chance of a 0. */
export const PROBABILITY_BITS = 11;
/** A probability moves by 1/32 of what it was wrong. */
export const ADAPTION_SHIFT = 5;
/** Below this range both sides shift in a byte. */
export const TOP_RANGE = 0x1000000;

/** Members of a length coder, relative to its start. */
export const LENGTH_LOW = 2;
export const LENGTH_MIDDLE: number = LENGTH_LOW + POSITION_STATES * 8;
export const LENGTH_HIGH: number = LENGTH_MIDDLE + POSITION_STATES * 8;
const LENGTH_SIZE: number = LENGTH_HIGH + 256;

export const IS_MATCH = 0;
export const IS_REP: number = IS_MATCH + STATES * POSITION_STATES;
export const IS_REP_G0: number = IS_REP + STATES;
export const IS_REP_G1: number = IS_REP_G0 + STATES;
export const IS_REP_G2: number = IS_REP_G1 + STATES;
export const IS_REP0_LONG: number = IS_REP_G2 + STATES;
export const DISTANCE_SLOT: number = IS_REP0_LONG + STATES * POSITION_STATES;
export const DISTANCE_SPECIAL: number = DISTANCE_SLOT + LENGTH_STATES * DISTANCE_SLOTS;
export const DISTANCE_ALIGN: number = DISTANCE_SPECIAL + FULL_DISTANCES;
export const MATCH_LENGTH: number = DISTANCE_ALIGN + (1 << ALIGN_BITS);
export const REP_LENGTH: number = MATCH_LENGTH + LENGTH_SIZE;
export const LITERAL: number = REP_LENGTH + LENGTH_SIZE;
/** One literal tree for plain literals and two for those after a match. */
export const LITERAL_TREE = 0x300;
const PROBABILITIES: number = LITERAL + (LITERAL_TREE << LITERAL_CONTEXT_BITS);

/** All probabilities at one half. */
export function freshProbabilities(): Uint16Array {
  return new Uint16Array(PROBABILITIES).fill(1 << (PROBABILITY_BITS - 1));
}

export function stateAfterLiteral(state: number): number {
  if (state < 4) return 0;
  return state < 10 ? state - 3 : state - 6;
}

export function stateAfterMatch(state: number): number {
  return state < FIRST_STATE_AFTER_MATCH ? 7 : 10;
}

export function stateAfterRep(state: number): number {
  return state < FIRST_STATE_AFTER_MATCH ? 8 : 11;
}

export function stateAfterShortRep(state: number): number {
  return state < FIRST_STATE_AFTER_MATCH ? 9 : 11;
}

/** Which slot tree a match of `length` bytes uses. */
export function lengthState(length: number): number {
  return Math.min(length - MIN_MATCH, LENGTH_STATES - 1);
}

/** Start of the tree for a literal after `previous`. */
export function literalTree(previous: number): number {
  return LITERAL + (previous >>> (8 - LITERAL_CONTEXT_BITS)) * LITERAL_TREE;
}

/** The slot of a distance (counted from 0): its two highest bits and how many follow. */
export function distanceSlot(distance: number): number {
  if (distance < 4) return distance;
  const bits = 31 - Math.clz32(distance);
  return (bits << 1) | ((distance >>> (bits - 1)) & 1);
}
