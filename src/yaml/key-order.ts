/** The order in which upstream's encoder writes the keys of maps (specification factory-and-signatures A4). */
import { entriesOf, isMapping, TypedScalar, type YamlScalar, type YamlValue } from './value.ts';

/** The same value with the keys of all its mappings in the order upstream writes maps in: digits as numbers, letters last. */
export function inNaturalKeyOrder(value: YamlValue): YamlValue {
  if (Array.isArray(value)) return value.map(inNaturalKeyOrder);
  if (!isMapping(value)) return value as YamlScalar;
  const entries = entriesOf(value).sort(([a], [b]) => compareKeys(a, b));
  return new Map(entries.map(([key, item]) => [key, inNaturalKeyOrder(item)]));
}

/** Order of Go's kinds, for keys of different types; numbers and booleans compare by value first. */
function kindRank(key: YamlScalar): number {
  if (typeof key === 'boolean') return 1;
  if (typeof key === 'bigint' || (typeof key === 'number' && Number.isInteger(key))) return 2;
  if (typeof key === 'number') return 3;
  if (key === null) return 4;
  if (typeof key === 'string') return 5;
  return key.tag === 'float' ? 3 : 6;
}

function numberOf(key: YamlScalar): number | undefined {
  if (key instanceof TypedScalar)
    return key.tag === 'float' ? Number(key.text.replace(/\.inf$/, 'Infinity')) : undefined;
  return key === null || typeof key === 'string' ? undefined : Number(key);
}

function compareKeys(a: YamlScalar, b: YamlScalar): number {
  const left = numberOf(a);
  const right = numberOf(b);
  if (left !== undefined && right !== undefined && left !== right) return left - right;
  if (typeof a === 'string' && typeof b === 'string') return compareNaturally(a, b);
  return kindRank(a) - kindRank(b);
}

/**
 * Natural order of two keys, decided at the first character in which they differ: letters by code point, a letter after
 * anything else (before it when a digit precedes), digit runs as numbers. `_x`, `1`, `B`, `a`, `a-1`, `a2`, `a10`, `aa`.
 */
export function compareNaturally(a: string, b: string): number {
  const left = [...a];
  const right = [...b];
  const shorter = Math.min(left.length, right.length);
  let at = 0;
  while (at < shorter && left[at] === right[at]) at++;
  if (at === shorter) return left.length - right.length;
  const leftIsLetter = isLetter(left[at]!);
  const rightIsLetter = isLetter(right[at]!);
  if (leftIsLetter && rightIsLetter) return compareCodePoints(left[at]!, right[at]!);
  if (leftIsLetter || rightIsLetter) {
    const letterFirst = at > 0 && isDigit(left[at - 1]!);
    return leftIsLetter === letterFirst ? -1 : 1;
  }
  // A zero inside a number is no leading zero: count from one, so that 100 follows 99 whatever came before.
  const start = (left[at] === '0' || right[at] === '0') && hasNonZeroDigitBefore(left, at) ? 1n : 0n;
  const leftNumber = digitRun(left, at, start);
  const rightNumber = digitRun(right, at, start);
  if (leftNumber.value !== rightNumber.value) return leftNumber.value < rightNumber.value ? -1 : 1;
  if (leftNumber.end !== rightNumber.end) return leftNumber.end - rightNumber.end;
  return compareCodePoints(left[at]!, right[at]!);
}

function digitRun(characters: readonly string[], from: number, start: bigint): { value: bigint; end: number } {
  let value = start;
  let end = from;
  for (; end < characters.length && isDigit(characters[end]!); end++) {
    // Upstream counts in 64 bits and wraps around.
    value = BigInt.asIntN(64, value * 10n + BigInt(characters[end]!.codePointAt(0)! - 0x30));
  }
  return { value, end };
}

function hasNonZeroDigitBefore(characters: readonly string[], end: number): boolean {
  for (let index = end - 1; index >= 0 && isDigit(characters[index]!); index--) {
    if (characters[index] !== '0') return true;
  }
  return false;
}

function compareCodePoints(a: string, b: string): number {
  return a.codePointAt(0)! - b.codePointAt(0)!;
}

function isLetter(character: string): boolean {
  return /^\p{L}$/u.test(character);
}

function isDigit(character: string): boolean {
  return /^\p{Nd}$/u.test(character);
}
