/** What makes a file a module, and what the module is called. Source: kmod, shared/util.c. */

const EXTENSIONS = ['.ko', '.ko.gz', '.ko.xz', '.ko.zst'] as const;

/** Longer texts are cut where kmod has a buffer for them (PATH_MAX, with the NUL). */
export const MAX_TEXT = 4095;

export function isModuleFile(name: string): boolean {
  return EXTENSIONS.some((extension) => name.length > extension.length && name.endsWith(extension));
}

/** Of the file at `path`: its name up to the first dot, dashes as underscores, as the kernel knows it. */
export function moduleNameOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.indexOf('.');
  return (dot < 0 ? name : name.slice(0, dot)).slice(0, MAX_TEXT).replaceAll('-', '_');
}

/** Dashes as underscores, but for those in brackets. `undefined` where brackets are not in pairs. */
export function normalizeAlias(alias: string): string | undefined {
  const text = alias.slice(0, MAX_TEXT);
  if (!text.includes('[') && !text.includes(']')) return text.replaceAll('-', '_');
  let normal = '';
  for (const part of text.split(/(\[[^\]]*\])/)) {
    if (part.startsWith('[') && part.endsWith(']')) normal += part;
    else if (part.includes('[') || part.includes(']')) return undefined;
    else normal += part.replaceAll('-', '_');
  }
  return normal;
}
