/** What a module exports and what it needs of others. Source: kmod, libkmod/libkmod-elf.c, whose decisions these are. */
import { viewOf } from '../../bytes/field.ts';
import type { ModuleElf } from './module-elf.ts';
import type { NamePool } from './name-pool.ts';

export interface ModuleSymbols {
  /** Numbers of names, in the order of the module; the last of several modules that export one counts. */
  readonly exported: readonly number[];
  /** In the order of the module. Without the dot that 64-bit PowerPC puts before functions. */
  readonly needed: readonly number[];
}

const CRC_PREFIX = '__crc_';

/**
 * Exported are the names with a `__crc_` symbol, or where there is none all strings of `__ksymtab_strings`, name spaces among them. Needed are
 * undefined symbols, then what else `__versions` lists. Throws `invalid-input` for endless names and too many: where a table makes no sense libkmod
 * does without it.
 */
export function parseModuleSymbols(elf: ModuleElf, pool: NamePool): ModuleSymbols {
  const { sections } = elf;
  const table = sections.get('.symtab');
  const strings = sections.get('.strtab');
  const symbols = table === undefined || strings === undefined ? undefined : scanSymbols(elf, table, strings);
  const exported =
    strings === undefined || symbols === undefined || symbols.crcs.length === 0
      ? exportedStrings(sections.get('__ksymtab_strings'), pool)
      : symbols.crcs.map((at) => pool.add(strings, at + CRC_PREFIX.length));
  if (strings === undefined || symbols?.undefinedNames === undefined) return { exported, needed: [] };
  const needed = symbols.undefinedNames.map((at) => addNeeded(pool, strings, at));
  const isWhole = addVersions(needed, elf, pool);
  return { exported, needed: isWhole ? needed : [] };
}

interface SymbolPlaces {
  /** Offsets of names of `__crc_` symbols. */
  readonly crcs: readonly number[];
  /** Offsets of names of undefined symbols; `undefined` where one lies outside, which makes libkmod drop all. */
  readonly undefinedNames: readonly number[] | undefined;
}

const MACHINE_SPARC = 2;
const MACHINE_SPARCV9 = 43;
/** Of SPARC: the global register of an assembler, undefined by name only. */
const TYPE_REGISTER = 13;

/** `undefined` where the table is no whole number of entries. */
function scanSymbols(elf: ModuleElf, table: Uint8Array, strings: Uint8Array): SymbolPlaces | undefined {
  const { bits, isLittleEndian, machine } = elf;
  const entrySize = bits === 32 ? 16 : 24;
  if (table.length % entrySize !== 0) return undefined;
  const [infoOffset, sectionOffset] = bits === 32 ? [12, 14] : [4, 6];
  const hasRegisters = machine === MACHINE_SPARC || machine === MACHINE_SPARCV9;
  const view = viewOf(table);
  const crcs: number[] = [];
  const undefinedNames: number[] = [];
  let [allInside, undefinedInside] = [true, true];
  for (let at = entrySize; at < table.length; at += entrySize) {
    const name = view.getUint32(at, isLittleEndian);
    const isUndefined = view.getUint16(at + sectionOffset, isLittleEndian) === 0;
    const isRegister = hasRegisters && (table[at + infoOffset]! & 0xf) === TYPE_REGISTER;
    if (name >= strings.length) {
      allInside = false;
      if (isUndefined && !isRegister) undefinedInside = false;
      continue;
    }
    if (isCrc(strings, name)) crcs.push(name);
    if (isUndefined && !isRegister && strings[name] !== 0) undefinedNames.push(name);
  }
  return { crcs: allInside ? crcs : [], undefinedNames: undefinedInside ? undefinedNames : undefined };
}

function isCrc(strings: Uint8Array, at: number): boolean {
  for (let index = 0; index < CRC_PREFIX.length; index++) {
    if (strings[at + index] !== CRC_PREFIX.charCodeAt(index)) return false;
  }
  return true;
}

const DOT = 0x2e;

function addNeeded(pool: NamePool, data: Uint8Array, start: number): number {
  return pool.add(data, data[start] === DOT ? start + 1 : start);
}

/** All strings; none where the section does not end with one. */
function exportedStrings(section: Uint8Array | undefined, pool: NamePool): number[] {
  if (section === undefined || section.at(-1) !== 0) return [];
  const found: number[] = [];
  for (let start = 0; start < section.length; ) {
    const end = section.indexOf(0, start);
    if (end > start) found.push(pool.add(section, start));
    start = end + 1;
  }
  return found;
}

/** Of an entry, bytes: a CRC as wide as a word, then the name. */
const VERSION_SIZE = 64;

/** Nothing where the section is no whole number of entries; false where a name has no end, which makes libkmod drop all that is needed. */
function addVersions(needed: number[], { bits, sections }: ModuleElf, pool: NamePool): boolean {
  const section = sections.get('__versions');
  if (section === undefined || section.length % VERSION_SIZE !== 0) return true;
  for (let at = 0; at < section.length; at += VERSION_SIZE) {
    const start = at + bits / 8;
    if (section[at + VERSION_SIZE - 1] !== 0 && !section.subarray(start, at + VERSION_SIZE).includes(0)) return false;
    needed.push(addNeeded(pool, section, start));
  }
  return true;
}
