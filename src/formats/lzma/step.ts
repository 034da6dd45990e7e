/** What an encoding is made of, step by step. */

/** The code of a literal. Others: a rep match 0..3 (with length 1: the short one), or 4 + distance (counted from 0). */
export const LITERAL_STEP = -1;

/** What coding depends on besides the bytes and the probabilities. */
export interface CoderState {
  state: number;
  readonly reps: Int32Array;
}
