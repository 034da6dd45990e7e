/**
 * Blocks given out: some at places the format prescribes, the rest in ascending order into what those leave. So a block is in use when it was
 * claimed or lies before the next one to be given out, and no other record is kept.
 */

/** Blocks `start` up to, not including, `end`. */
export interface Run {
  readonly start: number;
  readonly end: number;
}

export class Space {
  readonly #end: number;
  /** In the order of their blocks, none beside another. */
  readonly #claimed: Run[] = [];
  #next: number;
  /** Index of the first claimed run that does not lie before `#next`. */
  #nextClaimed = 0;
  #exhausted = false;

  /** Blocks from `first` up to, not including, `end`. */
  constructor(first: number, end: number) {
    this.#next = first;
    this.#end = end;
  }

  /** Whether something was asked for that could not be had; what came instead is not to be used. */
  get exhausted(): boolean {
    return this.#exhausted;
  }

  /** Claims `count` blocks that lie together, the first such from `from` on. Gives the first one. */
  claim(from: number, count: number): number {
    let start = from;
    let index = this.#firstEndingAfter(from);
    for (; index < this.#claimed.length; index++) {
      const run = this.#claimed[index]!;
      if (start + count <= run.start) break;
      start = Math.max(start, run.end);
    }
    this.#insert(index, { start, end: start + count });
    return start;
  }

  /** Claims `count` blocks, all that are free from `from` on, whether they lie together or not. */
  claimPieces(from: number, count: number): Run[] {
    const pieces: Run[] = [];
    let left = count;
    for (let start = from; left > 0; ) {
      const index = this.#firstEndingAfter(start);
      const run = this.#claimed[index];
      if (run !== undefined && run.start <= start) {
        start = run.end;
        continue;
      }
      const end = Math.min(start + left, run?.start ?? Number.POSITIVE_INFINITY);
      pieces.push({ start, end });
      this.#insert(index, { start, end });
      left -= end - start;
      start = end;
    }
    return pieces;
  }

  /** The next `count` blocks, in as many pieces as claims divide them into. After the first call nothing may be claimed. */
  allocate(count: number): Run[] {
    const pieces: Run[] = [];
    for (let left = count; left > 0; ) {
      const claimed = this.#claimed[this.#nextClaimed];
      if (claimed !== undefined && claimed.start <= this.#next) {
        this.#next = Math.max(this.#next, claimed.end);
        this.#nextClaimed++;
        continue;
      }
      const end = Math.min(this.#next + left, claimed?.start ?? Number.POSITIVE_INFINITY);
      pieces.push({ start: this.#next, end });
      left -= end - this.#next;
      this.#next = end;
    }
    if (this.#next > this.#end) this.#exhausted = true;
    return pieces;
  }

  /** What is in use from `start` up to, not including, `end`, in the order of the blocks. */
  usedBetween(start: number, end: number): Run[] {
    const used: Run[] = [];
    if (this.#next > start) used.push({ start, end: Math.min(this.#next, end) });
    for (let index = this.#firstEndingAfter(start); index < this.#claimed.length; index++) {
      const run = this.#claimed[index]!;
      if (run.start >= end) break;
      const visible = { start: Math.max(run.start, start, Math.min(this.#next, end)), end: Math.min(run.end, end) };
      if (visible.start < visible.end) used.push(visible);
    }
    return used;
  }

  #firstEndingAfter(block: number): number {
    let low = 0;
    let high = this.#claimed.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#claimed[middle]!.end <= block) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #insert(index: number, run: Run): void {
    if (run.end > this.#end) this.#exhausted = true;
    const before = this.#claimed[index - 1];
    const after = this.#claimed[index];
    const joinsBefore = before?.end === run.start;
    const joinsAfter = after?.start === run.end;
    const joined = { start: joinsBefore ? before.start : run.start, end: joinsAfter ? after.end : run.end };
    this.#claimed.splice(index - (joinsBefore ? 1 : 0), (joinsBefore ? 1 : 0) + (joinsAfter ? 1 : 0), joined);
  }
}

/** Blocks of all runs together. */
export function lengthOf(runs: readonly Run[]): number {
  return runs.reduce((sum, { start, end }) => sum + end - start, 0);
}
