/** `--overlay-option`: one mapping from `KEY=VALUE`, `KEY=@FILE` and `@FILE`, in order (spec profiles-and-inputs 8.3). */
import type { Files } from '../platform/types.ts';
import { errorAt, type Problem, problemsError } from '../yaml/diagnostic.ts';
import { readFirstDocument, type YamlNode } from '../yaml/document.ts';
import { entriesOf, isMapping, nodeValue, type YamlMapping, type YamlValue } from '../yaml/value.ts';

const OPTION_FILE_LIMIT = 1 << 20;

/** Later options win by key. Throws `io` for files and `invalid-input` for YAML that is no mapping. */
export async function readOverlayOptions(options: readonly string[], files: Files): Promise<YamlMapping> {
  const merged = new Map<string, YamlValue>();
  const textOf = async (path: string): Promise<string> =>
    new TextDecoder().decode(await files.read(path, OPTION_FILE_LIMIT));
  for (const option of options) {
    if (option.startsWith('@')) {
      const path = option.slice(1);
      for (const [key, value] of entriesOf(parseMapping(await textOf(path), path))) merged.set(String(key), value);
      continue;
    }
    const cut = option.indexOf('=');
    const key = cut < 0 ? option : option.slice(0, cut);
    const value = cut < 0 ? '' : option.slice(cut + 1);
    merged.set(key, value.startsWith('@') ? await textOf(value.slice(1)) : value);
  }
  return Object.fromEntries(merged);
}

function parseMapping(text: string, file: string): YamlMapping {
  const { source, document, problems } = readFirstDocument(text, { file });
  if (problems.length > 0) throw problemsError(source, problems);
  if (document?.kind !== 'mapping') {
    const place = document ?? { position: { line: 1, column: 1 } };
    throw errorAt(source, { position: place.position, message: 'overlay options: want a mapping of names to values' });
  }
  const found: Problem[] = [];
  const refuse = (node: YamlNode, message: string): void =>
    void found.push({ severity: 'error', position: node.position, message });
  const value = nodeValue(document, refuse);
  if (found.length > 0 || !isMapping(value)) throw problemsError(source, found);
  return value;
}
