/** A bound on how long something may take, as a signal. */

export interface TimeLimit {
  /** Aborted when the time is over, or by the signal the limit was given. */
  readonly signal: AbortSignal;
  /** Whether it was the time. */
  readonly isOver: boolean;
  /** From now on only the given signal counts. */
  lift(): void;
}

/** The longest a timer takes, milliseconds. */
const LONGEST = 2 ** 31 - 1;

export function timeLimit(milliseconds: number, outer?: AbortSignal): TimeLimit {
  const own = new AbortController();
  const timer = setTimeout(() => own.abort(), Math.min(LONGEST, Math.max(0, milliseconds)));
  return {
    signal: outer === undefined ? own.signal : AbortSignal.any([outer, own.signal]),
    get isOver() {
      return own.signal.aborted;
    },
    lift: () => clearTimeout(timer),
  };
}
