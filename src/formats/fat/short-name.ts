/**
 * 8.3 names: which one an entry gets beside (or in place of) its long name. The rules are mtools', measured with 4.0.32:
 * `Talos-v1.13.0.efi` is `TALOS-~1EFI`, `loader.conf` is `LOADER~1CON`, `Linux` is `LINUX`, `loader` is `LOADER` with a case bit.
 */
import { invalid } from '../../errors.ts';
import { compareNames } from '../../tree/tree.ts';

export interface NamedEntry {
  /** 11 characters: 8 of the base, 3 of the extension, blank-padded, ASCII. */
  readonly short: string;
  /** NT byte: 0x08 the base is in lower case, 0x10 the extension is. */
  readonly caseBits: number;
  /** Whether the name needs long-name entries. */
  readonly long: boolean;
}

const LOWER_BASE = 0x08;
const LOWER_EXTENSION = 0x10;

/** Windows keeps these names for devices, with any extension. */
const DEVICE_NAMES = /^(CON|PRN|AUX|NUL|COM[1-9]|LPT[1-9])$/;

/** Allowed in a long name but not in a short one, where mtools puts an underscore. Non-ASCII would need a code page. */
const NOT_IN_SHORT = /[+,;=[\]'\u0080-\u{10ffff}]/gu;

/**
 * The entries of one directory, in the order of `names`. Names that fit 8.3 keep them; the others get `~1`, `~2` and so on in
 * byte order. Throws `invalid-input` for a name FAT cannot hold and for two names that differ only in case.
 */
export function nameEntries(names: readonly string[]): Map<string, NamedEntry> {
  const folded = new Map<string, string>();
  const entries = new Map<string, NamedEntry>();
  const taken = new Set<string>();
  const numbered: { readonly name: string; readonly base: string; readonly extension: string }[] = [];
  for (const name of [...names].sort(compareNames)) {
    checkLongName(name);
    const other = folded.get(name.toUpperCase());
    if (other !== undefined) throw invalid(`"${other}" and "${name}" are one name on FAT`);
    folded.set(name.toUpperCase(), name);
    const { base, extension, exact } = shorten(name);
    if (!exact || DEVICE_NAMES.test(base.text)) {
      numbered.push({ name, base: base.text, extension: extension.text });
      continue;
    }
    const short = pad(base.text, extension.text);
    taken.add(short);
    const long = base.mixed || extension.mixed;
    const caseBits = (base.lower ? LOWER_BASE : 0) | (extension.lower ? LOWER_EXTENSION : 0);
    entries.set(name, { short, caseBits: long ? 0 : caseBits, long });
  }
  for (const { name, base, extension } of numbered) {
    const short = firstFree(base, extension, taken);
    taken.add(short);
    entries.set(name, { short, caseBits: 0, long: true });
  }
  return new Map(names.map((name) => [name, entries.get(name)!]));
}

function firstFree(base: string, extension: string, taken: ReadonlySet<string>): string {
  for (let number = 1; ; number++) {
    const tail = `~${number}`;
    const short = pad(base.slice(0, 8 - tail.length) + tail, extension);
    if (!taken.has(short)) return short;
  }
}

function pad(base: string, extension: string): string {
  return base.padEnd(8) + extension.padEnd(3);
}

interface ShortPart {
  /** Upper case. */
  readonly text: string;
  /** Lower-case letters only. */
  readonly lower: boolean;
  /** Letters of both cases. */
  readonly mixed: boolean;
}

function shorten(name: string): {
  readonly base: ShortPart;
  readonly extension: ShortPart;
  /** Nothing had to be dropped, cut or replaced. */
  readonly exact: boolean;
} {
  const undotted = name.replace(/^\.+/, '');
  const dot = undotted.lastIndexOf('.');
  const base = dot < 0 ? undotted : undotted.slice(0, dot);
  const extension = dot < 0 ? '' : undotted.slice(dot + 1);
  const kept = { base: shortCharacters(base), extension: shortCharacters(extension) };
  const exact =
    undotted === name &&
    kept.base === base &&
    kept.extension === extension &&
    base.length <= 8 &&
    extension.length <= 3;
  return { base: partOf(kept.base.slice(0, 8)), extension: partOf(kept.extension.slice(0, 3)), exact };
}

function shortCharacters(text: string): string {
  return text.replaceAll(/[ .]/g, '').replaceAll(NOT_IN_SHORT, '_');
}

function partOf(text: string): ShortPart {
  const lower = /[a-z]/.test(text);
  const upper = /[A-Z]/.test(text);
  return { text: text.toUpperCase(), lower: lower && !upper, mixed: lower && upper };
}

function checkLongName(name: string): void {
  const printable = JSON.stringify(name);
  if (name.length > 255) throw invalid(`FAT name ${printable}: ${name.length} UTF-16 units, want at most 255`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are among what FAT forbids
  const bad = /["*/:<>?\\|\u0000-\u001f\u007f]/.exec(name);
  if (bad !== null) throw invalid(`FAT name ${printable}: ${JSON.stringify(bad[0])} is not allowed`);
  if (/^\.*$|[ .]$/.test(name)) throw invalid(`FAT name ${printable}: want no dot or blank at its end`);
  if (!name.isWellFormed()) throw invalid(`FAT name ${printable}: want well-formed Unicode`);
}
