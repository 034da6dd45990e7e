/**
 * What a scalar means, by the rules of Go yaml v4 (resolver and constructor): YAML 1.1 words count as booleans only where a
 * boolean is wanted, `0777` is octal, `08` is the float 8, an unquoted date is no string.
 */
import { isBase64 } from './base64.ts';
import type { ScalarNode, YamlNode } from './document.ts';

export type ScalarValue =
  | { readonly type: 'null' }
  | { readonly type: 'boolean'; readonly value: boolean }
  /** -2^63 .. 2^64-1; larger ones are floats. */
  | { readonly type: 'integer'; readonly value: bigint }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'timestamp' }
  | { readonly type: 'string'; readonly value: string }
  /** Decoded bytes of `!!binary`. */
  | { readonly type: 'binary'; readonly value: Uint8Array }
  /** A tag of the text's own, `!local`; only strings can be made of it. */
  | { readonly type: 'tagged'; readonly value: string }
  /** A tag and a text that do not fit, `!!int abc`: an error wherever it stands. */
  | { readonly type: 'mismatch' };

const CONSTANTS: ReadonlyMap<string, ScalarValue> = new Map<string, ScalarValue>([
  ...['true', 'True', 'TRUE'].map((text) => [text, { type: 'boolean', value: true }] as const),
  ...['false', 'False', 'FALSE'].map((text) => [text, { type: 'boolean', value: false }] as const),
  ...['', '~', 'null', 'Null', 'NULL'].map((text) => [text, { type: 'null' }] as const),
  ...['.nan', '.NaN', '.NAN'].map((text) => [text, { type: 'float', value: Number.NaN }] as const),
  ...['.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'].map(
    (text) => [text, { type: 'float', value: Number.POSITIVE_INFINITY }] as const,
  ),
  ...['-.inf', '-.Inf', '-.INF'].map((text) => [text, { type: 'float', value: Number.NEGATIVE_INFINITY }] as const),
  ...['-0', '-0.0'].map((text) => [text, { type: 'float', value: -0 }] as const),
]);

/** Only where a boolean is wanted. */
const BOOLEAN_WORDS: ReadonlyMap<string, boolean> = new Map([
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'on', 'On', 'ON'].map((text) => [text, true] as const),
  ...['n', 'N', 'no', 'No', 'NO', 'off', 'Off', 'OFF'].map((text) => [text, false] as const),
]);

const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
/** Go's own syntax, where single underscores may stand between digits; elsewhere all underscores are dropped. */
const FRACTION = /^\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?$/;
const INTEGER =
  /^([-+]?)(?:0[xX](?<hex>[0-9a-fA-F]+)|0[oO](?<octal>[0-7]+)|0[bB](?<binary>[01]+)|0(?<leading>[0-7]*)|(?<decimal>[1-9][0-9]*))$/;
const TIMESTAMP =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:(?:[Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?(?:Z|[-+](\d\d):(\d\d)))|(?: +(\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?))?$/;
const MIN_INTEGER = -(2n ** 63n);
const MAX_INTEGER = 2n ** 64n - 1n;

/** Digits beyond this are no integer of 64 bits in any base; without the limit a long literal costs quadratic time. */
const MAX_INTEGER_TEXT = 80;

export function resolveScalar(node: ScalarNode): ScalarValue {
  const { tag, text } = node;
  if (tag === '!!str' || (tag === undefined && node.style !== 'plain')) return { type: 'string', value: text };
  if (tag === undefined) return resolvePlain(text, true);
  switch (tag) {
    case '!!binary':
      return resolveBinary(text);
    case '!!null':
    case '!!bool':
    case '!!int':
    case '!!float':
    case '!!timestamp':
      return resolveTagged(tag, text);
    default:
      return { type: 'tagged', value: text };
  }
}

/** Absent, `~`, `null`: the field keeps what it has. */
export function isNull(node: YamlNode): boolean {
  return node.kind === 'scalar' && resolveScalar(node).type === 'null';
}

/** For a boolean field; `undefined` when the node is none. */
export function asBoolean(node: YamlNode): boolean | undefined {
  if (node.kind !== 'scalar') return undefined;
  const value = resolveScalar(node);
  if (value.type === 'boolean') return value.value;
  // Quotes make no difference to the words (and all of one to `"true"`, which is no boolean): so it is upstream.
  return value.type === 'string' ? BOOLEAN_WORDS.get(node.text) : undefined;
}

/** For an integer field: whole floats (`1e3`, `1.0`) count; the range is the field's own matter. `undefined` when it is none. */
export function asInteger(node: YamlNode): bigint | undefined {
  if (node.kind !== 'scalar') return undefined;
  const value = resolveScalar(node);
  if (value.type === 'integer') return value.value;
  return value.type === 'float' && Number.isInteger(value.value) ? BigInt(value.value) : undefined;
}

/**
 * For a string field: any scalar as it is written, numbers and booleans too. `undefined` for null, an unquoted date or
 * timestamp, a wrong tag, a list or a mapping.
 */
export function asText(node: YamlNode): string | undefined {
  if (node.kind !== 'scalar') return undefined;
  const value = resolveScalar(node);
  switch (value.type) {
    case 'null':
    case 'timestamp':
    case 'mismatch':
      return undefined;
    case 'binary':
      return new TextDecoder().decode(value.value);
    default:
      return node.text;
  }
}

function resolvePlain(text: string, mayBeTimestamp: boolean): ScalarValue {
  const constant = CONSTANTS.get(text);
  if (constant !== undefined) return constant;
  if (text.startsWith('.')) return (FRACTION.test(text) ? finite(text) : undefined) ?? { type: 'string', value: text };
  if (!/^[-+0-9]/.test(text)) return { type: 'string', value: text };
  if (mayBeTimestamp && isTimestamp(text)) return { type: 'timestamp' };
  const plain = text.replaceAll('_', '');
  return resolveInteger(plain) ?? (FLOAT.test(plain) ? finite(plain) : undefined) ?? { type: 'string', value: text };
}

function finite(text: string): ScalarValue | undefined {
  const value = Number(text.replaceAll('_', ''));
  return Number.isFinite(value) ? { type: 'float', value } : undefined;
}

function resolveInteger(plain: string): ScalarValue | undefined {
  if (plain.length > MAX_INTEGER_TEXT) return undefined;
  const match = INTEGER.exec(plain);
  if (match === null) return undefined;
  const { hex, octal, binary, leading, decimal } = match.groups ?? {};
  const magnitude =
    hex !== undefined
      ? BigInt(`0x${hex}`)
      : binary !== undefined
        ? BigInt(`0b${binary}`)
        : (octal ?? leading) !== undefined
          ? BigInt(`0o${octal ?? leading ?? ''}`.replace(/^0o$/, '0'))
          : BigInt(decimal ?? 0);
  const value = match[1] === '-' ? -magnitude : magnitude;
  // Go tries int64, then uint64, and the latter takes no sign at all.
  const isInRange = value >= MIN_INTEGER && value <= (match[1] === '' ? MAX_INTEGER : 2n ** 63n - 1n);
  return isInRange ? { type: 'integer', value } : undefined;
}

function resolveTagged(tag: string, text: string): ScalarValue {
  const value = resolvePlain(text, tag === '!!timestamp');
  if (tag === '!!float' && value.type === 'integer') return { type: 'float', value: Number(value.value) };
  const wanted = { '!!null': 'null', '!!bool': 'boolean', '!!int': 'integer', '!!float': 'float' }[tag] ?? 'timestamp';
  return value.type === wanted ? value : { type: 'mismatch' };
}

function resolveBinary(text: string): ScalarValue {
  const plain = text.replaceAll(/[\r\n]/g, '');
  if (!isBase64(plain)) return { type: 'mismatch' };
  return { type: 'binary', value: Uint8Array.from(atob(plain), (character) => character.charCodeAt(0)) };
}

/** The four layouts Go yaml tries: full date and time with `T` or `t` and a zone, with a space and without one, date alone. */
function isTimestamp(text: string): boolean {
  if (text.length > 100) return false;
  const match = TIMESTAMP.exec(text);
  if (match === null) return false;
  const [year = 0, month = 0, day = 0, ...rest] = match.slice(1).map((part) => Number(part ?? 0));
  const [hour = 0, minute = 0, second = 0, zoneHour = 0, zoneMinute = 0, hour2 = 0, minute2 = 0, second2 = 0] = rest;
  return (
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= daysIn(year, month) &&
    Math.max(hour, hour2) < 24 &&
    Math.max(minute, minute2, second, second2) < 60 &&
    zoneHour <= 24 &&
    zoneMinute <= 60
  );
}

function daysIn(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]!;
}
