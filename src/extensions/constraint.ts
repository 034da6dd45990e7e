/**
 * Version ranges of extension manifests: `>= 1.8.0 < 1.9.0 || 1.10.x`. The grammar is that of the Go library which extensions are written
 * against (blang/semver ranges), oddities included: what a node's builder accepts or refuses, we do.
 */
import { invalid } from '../errors.ts';
import type { TalosVersion } from '../profiles/talos-version.ts';

/** Whether a Talos version satisfies a range. */
export type Constraint = (version: TalosVersion) => boolean;

interface Version {
  readonly numbers: readonly [bigint, bigint, bigint];
  /** Dot-separated identifiers after `-`. */
  readonly preRelease: readonly string[];
}

type Comparator = (order: number) => boolean;

const COMPARATORS: Readonly<Record<string, Comparator>> = {
  '': (order) => order === 0,
  '=': (order) => order === 0,
  '==': (order) => order === 0,
  '!': (order) => order !== 0,
  '!=': (order) => order !== 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
};

const NUMBER = '(0|[1-9][0-9]*)';
const IDENTIFIER = '[0-9A-Za-z-]+';
const VERSION = new RegExp(
  `^${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-(${IDENTIFIER}(?:\\.${IDENTIFIER})*))?(?:\\+${IDENTIFIER}(?:\\.${IDENTIFIER})*)?$`,
);
const MAX_NUMBER = 2n ** 64n - 1n;

/** Throws `invalid-input` naming the range and the part that cannot be read. */
export function parseConstraint(text: string): Constraint {
  if (text === '') return () => true;
  const range = text.replace(/^[\t\n\v\f\r ]+|(?<![\t ])[\t ]+$/g, '').replace(/v([0-9])/g, '$1');
  const alternatives = splitAtOr(words(range), text).map((parts) =>
    parts.flatMap((part) => expandWildcard(part, text)).map((part) => comparison(part, text)),
  );
  return (version) => {
    const tested: Version = {
      numbers: [BigInt(version.major), BigInt(version.minor), BigInt(version.patch)],
      preRelease: [],
    };
    return alternatives.some((all) => all.every((holds) => holds(tested)));
  };
}

/** Blanks divide, but not behind a comparator; a word of one character counts for nothing. */
function words(text: string): string[] {
  const found = text.replace(/([<>=]) +/g, '$1').split(' ');
  return found.filter((word) => word.length > 1);
}

function splitAtOr(parts: readonly string[], text: string): string[][] {
  const alternatives: string[][] = [[]];
  for (const part of parts) {
    if (part === '||') alternatives.push([]);
    else alternatives.at(-1)?.push(part);
  }
  if (alternatives.some((all) => all.length === 0)) throw wrong(text, 'a version is missing');
  return alternatives;
}

/** `1.8.x` and `1.x` as the versions between which they lie; only the last part may be the `x`. */
function expandWildcard(part: string, text: string): string[] {
  if (!part.includes('x')) return [part];
  const { operator, version } = splitComparator(part, text);
  const parts = version.split('.');
  const flat = [...parts.map((one) => one.replaceAll('x', '0')), ...(parts.length === 2 ? ['0'] : [])].join('.');
  const isWildcard = parts.at(-1) === 'x' && (parts.length === 2 || parts.length === 3);
  const next = (): string => {
    const { numbers } = parseVersion(flat, part, text);
    if (!isWildcard) return flat;
    return parts.length === 2 ? `${numbers[0] + 1n}.0.0` : `${numbers[0]}.${numbers[1] + 1n}.0`;
  };
  switch (operator) {
    case '>':
      return [`>=${next()}`];
    case '<=':
      return [`<${next()}`];
    case '':
    case '=':
    case '==':
      return [`>=${flat}`, `<${next()}`];
    // Both hold for no version at all: so it is there, too.
    case '!':
    case '!=':
      return [`<${flat}`, `>=${next()}`];
    default:
      return [operator + flat];
  }
}

function comparison(part: string, text: string): (tested: Version) => boolean {
  const { operator, version } = splitComparator(part, text);
  const holds = Object.hasOwn(COMPARATORS, operator) ? COMPARATORS[operator] : undefined;
  if (holds === undefined) throw wrong(text, `"${operator}" is no comparator`);
  const wanted = parseVersion(version, part, text);
  return (tested) => holds(compare(tested, wanted));
}

function splitComparator(part: string, text: string): { readonly operator: string; readonly version: string } {
  const at = part.search(/[0-9]/);
  if (at < 0) throw wrong(text, `"${part}" has no version`);
  return { operator: part.slice(0, at).trim(), version: part.slice(at) };
}

function parseVersion(version: string, part: string, text: string): Version {
  const match = VERSION.exec(version);
  if (match === null) throw wrong(text, `"${part}": want a version of three numbers, like 1.8.0`);
  const [, major = '', minor = '', patch = '', preRelease] = match;
  const identifiers = preRelease?.split('.') ?? [];
  const numeric = identifiers.filter((one) => /^[0-9]+$/.test(one));
  if (numeric.some((one) => one.length > 1 && one.startsWith('0'))) throw wrong(text, `"${part}" has leading zeros`);
  const numbers = [major, minor, patch].map(BigInt) as [bigint, bigint, bigint];
  if ([...numbers, ...numeric.map(BigInt)].some((number) => number > MAX_NUMBER)) {
    throw wrong(text, `"${part}" has a number above ${MAX_NUMBER}`);
  }
  return { numbers, preRelease: identifiers };
}

/** Negative when `a` comes first (semver 2.0, 11). */
function compare(a: Version, b: Version): number {
  for (const [index, number] of a.numbers.entries()) {
    const other = b.numbers[index] ?? 0n;
    if (number !== other) return number < other ? -1 : 1;
  }
  if (a.preRelease.length === 0 || b.preRelease.length === 0) return b.preRelease.length - a.preRelease.length;
  for (let index = 0; ; index += 1) {
    const [one, other] = [a.preRelease[index], b.preRelease[index]];
    if (one === undefined || other === undefined) return a.preRelease.length - b.preRelease.length;
    const order = compareIdentifiers(one, other);
    if (order !== 0) return order;
  }
}

function compareIdentifiers(a: string, b: string): number {
  const [isNumber, isOtherNumber] = [a, b].map((one) => /^[0-9]+$/.test(one));
  if (isNumber && isOtherNumber) return BigInt(a) < BigInt(b) ? -1 : Number(BigInt(a) > BigInt(b));
  if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
  return a < b ? -1 : Number(a > b);
}

function wrong(text: string, reason: string): Error {
  return invalid(`Talos version constraint ${JSON.stringify(text)}: ${reason}`, {
    hint: 'like ">= 1.8.0", ">= 1.8.0 < 1.10.0", "1.8.x" or ">= 1.7.0 || = 1.5.5", with blanks around ||',
  });
}
