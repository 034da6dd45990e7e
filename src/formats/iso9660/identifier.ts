/**
 * ISO identifiers of names: upper case letters, digits and `_`, at most 31 characters, one dot. The real names are in Rock Ridge; these are
 * what a reader without it shows. Formed as xorriso forms them at level 3.
 */
import { compareNames } from '../../tree/tree.ts';

/** Characters of an identifier without its dot; with it, 31 (ECMA-119 section 10.3). */
const CHARACTERS = 30;
/** A long extension is cut to this much before the name is. */
const KEPT_EXTENSION = 3;
const VERSION = ';1';

export interface Named {
  readonly name: string;
  readonly kind: string;
}

interface Parts {
  readonly base: string;
  /** With its dot; a file has one always, a directory only before an extension. */
  readonly tail: string;
}

/**
 * The identifier of each entry of one directory, by name. Files end in `;1`. Names that come out the same get a number at the end of the
 * base, in byte order of the names.
 */
export function assignIdentifiers(entries: readonly Named[]): Map<string, string> {
  const sorted = [...entries].sort((a, b) => compareNames(a.name, b.name));
  const groups = new Map<string, { readonly entry: Named; readonly parts: Parts }[]>();
  for (const entry of sorted) {
    const parts = mangle(entry);
    const key = parts.base + parts.tail;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [{ entry, parts }]);
    else group.push({ entry, parts });
  }
  const taken = new Set(groups.keys());
  const identifiers = new Map<string, string>();
  for (const [key, group] of groups) {
    const names = group.length === 1 ? [key] : numbered(group[0]!.parts, group.length, key, taken);
    for (const [index, { entry }] of group.entries()) {
      identifiers.set(entry.name, names[index]! + (entry.kind === 'directory' ? '' : VERSION));
    }
  }
  return identifiers;
}

/** `count` identifiers that nothing else in the directory has. */
function numbered({ base, tail }: Parts, count: number, key: string, taken: Set<string>): string[] {
  taken.delete(key);
  const room = CHARACTERS + 1 - tail.length;
  for (let digits = firstDigits(base.length, room, count); ; digits++) {
    const stem = base.slice(0, room - digits);
    const names: string[] = [];
    for (let number = 0; number < 10 ** digits && names.length < count; number++) {
      const name = stem + String(number).padStart(digits, '0') + tail;
      if (!taken.has(name)) names.push(name);
    }
    if (names.length < count) continue;
    for (const name of names) taken.add(name);
    return names;
  }
}

function firstDigits(length: number, room: number, count: number): number {
  const least = String(count - 1).length;
  return least === 2 && length + 3 <= room ? 3 : least;
}

function mangle({ name, kind }: Named): Parts {
  // One character for each of the name's, however many code units or bytes it had; dots are still there.
  const characters = name.replace(/[^A-Za-z0-9_.]/gu, '_').toUpperCase();
  const dot = characters.lastIndexOf('.');
  if (dot < 0 || dot === characters.length - 1) {
    return { base: withoutDots(characters.slice(0, CHARACTERS)), tail: kind === 'directory' ? '' : '.' };
  }
  const base = characters.slice(0, dot);
  const extension = characters.slice(dot + 1);
  let kept = extension.length;
  let keptBase = base.length;
  if (characters.length > CHARACTERS + 1) {
    if (kept > KEPT_EXTENSION) kept = Math.max(KEPT_EXTENSION, CHARACTERS - base.length);
    keptBase = CHARACTERS - kept;
  }
  return { base: withoutDots(base.slice(0, keptBase)), tail: `.${extension.slice(0, kept)}` };
}

function withoutDots(characters: string): string {
  return characters.replaceAll('.', '_');
}
