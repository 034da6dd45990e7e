/**
 * Choosing literals and matches as they come, one step ahead at most: some 4 % larger than the cheapest path under the encoder's prices, which takes
 * three to ten times as long to find.
 */
import { MatchFinder } from './match-finder.ts';
import { MAX_MATCH, MIN_MATCH } from './model.ts';
import { LITERAL_STEP } from './step.ts';

/** A match this long is taken without looking for a better one. */
const LONG_ENOUGH = 64;
/** Matches of two and three bytes must be this near to be shorter than the literals they replace. */
const NEAR_FOR_TWO = 0x80;
const NEAR_FOR_THREE = 0x4000;

/** Chooses the steps of an encoding, in order. */
export class GreedyParser {
  readonly #data: Uint8Array;
  readonly #finder: MatchFinder;
  /** The longest match at `#searched`, which the step before may have looked up already; length 0 for none. */
  #searched = -1;
  #length = 0;
  #distance = 0;
  /** What `choose` chose, as `encodeStep` takes it. */
  code: number = LITERAL_STEP;

  /** `window`: the largest distance in bytes; `depth`: how many earlier places are looked at for each match. */
  constructor(data: Uint8Array, window: number, depth: number) {
    this.#data = data;
    this.#finder = new MatchFinder(data, window, depth);
  }

  /** Length of the step at `position`, where the step before ended; sets `code`. */
  choose(position: number, reps: Int32Array): number {
    this.#search(position);
    const length = this.#length;
    const distance = this.#distance;
    let rep = 0;
    let repLength = 0;
    for (let index = 0; index < 4; index++) {
      const found = this.#matchLength(position, reps[index]!);
      if (found > repLength) {
        repLength = found;
        rep = index;
      }
    }
    // A repeated distance costs less than a new one by about two literals.
    if (repLength >= MIN_MATCH && repLength + 2 >= length) return this.#take(position, repLength, rep);
    if (length < MIN_MATCH || (length < LONG_ENOUGH && this.#isBetterNext(position, length, distance))) {
      this.code = LITERAL_STEP;
      return 1;
    }
    return this.#take(position, length, distance + 4);
  }

  #take(position: number, length: number, code: number): number {
    const inserted = this.#searched + 1;
    this.#finder.skip(inserted, position + length - inserted);
    this.code = code;
    return length;
  }

  /** Whether a literal now and the match at the next position are better than this match. */
  #isBetterNext(position: number, length: number, distance: number): boolean {
    if (position + 1 >= this.#data.length) return false;
    this.#search(position + 1);
    const [next, nextDistance] = [this.#length, this.#distance];
    if (next > length + 1) return true;
    if (next > length) return nextDistance < distance * 128;
    return next === length && nextDistance * 128 < distance;
  }

  #search(position: number): void {
    if (position === this.#searched) return;
    this.#searched = position;
    const count = this.#finder.find(position);
    this.#length = count === 0 ? 0 : this.#finder.lengths[count - 1]!;
    this.#distance = count === 0 ? 0 : this.#finder.distances[count - 1]!;
    if (
      (this.#length === 2 && this.#distance >= NEAR_FOR_TWO) ||
      (this.#length === 3 && this.#distance >= NEAR_FOR_THREE)
    )
      this.#length = 0;
  }

  #matchLength(position: number, distance: number): number {
    const data = this.#data;
    const from = position - distance - 1;
    if (from < 0) return 0;
    const limit = Math.min(MAX_MATCH, data.length - position);
    let length = 0;
    while (length < limit && data[from + length] === data[position + length]) length++;
    return length;
  }
}
