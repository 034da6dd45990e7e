/** `--overlay-option`: one mapping from `KEY=VALUE`, `KEY=@FILE` and `@FILE`, in order (spec profiles-and-inputs 8.3). */
import type { Files } from '../platform/types.ts';
import { parseOverlayOptions } from '../profiles/parse.ts';
import { entriesOf, type YamlMapping, type YamlValue } from '../yaml/value.ts';
import { decodeText } from './text-input.ts';

const OPTION_FILE_LIMIT = 1 << 20;

/** Later options win by key. Throws `io` for files and `invalid-input` for what is no text, and YAML that is no mapping. */
export async function readOverlayOptions(options: readonly string[], files: Files): Promise<YamlMapping> {
  const merged = new Map<string, YamlValue>();
  const textOf = async (path: string): Promise<string> => decodeText(await files.read(path, OPTION_FILE_LIMIT), path);
  for (const option of options) {
    if (option.startsWith('@')) {
      const path = option.slice(1);
      for (const [key, value] of entriesOf(parseOverlayOptions(await textOf(path), path)))
        merged.set(String(key), value);
      continue;
    }
    const cut = option.indexOf('=');
    const key = cut < 0 ? option : option.slice(0, cut);
    const value = cut < 0 ? '' : option.slice(cut + 1);
    merged.set(key, value.startsWith('@') ? await textOf(value.slice(1)) : value);
  }
  return Object.fromEntries(merged);
}
