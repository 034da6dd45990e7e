/** A profile as the YAML document upstream prints before it builds (specification profiles-and-inputs 2.11). */
import { emitYaml, type YamlEra } from '../yaml/emit.ts';
import { inNaturalKeyOrder } from '../yaml/key-order.ts';
import type { YamlValue } from '../yaml/value.ts';
import type { Profile } from './profile.ts';
import { type Fields, type FieldValue, isZero, PROFILE, type Row, type Rows } from './schema.ts';

/** Whose way of writing YAML to follow. */
export interface DumpOptions {
  /** 1.13 knows fewer fields, never folds lines and quotes words like `yes` in another way. */
  readonly release?: '1.13' | '1.14';
}

const RELEASES: Readonly<Record<'1.13' | '1.14', { readonly era: YamlEra; readonly fold: boolean }>> = {
  '1.13': { era: 'v4-rc4', fold: false },
  '1.14': { era: 'v4-rc6', fold: true },
};

/** Byte for byte; empty fields are left out where upstream leaves them out. */
export function dumpProfile(profile: Profile, options: DumpOptions = {}): string {
  const { release = '1.14' } = options;
  const value = shownValue({ type: 'group', rows: PROFILE as Rows }, profile, release);
  return emitYaml(value, { indent: 2, ...RELEASES[release] });
}

function shownFields(rows: Rows, group: Fields, release: string): YamlValue {
  const shown = Object.entries(rows).filter(
    ([key, row]) => (row.since ?? release) === release && (row.shown || !isZero(row, group[key])),
  );
  return Object.fromEntries(shown.map(([key, row]) => [key, shownValue(row, group[key], release)]));
}

function shownValue(row: Row, value: FieldValue, release: string): YamlValue {
  if (value === null) return null;
  switch (row.type) {
    case 'group':
    case 'optional group':
      return shownFields(row.rows, value as Fields, release);
    case 'list':
      return (value as readonly FieldValue[]).map((item) => shownValue(row.item, item, release));
    case 'free':
      return inNaturalKeyOrder(value as YamlValue);
    default:
      return value as YamlValue;
  }
}
