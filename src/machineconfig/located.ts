/** Looking into decoded objects. */
import type { Problem } from '../yaml/diagnostic.ts';
import { type IpAddress, type IpPrefix, isMistake, parseAddress, parsePrefix } from './address.ts';
import type { Located, LocatedObject } from './decode.ts';

export type Report = (
  located: Located,
  message: string,
  details?: { readonly hint?: string; readonly severity?: Problem['severity'] },
) => void;

/** The objects of a list field; none when it is unset, unreadable or no list of objects. */
export function items(entry: LocatedObject, name: string): readonly LocatedObject[] {
  const list = entry.fields.get(name)?.value;
  return Array.isArray(list) ? (list as readonly Located[]).filter(isObject) : [];
}

/** The object of a field; `undefined` when it is unset or unreadable. */
export function object(entry: LocatedObject, name: string): LocatedObject | undefined {
  const field = entry.fields.get(name);
  return field !== undefined && isObject(field) ? field : undefined;
}

/** The text of a field, canonical where its type has a canonical form; `undefined` when it is unset or unreadable. */
export function textOf(entry: LocatedObject, name: string): string | undefined {
  const value = entry.fields.get(name)?.value;
  return typeof value === 'string' ? value : undefined;
}

/** Whether the field says something; an unreadable one does, another problem is about it. */
export function hasText(entry: LocatedObject, name: string): boolean {
  const field = entry.fields.get(name);
  return field !== undefined && field.value !== '';
}

/** A field that must say something and does not. */
export function reportUnset(entry: LocatedObject, name: string, report: Report, hint?: string): void {
  const field = entry.fields.get(name);
  const details = hint === undefined ? {} : { hint };
  report(field ?? entry, field === undefined ? `${name}: not set` : 'empty', details);
}

export function addressOf(entry: LocatedObject, name: string): IpAddress | undefined {
  const address = parseAddress(textOf(entry, name) ?? '');
  return isMistake(address) ? undefined : address;
}

export function prefixOf(object: LocatedObject, name: string): IpPrefix | undefined {
  const prefix = parsePrefix(textOf(object, name) ?? '');
  return isMistake(prefix) ? undefined : prefix;
}

function isObject(located: Located): located is LocatedObject {
  return 'fields' in located && located.value !== undefined;
}

/** Whether the field has a value other than zero, `false` or nothing; an unreadable one has. */
export function isSet(entry: LocatedObject | undefined, name: string): boolean {
  const field = entry?.fields.get(name);
  if (field === undefined) return false;
  const { value } = field;
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value !== '' && value !== 0n && value !== false;
}

export function integerOf(entry: LocatedObject | undefined, name: string): bigint | undefined {
  const value = entry?.fields.get(name)?.value;
  return typeof value === 'bigint' ? value : undefined;
}

export function booleanOf(entry: LocatedObject | undefined, name: string): boolean | undefined {
  const value = entry?.fields.get(name)?.value;
  return typeof value === 'boolean' ? value : undefined;
}

/** The scalars of a list field as texts, with their places. */
export function texts(
  entry: LocatedObject | undefined,
  name: string,
): readonly (Located & { readonly value: string })[] {
  const list = entry?.fields.get(name)?.value;
  return Array.isArray(list)
    ? (list as readonly Located[]).filter(
        (item): item is Located & { readonly value: string } => typeof item.value === 'string',
      )
    : [];
}

/** The entries of a field that is a mapping of free names. */
export function mapEntries(entry: LocatedObject | undefined, name: string): readonly (readonly [string, Located])[] {
  const value = entry?.fields.get(name)?.value;
  return value instanceof Map ? [...(value as Map<string, Located>)] : [];
}

/** The object along a path of field names. */
export function inner(entry: LocatedObject, ...names: readonly string[]): LocatedObject | undefined {
  let found: LocatedObject | undefined = entry;
  for (const name of names) found = found === undefined ? undefined : object(found, name);
  return found;
}
