/** JSON as Go's encoding/json writes it: what a digest over a document depends on. */

/** Safe inside HTML, which is why Go escapes them; U+2028 and U+2029 end a line in old JavaScript. */
const ESCAPED = /[<>&\u2028\u2029]/g;

/** Compact. Members of objects keep their order; a `Map` is an object whose keys may be anything, numbers included, in its order. */
export function encodeGoJson(value: unknown): string {
  if (typeof value === 'string') return encodeText(value);
  if (Array.isArray(value)) return `[${value.map(encodeGoJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = value instanceof Map ? [...(value as Map<string, unknown>)] : Object.entries(value);
  return `{${entries.map(([key, one]) => `${encodeText(key)}:${encodeGoJson(one)}`).join(',')}}`;
}

function encodeText(text: string): string {
  return JSON.stringify(text.toWellFormed()).replace(
    ESCAPED,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
