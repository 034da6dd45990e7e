/** What is built into the kernel, as its build says in `modules.builtin` and `modules.builtin.modinfo`. Source: kmod, tools/depmod.c. */
import { MAX_TEXT, moduleNameOf, normalizeAlias } from './module-name.ts';

/** Names of the modules; lines that begin with no letter are passed over. `text` is byte text. */
export function parseBuiltin(text: string): string[] {
  // With its end, which becomes part of a name that has no extension.
  const lines = text.split(/(?<=\n)/);
  return lines.filter((line) => /^[A-Za-z]/.test(line)).map(moduleNameOf);
}

export interface BuiltinAlias {
  readonly module: string;
  /** As the module says it. */
  readonly alias: string;
  /** `undefined` where brackets are not in pairs. */
  readonly normal: string | undefined;
}

/** From strings `MODULE.alias=ALIAS`, each with a NUL at its end; other keys are passed over. `text` is byte text. */
export function parseBuiltinAliases(text: string): BuiltinAlias[] {
  const aliases: BuiltinAlias[] = [];
  for (const record of text.split('\0').slice(0, -1)) {
    const dot = record.indexOf('.');
    const equals = record.indexOf('=', dot + 1);
    if (dot <= 0 || equals < 0 || record.slice(dot + 1, equals) !== 'alias') continue;
    const alias = record.slice(equals + 1);
    if (alias === '' || alias.length > MAX_TEXT || dot > MAX_TEXT) continue;
    aliases.push({ module: record.slice(0, dot), alias, normal: normalizeAlias(alias) });
  }
  return aliases;
}
