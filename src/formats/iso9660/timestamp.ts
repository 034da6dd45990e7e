/** The two forms of time in a volume, always written in UTC. Source: ECMA-119 sections 8.4.26.1, 9.1.5. */
import { putAscii, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';

/** Bytes. */
export const RECORD_TIME_SIZE = 7;
export const VOLUME_TIME_SIZE = 17;

const MILLISECONDS = 1000;
/** Time zones count quarters of an hour. */
const ZONE_UNIT = 15 * 60;

/** Seven bytes: years since 1900, month, day, hour, minute, second, zone. Throws `invalid-input` outside 1900..2155. */
export function encodeRecordTime(seconds: number): Uint8Array {
  const date = new Date(seconds * MILLISECONDS);
  const year = date.getUTCFullYear() - 1900;
  if (!(year >= 0 && year <= 255)) throw invalid(`time ${seconds}: ISO 9660 holds the years 1900 to 2155`);
  return Uint8Array.of(
    year,
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
    0,
  );
}

/** Seconds since 1970. Fields out of range carry over, as everywhere: a time is no reason to refuse a volume. */
export function decodeRecordTime(data: Uint8Array): number {
  const view = viewOf(data);
  const [year, month, day, hour, minute, second] = data;
  return Date.UTC(year! + 1900, month! - 1, day, hour, minute, second) / MILLISECONDS - view.getInt8(6) * ZONE_UNIT;
}

/** Sixteen digits `YYYYMMDDhhmmsscc`, hundredths always zero. Throws `invalid-input` outside the years 1..9999. */
export function volumeTimeDigits(seconds: number): string {
  const date = new Date(seconds * MILLISECONDS);
  const year = date.getUTCFullYear();
  if (!(year >= 1 && year <= 9999)) throw invalid(`time ${seconds}: ISO 9660 holds the years 1 to 9999`);
  return `${date.toISOString().slice(0, 19).replaceAll(/[-T:]/g, '')}00`;
}

/** The digits and one byte of zone; `undefined` is "not specified": zero digits. */
export function encodeVolumeTime(seconds: number | undefined): Uint8Array {
  const data = new Uint8Array(VOLUME_TIME_SIZE);
  putAscii(data, 0, 16, seconds === undefined ? '0'.repeat(16) : volumeTimeDigits(seconds));
  return data;
}
