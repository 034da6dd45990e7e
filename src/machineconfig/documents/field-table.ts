/**
 * The notation of the table of documents, and its translation into the field types of the decoder.
 *
 * A field is a text, `type flag...`, an object of fields, or `[object]` for a list of objects; an object's own flags stand under
 * `$`, and `{ $map: ... }` is a mapping of free names to such objects. Types: `string`, `string(a|b)` (text, the usual values),
 * `enum(a|b)`, `list<T>`, `map<T>`, `strings` (map of texts), `object` (free-form mapping), Go's integer names, and the formats
 * of formats.ts. Flags: `required` (must say something), `replace` (a patch replaces instead of merging), `since:1.12`,
 * `deprecated:1.14`, `secret` (never shown), `always`, `kept`, `dropped` (zero values when written back). Children inherit `since` and `deprecated`.
 */
import type { Field, FieldType, IntegerType, ListType, ObjectType } from '../field-types.ts';
import { ROUTING_TABLE } from '../network-schema.ts';
import { FORMATS } from './formats.ts';

export type ObjectTable = { readonly [name: string]: FieldTable };
export type FieldTable = string | readonly [ObjectTable] | ObjectTable;

export interface KindTable {
  /** First minor release that knows the kind; `1.7` stands for that and all before. */
  readonly since: string;
  /** The kind has a `name`, and may appear once per name. */
  readonly named?: true;
  /** Refused beside a root document of a worker, and without any. */
  readonly controlPlaneOnly?: true;
  readonly fields: ObjectTable;
}

export function objectType(table: ObjectTable, inherited: Inherited = {}): ObjectType {
  const fields: Record<string, Field> = {};
  for (const [name, entry] of Object.entries(table)) {
    if (!name.startsWith('$')) fields[name] = fieldOf(entry, inherited);
  }
  return { kind: 'object', fields };
}

type Inherited = Pick<Field, 'since' | 'deprecated'>;

function fieldOf(entry: FieldTable, inherited: Inherited): Field {
  if (typeof entry !== 'string') {
    const inner = Array.isArray(entry) ? (entry[0] as ObjectTable) : (entry as ObjectTable);
    const flags = { ...inherited, ...flagsOf(String(inner.$ ?? '').split(' ')) };
    const { since, deprecated } = flags;
    const passedOn = { ...(since === undefined ? {} : { since }), ...(deprecated === undefined ? {} : { deprecated }) };
    return { ...flags, type: collectionType(entry, inner, passedOn) };
  }
  const [type = '', ...flags] = entry.split(' ');
  return { ...inherited, ...flagsOf(flags), type: typeOf(type) };
}

function collectionType(entry: Exclude<FieldTable, string>, inner: ObjectTable, flags: Inherited): FieldType {
  if (Array.isArray(entry)) return { kind: 'list', of: objectType(inner, flags), nulls: 'zero' };
  const { $map: values } = inner;
  return values === undefined
    ? objectType(inner, flags)
    : { kind: 'map', of: objectType(values as ObjectTable, flags), nulls: 'kept' };
}

function flagsOf(flags: readonly string[]): Omit<Field, 'type'> {
  const value = (name: string): string | undefined =>
    flags.find((flag) => flag.startsWith(`${name}:`))?.slice(name.length + 1);
  const [since, deprecated] = [value('since'), value('deprecated')];
  return {
    ...(since === undefined ? {} : { since }),
    ...(deprecated === undefined ? {} : { deprecated }),
    ...(flags.includes('required') ? { required: true } : {}),
    ...(flags.includes('replace') ? { patch: 'replace' } : {}),
    ...(flags.includes('secret') ? { secret: true } : {}),
    ...zeroOf(flags),
  };
}

function zeroOf(flags: readonly string[]): Pick<Field, 'zero'> {
  const zero = (['always', 'kept', 'dropped'] as const).find((name) => flags.includes(name));
  return zero === undefined ? {} : { zero };
}

const INTEGERS: Readonly<Record<string, IntegerType>> = {
  integer: { kind: 'integer', min: -(2n ** 63n), max: 2n ** 63n - 1n },
  int32: { kind: 'integer', min: -(2n ** 31n), max: 2n ** 31n - 1n },
  uint: { kind: 'integer', min: 0n, max: 2n ** 64n - 1n },
  uint8: { kind: 'integer', min: 0n, max: 2n ** 8n - 1n },
  uint16: { kind: 'integer', min: 0n, max: 2n ** 16n - 1n },
  uint32: { kind: 'integer', min: 0n, max: 2n ** 32n - 1n },
  uint64: { kind: 'integer', min: 0n, max: 2n ** 64n - 1n },
};

function typeOf(text: string): FieldType {
  const {
    outer,
    name = '',
    values,
  } = /^(?:(?<outer>list|map)<)?(?<name>[^(>]+)(?:\((?<values>.*)\))?>?$/.exec(text)?.groups ?? {};
  const inner = scalarType(name, values?.split('|'));
  if (outer === 'map') return { kind: 'map', of: inner, nulls: 'zero' };
  return outer === 'list' ? listOf(inner) : inner;
}

/** Null items of such lists are dropped. */
function listOf(of: FieldType): ListType {
  return { kind: 'list', of };
}

function scalarType(name: string, values: readonly string[] | undefined): FieldType {
  const integer = INTEGERS[name];
  if (integer !== undefined) return integer;
  switch (name) {
    case 'string':
      return values === undefined ? { kind: 'string' } : { kind: 'string', usual: values };
    case 'boolean':
    case 'duration':
      return { kind: name };
    case 'ip':
    case 'ip?':
      return { kind: 'address' };
    case 'cidr':
    case 'cidr?':
      return { kind: 'prefix' };
    case 'strings':
      return { kind: 'map', of: { kind: 'string' }, nulls: 'zero' };
    case 'args':
      return { kind: 'map', of: { kind: 'texts' }, nulls: 'zero' };
    case 'object':
      return { kind: 'free' };
    case 'routing-table':
      return ROUTING_TABLE;
    case 'ports':
      return { kind: 'list', of: { kind: 'format', ...FORMATS['port-range']! } };
    case 'enum':
      return enumOf(values ?? []);
    case 'cel':
      return { kind: 'string', expression: values?.[0] ?? '' };
    default:
      return { kind: 'format', ...FORMATS[name]! };
  }
}

/** The first name is what a field without a value has. */
function enumOf(names: readonly string[]): FieldType {
  return { kind: 'enum', name: 'such value', values: Object.fromEntries(names.map((name, index) => [name, index])) };
}
