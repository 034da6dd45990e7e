/** The one time of an image: everything in it that has a time has this one. */
import { invalid } from '../errors.ts';

/** PE and FAT have no later times than 32 bits hold, and none before 1970. */
const LATEST_EPOCH = 0xffffffff;

/** Throws `invalid-input` unless `epoch` is whole seconds that every format can say. */
export function checkEpoch(epoch: number): void {
  if (Number.isInteger(epoch) && epoch >= 0 && epoch <= LATEST_EPOCH) return;
  throw invalid(`epoch ${epoch}: want whole seconds since 1970, 0..${LATEST_EPOCH}`);
}
