/**
 * Choosing literals and matches: the cheapest path from the start of a chunk to its end, under the probabilities the
 * encoder has when the chunk begins.
 */
import { MatchFinder } from './match-finder.ts';
import {
  FIRST_STATE_AFTER_MATCH,
  IS_MATCH,
  IS_REP,
  IS_REP_G0,
  IS_REP_G1,
  IS_REP_G2,
  IS_REP0_LONG,
  lengthState,
  literalTree,
  MAX_MATCH,
  MIN_MATCH,
  POSITION_STATES,
  stateAfterLiteral,
  stateAfterMatch,
  stateAfterRep,
  stateAfterShortRep,
} from './model.ts';
import { bitPrice, PriceTables } from './prices.ts';

/** Bytes planned at once: longer plans with older prices. */
const CHUNK = 1024;
/** A match this long is taken at once; what lies inside it is not looked at. */
const LONG_ENOUGH = 96;
/** Candidates looked at for each position. */
const DEPTH = 40;
const LENGTHS: number = MAX_MATCH - MIN_MATCH + 1;
const UNREACHED = 0x7fffffff;

/** `Step.code`: a literal, a rep match 0..3 (with length 1: the short one), or 4 + distance (counted from 0). */
export const LITERAL_STEP = -1;

/** What coding depends on besides the bytes. */
export interface CoderState {
  state: number;
  readonly reps: Int32Array;
}

export class Parser {
  readonly #data: Uint8Array;
  readonly #probabilities: Uint16Array;
  readonly #prices: PriceTables;
  readonly #finder: MatchFinder;
  /** Node i is the place i bytes into the chunk; its last step comes from `length` bytes before. */
  readonly #cost: Int32Array = new Int32Array(CHUNK + 1);
  readonly #length: Uint16Array = new Uint16Array(CHUNK + 1);
  readonly #code: Int32Array = new Int32Array(CHUNK + 1);
  readonly #state: Uint8Array = new Uint8Array(CHUNK + 1);
  readonly #reps: Int32Array = new Int32Array((CHUNK + 1) * 4);
  /** The plan, in order. */
  readonly lengths: Uint16Array = new Uint16Array(CHUNK + 1);
  readonly codes: Int32Array = new Int32Array(CHUNK + 1);

  constructor(data: Uint8Array, probabilities: Uint16Array, window: number) {
    this.#data = data;
    this.#probabilities = probabilities;
    this.#prices = new PriceTables(probabilities);
    this.#finder = new MatchFinder(data, window, DEPTH);
  }

  /** Plans from `start` on; the steps are in `lengths` and `codes`. Gives their number, at least one. */
  plan(start: number, coder: CoderState): number {
    const size = Math.min(CHUNK, this.#data.length - start);
    this.#prices.refresh();
    this.#cost.fill(UNREACHED, 0, size + 1);
    this.#cost[0] = 0;
    this.#state[0] = coder.state;
    this.#reps.set(coder.reps, 0);
    for (let node = 0; node < size; node++) {
      if (node > 0) this.#arrive(node);
      const longLength = this.#leave(node, start + node, size);
      if (longLength > 0) {
        this.#finder.skip(start + node + 1, longLength - 1);
        const count = this.#trace(node);
        this.lengths[count] = longLength;
        this.codes[count] = this.#longCode;
        return count + 1;
      }
    }
    return this.#trace(size);
  }

  /** The step of the long match that `leave` found. */
  #longCode = 0;

  /** State and reps at a node, now that its cheapest last step is known. */
  #arrive(node: number): void {
    const length = this.#length[node]!;
    const from = node - length;
    const code = this.#code[node]!;
    const state = this.#state[from]!;
    const reps = this.#reps;
    const source = from * 4;
    const target = node * 4;
    reps.copyWithin(target, source, source + 4);
    if (code === LITERAL_STEP) this.#state[node] = stateAfterLiteral(state);
    else if (code >= 4) {
      this.#state[node] = stateAfterMatch(state);
      reps.copyWithin(target + 1, source, source + 3);
      reps[target] = code - 4;
    } else {
      this.#state[node] = length === 1 ? stateAfterShortRep(state) : stateAfterRep(state);
      const distance = reps[source + code]!;
      for (let index = code; index > 0; index--) reps[target + index] = reps[source + index - 1]!;
      reps[target] = distance;
    }
  }

  /** Tries every step from a node. Gives the length of a match that is long enough to be taken at once, else 0. */
  #leave(node: number, position: number, size: number): number {
    const probabilities = this.#probabilities;
    const cost = this.#cost[node]!;
    const state = this.#state[node]!;
    const positionState = position % POSITION_STATES;
    const isMatch = probabilities[IS_MATCH + state * POSITION_STATES + positionState]!;
    const isRep = probabilities[IS_REP + state]!;
    const matchCost = cost + bitPrice(isMatch, 1);

    this.#offer(node, 1, LITERAL_STEP, cost + bitPrice(isMatch, 0) + this.#literalPrice(node, position, state));
    const long = this.#leaveByRep(node, position, size, matchCost + bitPrice(isRep, 1));
    const count = this.#finder.find(position);
    if (long > 0) return long;
    return this.#leaveByMatch(node, position, size, matchCost + bitPrice(isRep, 0), count);
  }

  #leaveByRep(node: number, position: number, size: number, cost: number): number {
    const data = this.#data;
    const probabilities = this.#probabilities;
    const state = this.#state[node]!;
    const positionState = position % POSITION_STATES;
    const limit = Math.min(MAX_MATCH, data.length - position);
    const room = size - node;
    const notFirst = bitPrice(probabilities[IS_REP_G0 + state]!, 1);
    const notSecond = notFirst + bitPrice(probabilities[IS_REP_G1 + state]!, 1);
    const isLong = probabilities[IS_REP0_LONG + state * POSITION_STATES + positionState]!;
    const first = bitPrice(probabilities[IS_REP_G0 + state]!, 0);
    for (let index = 0; index < 4; index++) {
      const back = position - this.#reps[node * 4 + index]! - 1;
      if (back < 0 || data[back] !== data[position]) continue;
      if (index === 0) this.#offer(node, 1, 0, cost + first + bitPrice(isLong, 0));
      let length = 1;
      while (length < limit && data[back + length] === data[position + length]) length++;
      if (length < MIN_MATCH) continue;
      if (length >= LONG_ENOUGH) {
        this.#longCode = index;
        return length;
      }
      let price = cost;
      if (index === 0) price += first + bitPrice(isLong, 1);
      else if (index === 1) price += notFirst + bitPrice(probabilities[IS_REP_G1 + state]!, 0);
      else price += notSecond + bitPrice(probabilities[IS_REP_G2 + state]!, index - 2);
      const table = positionState * LENGTHS - MIN_MATCH;
      for (let take = Math.min(length, room); take >= MIN_MATCH; take--) {
        this.#offer(node, take, index, price + this.#prices.repLength[table + take]!);
      }
    }
    return 0;
  }

  #leaveByMatch(node: number, position: number, size: number, cost: number, count: number): number {
    if (count === 0) return 0;
    const { lengths, distances } = this.#finder;
    const longest = lengths[count - 1]!;
    if (longest >= LONG_ENOUGH) {
      this.#longCode = 4 + distances[count - 1]!;
      return longest;
    }
    const room = Math.min(longest, size - node);
    const table = (position % POSITION_STATES) * LENGTHS - MIN_MATCH;
    for (let take = MIN_MATCH, index = 0; take <= room; take++) {
      while (lengths[index]! < take) index++;
      const distance = distances[index]!;
      const price = this.#prices.matchLength[table + take]! + this.#prices.distance(lengthState(take), distance);
      this.#offer(node, take, 4 + distance, cost + price);
    }
    return 0;
  }

  #offer(node: number, length: number, code: number, cost: number): void {
    const target = node + length;
    if (cost >= this.#cost[target]!) return;
    this.#cost[target] = cost;
    this.#length[target] = length;
    this.#code[target] = code;
  }

  #literalPrice(node: number, position: number, state: number): number {
    const data = this.#data;
    const probabilities = this.#probabilities;
    const byte = data[position]!;
    const tree = literalTree(position === 0 ? 0 : data[position - 1]!);
    let price = 0;
    let symbol = byte | 0x100;
    if (state < FIRST_STATE_AFTER_MATCH) {
      for (; symbol > 1; symbol >>>= 1) price += bitPrice(probabilities[tree + (symbol >>> 1)]!, symbol & 1);
      return price;
    }
    // After a match the byte that would have continued it tells where this one differs.
    let offset = 0x100;
    let expected = data[position - this.#reps[node * 4]! - 1]! << 1;
    symbol = 1;
    for (let index = 7; index >= 0; index--) {
      const bit = (byte >>> index) & 1;
      const expectedBit = expected & offset;
      price += bitPrice(probabilities[tree + offset + expectedBit + symbol]!, bit);
      symbol = (symbol << 1) | bit;
      if ((expectedBit !== 0) !== (bit === 1)) offset = 0;
      expected <<= 1;
    }
    return price;
  }

  /** Writes the steps to `node` into the plan, in order. */
  #trace(node: number): number {
    let count = 0;
    for (let at = node; at > 0; at -= this.#length[at]!) count++;
    let index = count;
    for (let at = node; at > 0; at -= this.#length[at]!) {
      index--;
      this.lengths[index] = this.#length[at]!;
      this.codes[index] = this.#code[at]!;
    }
    return count;
  }
}
