/** The `.modinfo` section: `key=value` strings, each ended by NULs. */
import { byteTextOf } from './byte-text.ts';

/** What index files are made of, in the order of the module. */
export interface ModuleInfo {
  readonly aliases: readonly string[];
  readonly softdeps: readonly string[];
  readonly weakdeps: readonly string[];
}

export const NO_INFO: ModuleInfo = { aliases: [], softdeps: [], weakdeps: [] };

export function parseModuleInfo(section: Uint8Array | undefined): ModuleInfo {
  if (section === undefined || section.length <= 1) return NO_INFO;
  const aliases: string[] = [];
  const softdeps: string[] = [];
  const weakdeps: string[] = [];
  const lists = new Map([
    ['alias', aliases],
    ['softdep', softdeps],
    ['weakdep', weakdeps],
  ]);
  for (let start = 0; start < section.length; ) {
    const nul = section.indexOf(0, start);
    const end = nul < 0 ? section.length : nul;
    // Most strings describe parameters: they need not become text.
    if (FIRST_LETTERS.includes(section[start]!)) {
      const text = byteTextOf(section.subarray(start, end));
      const equals = text.indexOf('=');
      // A key alone has the empty value.
      const key = equals < 0 ? text : text.slice(0, equals);
      lists.get(key)?.push(equals < 0 ? '' : text.slice(equals + 1));
    }
    start = end + 1;
  }
  return { aliases, softdeps, weakdeps };
}

const FIRST_LETTERS = ['alias', 'softdep', 'weakdep'].map((key) => key.charCodeAt(0));
