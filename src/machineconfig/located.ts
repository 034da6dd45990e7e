/** Looking into decoded objects. */
import type { Problem } from '../yaml/diagnostic.ts';
import { type IpAddress, isMistake, parseAddress } from './address.ts';
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

function isObject(located: Located): located is LocatedObject {
  return 'fields' in located && located.value !== undefined;
}
