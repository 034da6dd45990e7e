/**
 * Talos versions as upstream reads them when it decides what a release can do: tolerant of what people write, blind to
 * pre-releases (specification profiles-and-inputs 3.1).
 */

export interface TalosVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** `1.14.0`, exact however large the numbers are. */
  readonly text: string;
}

/** Unicode white space as Go trims it: with U+0085, without U+FEFF. Looked for at the end from the first blank of a run only. */
const EDGE_BLANKS = /^\p{White_Space}+|(?<!\p{White_Space})\p{White_Space}+$/gu;
const NUMBER = '(0|[1-9][0-9]*)';
const PRE_RELEASE = '(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)';
const BUILD = '[0-9A-Za-z-]+';
const FULL_VERSION = new RegExp(
  `^${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-(${PRE_RELEASE}(?:\\.${PRE_RELEASE})*))?(?:\\+${BUILD}(?:\\.${BUILD})*)?$`,
);
const MAX_NUMBER = 2n ** 64n - 1n;

/** `undefined` where upstream sees no version: `latest`, `1.8.x`, `vv1.8.0`, an empty text. */
export function parseTalosVersion(text: string): TalosVersion | undefined {
  const parts = splitAtTwoDots(text.replaceAll(EDGE_BLANKS, '').replace(/^v/, '')).map(withoutLeadingZeros);
  const isShort = parts.length < 3;
  if (isShort && /[-+]/.test(parts.at(-1)!)) return undefined;
  while (parts.length < 3) parts.push('0');
  const match = FULL_VERSION.exec(parts.join('.'));
  if (match === null) return undefined;
  const [, major = '', minor = '', patch = '', preRelease = ''] = match;
  const numbers = [major, minor, patch, ...preRelease.split('.').filter((part) => /^[0-9]+$/.test(part))];
  if (numbers.some((number) => BigInt(number) > MAX_NUMBER)) return undefined;
  return {
    major: Number(major),
    minor: Number(minor),
    patch: Number(patch),
    text: `${major}.${minor}.${patch}`,
  };
}

/** Negative when `a` comes before `b`. */
export function compareTalosVersions(a: TalosVersion, b: TalosVersion): number {
  return a.major - b.major || a.minor - b.minor || a.patch - b.patch;
}

/** `1.8.0-rc.1` has dots of its own, so only the first two divide. */
function splitAtTwoDots(text: string): string[] {
  const [major = '', minor, ...rest] = text.split('.');
  if (minor === undefined) return [major];
  return rest.length === 0 ? [major, minor] : [major, minor, rest.join('.')];
}

/** `08` is 8 and `00` is 0; before something that is no digit one zero stays, as in `0-alpha.1`. */
function withoutLeadingZeros(part: string): string {
  if (part.length < 2) return part;
  const rest = part.replace(/^0+/, '');
  return /^[0-9]/.test(rest) ? rest : `0${rest}`;
}
