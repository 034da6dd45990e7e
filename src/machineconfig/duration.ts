/** Durations in the text form of Go's `time` package, in nanoseconds. */

const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  μs: 1000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** 2^63: the magnitude Go counts up to; positive values end one below. */
const LIMIT = 2n ** 63n;

/** Longer texts are no duration anybody means; without a bound their digits would cost quadratic time. */
const MAX_LENGTH = 1000;

/** `1h30m`, `1.5h`, `-10s`, `0`; `undefined` for everything Go refuses, such as `5`, `1d`, `1 h`. */
export function parseDuration(text: string): bigint | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const isNegative = text.startsWith('-');
  const unsigned = text.replace(/^[-+]/, '');
  if (unsigned === '0') return 0n;
  if (!/^(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)[^0-9.]+)+$/.test(unsigned)) return undefined;
  let total = 0n;
  for (const [, whole = '', fraction = '', unitName = ''] of unsigned.matchAll(/([0-9]*)(?:\.([0-9]*))?([^0-9.]+)/g)) {
    const unit = Object.hasOwn(UNITS, unitName) ? UNITS[unitName] : undefined;
    if (unit === undefined) return undefined;
    const count = BigInt(whole === '' ? 0 : whole);
    if (count > LIMIT / unit) return undefined;
    total += count * unit + fractionOf(fraction, unit);
    if (total > LIMIT) return undefined;
  }
  if (isNegative) return -total;
  return total === LIMIT ? undefined : total;
}

/** The canonical form: `1h30m0s`, `1.5s`, `250ms`, `0s`. */
export function formatDuration(nanoseconds: bigint): string {
  if (nanoseconds === 0n) return '0s';
  const sign = nanoseconds < 0n ? '-' : '';
  const magnitude = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const second = UNITS.s!;
  if (magnitude < second) {
    const unit = magnitude < 1000n ? 'ns' : magnitude < 1_000_000n ? 'µs' : 'ms';
    return sign + decimal(magnitude, UNITS[unit]!) + unit;
  }
  const minutes = magnitude / UNITS.m!;
  const seconds = `${decimal(magnitude % UNITS.m!, second)}s`;
  if (minutes === 0n) return sign + seconds;
  const hours = minutes / 60n;
  return `${sign}${hours === 0n ? '' : `${hours}h`}${minutes % 60n}m${seconds}`;
}

/** Go multiplies the fraction's digits, as far as they fit 63 bits, in double precision and cuts. */
function fractionOf(digits: string, unit: bigint): bigint {
  let value = 0n;
  let scale = 1;
  for (const digit of digits) {
    const next = value * 10n + BigInt(digit);
    if (value > (LIMIT - 1n) / 10n || next > LIMIT) break;
    value = next;
    scale *= 10;
  }
  return value === 0n ? 0n : BigInt(Math.trunc(Number(value) * (Number(unit) / scale)));
}

function decimal(value: bigint, unit: bigint): string {
  const width = unit.toString().length - 1;
  const fraction = (value % unit).toString().padStart(width, '0').replace(/0+$/, '');
  return fraction === '' || width === 0 ? `${value / unit}` : `${value / unit}.${fraction}`;
}
