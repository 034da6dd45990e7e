/** The one time of a build: nothing below reads a clock. */
import { invalid } from '../errors.ts';

/** 2019-06-02 00:21:32 UTC, the time upstream's image factory builds with: two tools then agree by default. */
export const DEFAULT_EPOCH = 1559424892;

/**
 * Seconds from the text of `SOURCE_DATE_EPOCH`; the default when it is not set. PE files and FAT volumes have 32 bits for it, so
 * 0..4294967295 is wanted; throws `invalid-input`.
 */
export function parseEpoch(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_EPOCH;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 0xffffffff))
    throw invalid(`SOURCE_DATE_EPOCH "${text}": want whole seconds since 1970, 0..4294967295`);
  return value;
}
