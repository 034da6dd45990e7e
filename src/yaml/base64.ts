/** What counts as base64 where nothing but the standard alphabet with its padding does (RFC 4648 section 4). */

/** Whole groups of four; the empty text is none of them, and counts. */
export function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}
