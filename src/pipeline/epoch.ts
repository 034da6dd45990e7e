/** The one time of a build: nothing below reads a clock. */
import { invalid } from '../errors.ts';

/** 2019-06-01 21:34:52 UTC, the time upstream's image factory builds with: two tools then agree by default. */
export const DEFAULT_EPOCH = 1559424892;

/** PE headers and FAT volumes have 32 bits for it. */
const LATEST = 0xffffffff;

/**
 * Seconds from the text of `SOURCE_DATE_EPOCH`; the default when it is not set. Throws `invalid-input` for anything but 0..4294967295 in decimal
 * digits: upstream lets larger numbers wrap around.
 */
export function parseEpoch(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_EPOCH;
  if (!/^[0-9]+$/.test(text) || !isEpoch(Number(text))) throw refusal(`SOURCE_DATE_EPOCH ${JSON.stringify(text)}`);
  return Number(text);
}

/** Throws `invalid-input` unless `epoch` is a whole number 0..4294967295. */
export function checkEpoch(epoch: number): void {
  if (!isEpoch(epoch)) throw refusal(`epoch ${epoch}`);
}

function isEpoch(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= LATEST;
}

function refusal(what: string): Error {
  return invalid(`${what}: want whole seconds since 1970, 0..${LATEST}`);
}
