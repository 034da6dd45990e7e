/** Profiles as values: what a program gives, made a `Profile` with every field. */
import { invalid } from '../errors.ts';
import { nearName, quoted } from '../yaml/diagnostic.ts';
import type { GivenProfile, Profile } from './profile.ts';
import {
  below,
  type Fields,
  type FieldValue,
  mapRows,
  PROFILE,
  type Row,
  type Rows,
  wishOf,
  zeroOf,
} from './schema.ts';

/** `given` with zero values where it says nothing. Throws `invalid-input` for a value of the wrong kind and for unknown fields. */
export function completeProfile(given: GivenProfile): Profile {
  return completeField({ type: 'group', rows: PROFILE as Rows }, given, '') as Profile;
}

function completeField(row: Row, value: FieldValue, path: string): FieldValue {
  if (value === undefined || value === null) return zeroOf(row);
  if (!fits(row, value)) throw invalid(`${path === '' ? 'profile' : path}: ${describe(value)}: want ${wishOf(row)}`);
  switch (row.type) {
    case 'group':
    case 'optional group':
      return completeGroup(row.rows, value as Fields, path);
    case 'list':
      return (value as readonly FieldValue[]).map((item, index) => completeField(row.item, item, `${path}[${index}]`));
    default:
      return value;
  }
}

function completeGroup(rows: Rows, value: Fields, path: string): Fields {
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(rows, key)) continue;
    const near = nearName(key, Object.keys(rows));
    throw invalid(`${below(path, key)}: unknown field: want ${Object.keys(rows).join(', ')}`, {
      ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
    });
  }
  return mapRows(rows, (row, key) => completeField(row, value[key], below(path, key)));
}

function fits(row: Row, value: FieldValue): boolean {
  switch (row.type) {
    case 'text':
      return typeof value === 'string';
    case 'flag':
    case 'optional flag':
      return typeof value === 'boolean';
    case 'integer':
      return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= row.maximum;
    case 'word':
      return row.words.includes(value as string);
    case 'list':
      return Array.isArray(value);
    default:
      return typeof value === 'object' && !Array.isArray(value);
  }
}

function describe(value: FieldValue): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : quoted(String(value));
}
