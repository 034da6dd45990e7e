/** Times of inodes, 64 bits big-endian. Source: XFS Algorithms and Data Structures, "Timestamps". */
import { invalid } from '../../errors.ts';

/** With bigtime: nanoseconds since the earliest time of 32 signed bits, 1901-12-13 20:45:52 UTC. */
const EPOCH = -(2n ** 31n);
const NANOSECONDS = 1_000_000_000n;

/** 2486-07-02 20:20:25 UTC. */
const LATEST: bigint = (2n ** 64n - 1n) / NANOSECONDS + EPOCH;

/** `seconds` since 1970. Throws `invalid-input` before 1901 and after 2486. */
export function encodeBigTime(seconds: number, what: string): bigint {
  if (!Number.isSafeInteger(seconds) || seconds < EPOCH || seconds > LATEST) {
    throw invalid(`time ${seconds} of "${what}": want whole seconds, ${EPOCH}..${LATEST}, on XFS`);
  }
  return (BigInt(seconds) - EPOCH) * NANOSECONDS;
}

/** Whole seconds since 1970. `big` says which of the two forms it is: the old one is 32 bits of seconds and as many of nanoseconds. */
export function decodeTime(value: bigint, big: boolean): number {
  return big ? Number(value / NANOSECONDS + EPOCH) : Number(BigInt.asIntN(32, value >> 32n));
}
