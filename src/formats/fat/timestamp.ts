/** Dates and times of FAT directory entries: UTC here, in steps of two seconds, 1980 to 2107. */

export interface Timestamp {
  /** Year since 1980 in bits 9-15, month in 5-8, day in 0-4. */
  readonly date: number;
  /** Hour in bits 11-15, minute in 5-10, second / 2 in 0-4. */
  readonly time: number;
}

const FIRST = Date.UTC(1980, 0, 1) / 1000;
const LAST = Date.UTC(2107, 11, 31, 23, 59, 58) / 1000;

/** What `mkfs.fat --invariant` stamps the volume label with: 2015-03-14 09:26:52. */
export const LABEL_TIMESTAMP: Timestamp = { date: 0x466e, time: 0x4b5a };

/** The nearest moment FAT can say, from seconds since 1970: what lies outside 1980..2107 becomes the first or the last one. */
export function timestampOf(seconds: number): Timestamp {
  const moment = new Date(Math.min(Math.max(seconds, FIRST), LAST) * 1000);
  return {
    date: ((moment.getUTCFullYear() - 1980) << 9) | ((moment.getUTCMonth() + 1) << 5) | moment.getUTCDate(),
    time: (moment.getUTCHours() << 11) | (moment.getUTCMinutes() << 5) | (moment.getUTCSeconds() >> 1),
  };
}

/** Seconds since 1970. Fields out of range carry over, as no driver refuses them. */
export function secondsOf({ date, time }: Timestamp): number {
  const day = Date.UTC(1980 + (date >> 9), ((date >> 5) & 15) - 1, date & 31);
  return day / 1000 + (time >> 11) * 3600 + ((time >> 5) & 63) * 60 + (time & 31) * 2;
}
