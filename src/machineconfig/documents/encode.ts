/** Machine configuration as upstream writes it back: fields in the order of the table, canonical values, no comments. */
import { emitYaml } from '../../yaml/emit.ts';
import { inNaturalKeyOrder } from '../../yaml/key-order.ts';
import type { YamlMapping, YamlValue } from '../../yaml/value.ts';
import { type Located, type LocatedObject, narrowed } from '../decode.ts';
import { formatDuration } from '../duration.ts';
import type { Field, FieldType, ObjectType } from '../field-types.ts';
import { type ConfigDocument, documentType } from './load.ts';

/** All documents as one stream, the root document first. */
export function encodeMachineConfig(documents: readonly ConfigDocument[]): string {
  const ordered = [...documents].sort((a, b) => Number(a.kind !== '') - Number(b.kind !== ''));
  return ordered.map((document) => emitYaml(encodedDocument(document), { indent: 4 })).join('---\n');
}

function encodedDocument({ kind, object }: ConfigDocument): YamlMapping {
  return encodedObject(object, documentType(kind));
}

function encodedObject(object: Pick<LocatedObject, 'fields'>, type: ObjectType): YamlMapping {
  return Object.fromEntries(
    Object.entries(type.fields).flatMap(([name, field]) => {
      const located = object.fields.get(name);
      const value = located === undefined ? undefined : encodedValue(located, field.type);
      if (value !== undefined && !isLeftOut(value, field)) return [[name, value]];
      return field.zero === 'always' ? [[name, value ?? zeroOf(field.type)]] : [];
    }),
  );
}

/** Whether the value is one that upstream does not tell from nothing. */
export function isUnsaid(located: Located, field: Field): boolean {
  const value = encodedValue(located, field.type);
  return value === undefined || isLeftOut(value, field);
}

/** Unless the table says otherwise, upstream tells `false` and the first name of an enumeration from nothing, and no other zero. */
function isLeftOut(value: YamlValue, { type, zero }: Field): boolean {
  if (zero === 'kept' || type.kind === 'object') return false;
  if (zero !== 'dropped' && (type.kind === 'boolean' || type.kind === 'enum')) return false;
  return isZero(value, type);
}

function isZero(value: YamlValue, type: FieldType): boolean {
  if (value instanceof Map) return value.size === 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  if (type.kind === 'enum') return type.values[String(value)] === 0;
  return value === '' || value === 0 || value === false || value === '0s';
}

function zeroOf(type: FieldType): YamlValue {
  switch (type.kind) {
    case 'list':
      return [];
    case 'object':
      return encodedObject({ fields: new Map() }, type);
    case 'map':
    case 'free':
      return {};
    case 'integer':
      return 0;
    case 'boolean':
      return null;
    case 'duration':
      return '0s';
    case 'enum':
      return Object.keys(type.values).find((name) => type.values[name] === 0)!;
    case 'format':
      return type.encode?.('') ?? '';
    default:
      return '';
  }
}

function encodedValue(located: Located, type: FieldType): YamlValue | undefined {
  const { value } = located;
  if (value === undefined) return undefined;
  switch (type.kind) {
    case 'object':
      return encodedObject(located as LocatedObject, type);
    case 'list':
      return (value as readonly Located[]).map((item) => encodedValue(item, type.of) ?? null);
    case 'map':
      return inNaturalKeyOrder(
        new Map(
          [...(value as Map<string, Located>)].map(([name, item]) => [name, encodedValue(item, type.of) ?? null]),
        ),
      );
    case 'free':
      return inNaturalKeyOrder(value as YamlValue);
    case 'format':
      return type.encode?.(String(value)) ?? String(value);
    case 'texts':
      return Array.isArray(value)
        ? (value as readonly Located[]).map((item) => String(item.value))
        : value === ''
          ? null
          : String(value);
    case 'duration':
      return formatDuration(value as bigint);
    case 'integer':
      return narrowed(value as bigint);
    default:
      return value as YamlValue;
  }
}
