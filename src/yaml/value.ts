/** YAML data as plain values: what free-form parts of a document hold, and what is written back. */
import { quoted } from './diagnostic.ts';
import type { MappingNode, ScalarNode, YamlNode } from './document.ts';
import { resolveScalar } from './scalar.ts';

/** A scalar whose text is already decided, written without quotes: what has a type that JavaScript's own values cannot show. */
export class TypedScalar {
  readonly tag: 'float' | 'timestamp';
  /** As upstream prints it: `1e+06`, `2024-01-02T00:00:00Z`. */
  readonly text: string;

  constructor(tag: 'float' | 'timestamp', text: string) {
    this.tag = tag;
    this.text = text;
  }
}

export type YamlScalar = null | boolean | number | bigint | string | TypedScalar;

/** Numbers without a fraction are written as integers; a float that must look like one is a `TypedScalar`. */
export type YamlValue = YamlScalar | readonly YamlValue[] | YamlMapping;

/** A record where all keys are strings, a map where they need not be. */
export type YamlMapping = ReadonlyMap<YamlScalar, YamlValue> | { readonly [key: string]: YamlValue };

/** Reports what cannot be a value: the node it is about, and value and wish. */
export type Refusal = (node: YamlNode, message: string) => void;

/**
 * A node as upstream decodes it where no type is asked for: integers beyond 2^53 are bigints, floats and timestamps
 * `TypedScalar`, binary data text. What does not fit its tag is refused and becomes null.
 */
export function nodeValue(node: YamlNode, refuse: Refusal): YamlValue {
  switch (node.kind) {
    case 'scalar':
      return scalarOf(node, refuse);
    case 'sequence':
      return node.items.map((item) => nodeValue(item, refuse));
    case 'mapping':
      return mappingOf(node, refuse);
  }
}

function mappingOf(node: MappingNode, refuse: Refusal): YamlMapping {
  const entries = node.entries.map(({ key, value }) => [scalarOf(key, refuse), nodeValue(value, refuse)] as const);
  const hasNamesOnly = entries.every((entry): entry is [string, YamlValue] => typeof entry[0] === 'string');
  return hasNamesOnly ? Object.fromEntries(entries) : new Map(entries);
}

function scalarOf(node: ScalarNode, refuse: Refusal): YamlScalar {
  const value = resolveScalar(node);
  switch (value.type) {
    case 'null':
      return null;
    case 'integer':
      return Number.isSafeInteger(Number(value.value)) ? Number(value.value) : value.value;
    case 'float':
      return new TypedScalar('float', formatFloat(value.value));
    case 'timestamp':
      return new TypedScalar('timestamp', formatTimestamp(node.text));
    case 'binary':
      return new TextDecoder().decode(value.value);
    case 'mismatch':
      refuse(node, `${node.tag} ${quoted(node.text)}: want a text that fits the tag`);
      return null;
    default:
      return value.value;
  }
}

/** Shortest decimal that reads back as the same number; exponent form below 1e-4 and from 1e6 on, as Go's `%g` has it. */
export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return '.nan';
  if (!Number.isFinite(value)) return value > 0 ? '.inf' : '-.inf';
  if (Object.is(value, -0)) return '-0';
  const [mantissa, power] = value.toExponential().split('e') as [string, string];
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 6) {
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  return value.toString();
}

const TIMESTAMP =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt ] *(\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,](\d+))?(?:Z|([-+])(\d\d):(\d\d))?)?$/;

/** RFC 3339 with the shortest fraction, at most nanoseconds; the zone stays. `text` is a timestamp as YAML reads them. */
export function formatTimestamp(text: string): string {
  const [, year, month, day, hour = '0', minute = '0', second = '0', digits = '', ...zone] = TIMESTAMP.exec(text) ?? [];
  const date = [year, month, day].map(twoDigits).join('-');
  const time = [hour, minute, second].map(twoDigits).join(':');
  const fraction = digits.slice(0, 9).replace(/0+$/, '');
  return `${date}T${time}${fraction === '' ? '' : `.${fraction}`}${zoneText(zone)}`;
}

/** An offset may be given in up to 60 minutes or 24 hours; it is written in hours and minutes as they follow from it. */
function zoneText([sign = '+', hours = '0', minutes = '0']: readonly (string | undefined)[]): string {
  const offset = Number(hours) * 60 + Number(minutes);
  if (offset === 0) return 'Z';
  return `${sign}${twoDigits(String(Math.floor(offset / 60)))}:${twoDigits(String(offset % 60))}`;
}

function twoDigits(text = ''): string {
  return text.padStart(2, '0');
}

export type YamlEntry = [YamlScalar, YamlValue];

export function isMapping(value: YamlValue): value is YamlMapping {
  return typeof value === 'object' && value !== null && !(value instanceof TypedScalar) && !Array.isArray(value);
}

export function entriesOf(value: YamlMapping): YamlEntry[] {
  return value instanceof Map ? [...value.entries()] : Object.entries(value);
}
