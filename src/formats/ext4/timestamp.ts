/**
 * Times of inodes: 32 signed bits of seconds, and 32 more whose lowest two carry the seconds on; above those are nanoseconds.
 * Source: Linux `Documentation/filesystems/ext4/inodes.rst`, "Inode Timestamps".
 */
import { invalid } from '../../errors.ts';

/** 1901-12-13 20:45:52 UTC. */
const EARLIEST = -(2 ** 31);

/** 2446-05-10 22:38:55 UTC. */
const LATEST: number = 2 ** 34 - 2 ** 31 - 1;

export interface Timestamp {
  /** Low 32 bits of the seconds. */
  readonly low: number;
  /** How often 2^32 has to be added to `low` as a signed number: 0 to 3. */
  readonly epoch: number;
}

/** `seconds` since 1970. Throws `invalid-input` before 1901 and after 2446. */
export function encodeTime(seconds: number, what: string): Timestamp {
  if (!Number.isSafeInteger(seconds) || seconds < EARLIEST || seconds > LATEST) {
    throw invalid(`time ${seconds} of "${what}": want whole seconds, ${EARLIEST}..${LATEST}, on ext4`);
  }
  return { low: seconds >>> 0, epoch: Math.floor((seconds - EARLIEST) / 2 ** 32) };
}

/** Whole seconds since 1970. */
export function decodeTime({ low, epoch }: Timestamp): number {
  return (low | 0) + epoch * 2 ** 32;
}
