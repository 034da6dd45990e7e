/** The outer form of keys and certificates. Their content is not looked into, and never shown. */
import { isBase64 } from '../../../yaml/base64.ts';

/** Standard base64 of 32 bytes, padded: keys of WireGuard, the secret of discovery. */
export function isKey32(text: string): boolean {
  return text.length === 44 && text.endsWith('=') && !text.endsWith('==') && isBase64(text);
}

/** A PEM block whose label contains `word`: the first one that has an end. */
export function isPem(text: string, word: string): boolean {
  const lastEnds = new Map<string, number>();
  for (const { 1: label = '', index } of text.matchAll(/\n-----END ([A-Z0-9 ]+)-----/g)) lastEnds.set(label, index);
  for (const begin of text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----[ \t]*\r?\n/g)) {
    const label = begin[1]!;
    const start = begin.index + begin[0].length;
    if ((lastEnds.get(label) ?? -1) < start) continue;
    const body = text.slice(start, text.indexOf(`\n-----END ${label}-----`, start));
    return label.includes(word) && isBase64(withoutHeaders(body).replaceAll(/\s/g, ''));
  }
  return false;
}

/** Lines of a name and a value (RFC 1421, 4.4) with an empty line behind them; a body without that line is returned whole. */
function withoutHeaders(body: string): string {
  const header = /[A-Za-z-]+:.*\r?\n/y;
  let end = 0;
  while (header.test(body)) end = header.lastIndex;
  const blank = /\r?\n/y;
  blank.lastIndex = end;
  return end > 0 && blank.test(body) ? body.slice(blank.lastIndex) : body;
}
