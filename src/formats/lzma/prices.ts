/**
 * What coding decisions cost under the present probabilities, in sixteenths of a bit. All integer arithmetic, so that every
 * machine chooses the same parse.
 */
import {
  ALIGN_BITS,
  DISTANCE_ALIGN,
  DISTANCE_SLOT,
  DISTANCE_SLOTS,
  DISTANCE_SPECIAL,
  distanceSlot,
  FIRST_ALIGN_SLOT,
  FULL_DISTANCES,
  LENGTH_HIGH,
  LENGTH_LOW,
  LENGTH_MIDDLE,
  LENGTH_STATES,
  MATCH_LENGTH,
  MAX_MATCH,
  MIN_MATCH,
  POSITION_STATES,
  PROBABILITY_BITS,
  REP_LENGTH,
} from './model.ts';

/** Probabilities are looked up with their lowest four bits dropped. */
const REDUCE_BITS = 4;
const FRACTION_BITS = 4;
const LENGTHS: number = MAX_MATCH - MIN_MATCH + 1;

/** Price of a bit whose chance is about `index` of 128. */
const PRICES: Uint8Array = Uint8Array.from({ length: 1 << (PROBABILITY_BITS - REDUCE_BITS) }, (_, index) =>
  negativeLogarithm((index << REDUCE_BITS) + (1 << (REDUCE_BITS - 1))),
);

/** -log2(chance / 2^11) in sixteenths: each squaring gives the next binary digit of the logarithm. */
function negativeLogarithm(chance: number): number {
  let mantissa = chance;
  let logarithm = 0;
  for (let digit = 0; digit < FRACTION_BITS; digit++) {
    mantissa *= mantissa;
    logarithm *= 2;
    while (mantissa >= 0x10000) {
      mantissa = Math.floor(mantissa / 2);
      logarithm++;
    }
  }
  // 15 more are in the mantissa, which ends between 2^15 and 2^16.
  return (PROBABILITY_BITS << FRACTION_BITS) - 15 - logarithm;
}

export function bitPrice(probability: number, bit: number): number {
  return PRICES[(bit === 0 ? probability : (1 << PROBABILITY_BITS) - probability) >>> REDUCE_BITS]!;
}

/** Tables of what is asked for again and again; `refresh` brings them up to date. */
export class PriceTables {
  readonly #probabilities: Uint16Array;
  /** Indexed by position state * 272 + length - 2. */
  readonly matchLength: Uint16Array = new Uint16Array(POSITION_STATES * LENGTHS);
  readonly repLength: Uint16Array = new Uint16Array(POSITION_STATES * LENGTHS);
  readonly #slot: Uint16Array = new Uint16Array(LENGTH_STATES * DISTANCE_SLOTS);
  readonly #near: Uint16Array = new Uint16Array(LENGTH_STATES * FULL_DISTANCES);
  readonly #align: Uint16Array = new Uint16Array(1 << ALIGN_BITS);

  constructor(probabilities: Uint16Array) {
    this.#probabilities = probabilities;
    this.refresh();
  }

  refresh(): void {
    this.#fillLengths(this.matchLength, MATCH_LENGTH);
    this.#fillLengths(this.repLength, REP_LENGTH);
    for (let value = 0; value < this.#align.length; value++) {
      this.#align[value] = this.#reverseTree(DISTANCE_ALIGN, ALIGN_BITS, value);
    }
    for (let state = 0; state < LENGTH_STATES; state++) this.#fillDistances(state);
  }

  /** Of a distance (counted from 0) after a length of the given length state. */
  distance(state: number, distance: number): number {
    if (distance < FULL_DISTANCES) return this.#near[state * FULL_DISTANCES + distance]!;
    return this.#slot[state * DISTANCE_SLOTS + distanceSlot(distance)]! + this.#align[distance & 15]!;
  }

  #fillDistances(state: number): void {
    for (let slot = 0; slot < DISTANCE_SLOTS; slot++) {
      const base = DISTANCE_SLOT + state * DISTANCE_SLOTS;
      const directBits = slot < FIRST_ALIGN_SLOT ? 0 : (slot >>> 1) - 1 - ALIGN_BITS;
      this.#slot[state * DISTANCE_SLOTS + slot] = this.#tree(base, 6, slot) + (directBits << FRACTION_BITS);
    }
    for (let distance = 0; distance < FULL_DISTANCES; distance++) {
      const slot = distanceSlot(distance);
      let price = this.#slot[state * DISTANCE_SLOTS + slot]!;
      if (slot >= 4) {
        const bits = (slot >>> 1) - 1;
        const start = (2 | (slot & 1)) << bits;
        price += this.#reverseTree(DISTANCE_SPECIAL + start - slot, bits, distance - start);
      }
      this.#near[state * FULL_DISTANCES + distance] = price;
    }
  }

  #fillLengths(table: Uint16Array, coder: number): void {
    const short = bitPrice(this.#probabilities[coder]!, 0);
    const notShort = bitPrice(this.#probabilities[coder]!, 1);
    const middle = notShort + bitPrice(this.#probabilities[coder + 1]!, 0);
    const long = notShort + bitPrice(this.#probabilities[coder + 1]!, 1);
    for (let index = 0; index < LENGTHS; index++) {
      const shared = index < 16 ? 0 : long + this.#tree(coder + LENGTH_HIGH, 8, index - 16);
      for (let position = 0; position < POSITION_STATES; position++) {
        let price = shared;
        if (index < 8) price = short + this.#tree(coder + LENGTH_LOW + position * 8, 3, index);
        else if (index < 16) price = middle + this.#tree(coder + LENGTH_MIDDLE + position * 8, 3, index - 8);
        table[position * LENGTHS + index] = price;
      }
    }
  }

  #tree(base: number, bits: number, value: number): number {
    let price = 0;
    for (let node = value | (1 << bits); node > 1; node >>>= 1) {
      price += bitPrice(this.#probabilities[base + (node >>> 1)]!, node & 1);
    }
    return price;
  }

  #reverseTree(base: number, bits: number, value: number): number {
    let price = 0;
    let node = 1;
    for (let index = 0; index < bits; index++) {
      const bit = (value >>> index) & 1;
      price += bitPrice(this.#probabilities[base + node]!, bit);
      node = (node << 1) | bit;
    }
    return price;
  }
}
