/** One profile laid over another, by upstream's rules (specification profiles-and-inputs 2.9). */
import { invalid } from '../errors.ts';
import { entriesOf, isMapping, TypedScalar, type YamlMapping, type YamlScalar, type YamlValue } from '../yaml/value.ts';
import type { Profile } from './profile.ts';
import { type Fields, type FieldValue, isZero, mapRows, PROFILE, type Row, type Rows } from './schema.ts';

/**
 * `given` over `base`: what `given` leaves at its zero value keeps the base's, lists are joined, plain flags always win, so that an
 * `forceInsecure` nobody set takes the base's away. Throws `invalid-input` when an overlay option changes its type.
 */
export function mergeProfiles(base: Profile, given: Profile): Profile {
  return mergeField({ type: 'group', rows: PROFILE as Rows }, base, given) as Profile;
}

function mergeField(row: Row, base: FieldValue, given: FieldValue): FieldValue {
  switch (row.type) {
    case 'flag':
      return given;
    case 'list':
      return [...(base as readonly FieldValue[]), ...(given as readonly FieldValue[])];
    case 'group':
      return mergeGroup(row.rows, base as Fields, given as Fields);
    case 'optional group':
      if (base === null || given === null) return given ?? base;
      return mergeGroup(row.rows, base as Fields, given as Fields);
    case 'free':
      return mergeMappings(base as YamlMapping, given as YamlMapping, 'overlay option ');
    default:
      return isZero(row, given) ? base : given;
  }
}

function mergeGroup(rows: Rows, base: Fields, given: Fields): Fields {
  return mapRows(rows, (row, key) => mergeField(row, base[key], given[key]));
}

function mergeMappings(base: YamlMapping, given: YamlMapping, path: string): YamlMapping {
  const merged = new Map(entriesOf(base).map(([key, value]) => [keyText(key), { key, value }]));
  for (const [key, value] of entriesOf(given)) {
    const before = merged.get(keyText(key));
    const result = before === undefined ? value : mergeValues(before.value, value, `${path}${String(key)}`);
    merged.set(keyText(key), { key, value: result });
  }
  const entries = [...merged.values()].map(({ key, value }) => [key, value] as const);
  return base instanceof Map || given instanceof Map ? new Map(entries) : Object.fromEntries(entries);
}

/** Null is nothing on either side (upstream crashes there). */
function mergeValues(base: YamlValue, given: YamlValue, path: string): YamlValue {
  if (given === null || base === null) return given ?? base;
  const [before, after] = [typeOf(base), typeOf(given)];
  if (before !== after) throw invalid(`${path}: ${after} over ${before}: want the same type as in the base profile`);
  if (Array.isArray(base) && Array.isArray(given)) return [...base, ...given];
  if (isMapping(base) && isMapping(given)) return mergeMappings(base, given, `${path}.`);
  return isZeroScalar(given as YamlScalar) ? base : given;
}

const MAX_INT64 = 2n ** 63n - 1n;

function typeOf(value: YamlValue): string {
  if (value instanceof TypedScalar) return value.tag;
  if (Array.isArray(value)) return 'list';
  if (value instanceof Map) return 'mapping with keys that are no text';
  switch (typeof value) {
    case 'string':
      return 'text';
    case 'boolean':
      return 'boolean';
    case 'bigint':
      return value > MAX_INT64 ? 'unsigned integer' : 'integer';
    case 'number':
      return Number.isInteger(value) ? 'integer' : 'float';
    default:
      return 'mapping';
  }
}

/** Booleans are never zero: false takes true away, as with plain flags. */
function isZeroScalar(value: YamlScalar): boolean {
  if (value instanceof TypedScalar) return value.tag === 'float' && Number(value.text) === 0;
  return value === '' || value === 0 || value === 0n;
}

/** Keys of different types are different keys: `1` and `"1"`. */
function keyText(key: YamlScalar): string {
  return key instanceof TypedScalar ? `${key.tag} ${key.text}` : `${typeof key} ${String(key)}`;
}
