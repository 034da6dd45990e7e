/** Earlier occurrences of what comes next: hash chains over three bytes, and the latest occurrence of each two. */
import { MAX_MATCH } from './model.ts';

const HASH_BITS = 15;

export class MatchFinder {
  readonly #data: Uint8Array;
  readonly #window: number;
  readonly #depth: number;
  /** Latest position of a hash, -1 for none. */
  readonly #heads: Int32Array = new Int32Array(1 << HASH_BITS).fill(-1);
  /** The position before with the same hash. */
  readonly #previous: Int32Array;
  readonly #pairs: Int32Array = new Int32Array(0x10000).fill(-1);
  /** What `find` found: lengths ascending, each with the nearest distance (counted from 0) that reaches it. */
  readonly lengths: Uint16Array = new Uint16Array(MAX_MATCH);
  readonly distances: Int32Array = new Int32Array(MAX_MATCH);

  /** `window`: the largest distance in bytes; `depth`: how many candidates are looked at. */
  constructor(data: Uint8Array, window: number, depth: number) {
    this.#data = data;
    this.#window = window;
    this.#depth = depth;
    this.#previous = new Int32Array(data.length);
  }

  /** How many matches there are at `position`, which is then remembered. Positions must come in order, each once. */
  find(position: number): number {
    const data = this.#data;
    const limit = Math.min(MAX_MATCH, data.length - position);
    if (limit < 3) return 0;
    const lowest = Math.max(0, position - this.#window);
    let count = 0;
    let best = 1;
    const pair = this.#pairs[data[position]! | (data[position + 1]! << 8)]!;
    if (pair >= lowest) {
      best = 2;
      while (best < limit && data[pair + best] === data[position + best]) best++;
      this.lengths[0] = best;
      this.distances[0] = position - pair - 1;
      count = 1;
    }
    let candidate = this.#insert(position);
    for (let left = this.#depth; left > 0 && candidate >= lowest && best < limit; left--) {
      if (data[candidate + best] === data[position + best] && data[candidate] === data[position]) {
        let length = 1;
        while (length < limit && data[candidate + length] === data[position + length]) length++;
        if (length > best) {
          best = length;
          this.lengths[count] = length;
          this.distances[count++] = position - candidate - 1;
        }
      }
      candidate = this.#previous[candidate]!;
    }
    return count;
  }

  /** Remembers `count` positions from `position` on without looking for matches there. */
  skip(position: number, count: number): void {
    const end = Math.min(position + count, this.#data.length - 2);
    for (let at = position; at < end; at++) this.#insert(at);
  }

  /** The latest position with the same hash before this one, or -1. */
  #insert(position: number): number {
    const data = this.#data;
    const two = data[position]! | (data[position + 1]! << 8);
    const hash = Math.imul(two | (data[position + 2]! << 16), 0x9e3779b1) >>> (32 - HASH_BITS);
    const before = this.#heads[hash]!;
    this.#heads[hash] = position;
    this.#previous[position] = before;
    this.#pairs[two] = position;
    return before;
  }
}
