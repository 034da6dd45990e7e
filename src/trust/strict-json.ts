/** JSON that means one thing to every reader: what was signed must not be read in two ways. */
import { invalid } from '../errors.ts';

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gs;

/**
 * The value of `raw`: one JSON text in UTF-8, without a byte order mark. Throws `invalid-input` naming `what` for anything else, for a second
 * value behind the first, and for an object that has a key twice: parsers differ in which of the two they take.
 */
export function parseStrictJson(raw: Uint8Array | string, what: string): unknown {
  let text: string;
  let value: unknown;
  try {
    text = typeof raw === 'string' ? raw : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(`${what}: not one JSON text in UTF-8`, { cause });
  }
  const twice = repeatedKey(text);
  if (twice !== undefined) throw invalid(`${what}: key ${JSON.stringify(twice.slice(0, 100))} twice in one object`);
  return value;
}

/** Of a text that is valid JSON. */
function repeatedKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let lastText: string | undefined;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (token.startsWith('"')) lastText = token;
    else if (token === ':') {
      const key: string = JSON.parse(lastText ?? '""');
      const keys = open.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}

/** As an object, or `invalid-input` naming `what`. */
export function asObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${what}: want an object`);
  return value as Record<string, unknown>;
}

/** As a text, or `invalid-input` naming `what`. */
export function asText(value: unknown, what: string): string {
  if (typeof value !== 'string') throw invalid(`${what}: want a text`);
  return value;
}
