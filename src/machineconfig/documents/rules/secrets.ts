/** The outer form of keys and certificates. Their content is not looked into, and never shown. */
import { isBase64 } from '../formats.ts';

/** Standard base64 of 32 bytes, padded: keys of WireGuard, the secret of discovery. */
export function isKey32(text: string): boolean {
  return text.length === 44 && text.endsWith('=') && !text.endsWith('==') && isBase64(text);
}

/** A PEM block whose label contains `word`. */
export function isPem(text: string, word: string): boolean {
  const match = /-----BEGIN ([A-Z0-9 ]+)-----[ \t]*\r?\n([\s\S]*?)\r?\n-----END \1-----/.exec(text);
  if (match === null || !match[1]!.includes(word)) return false;
  return isBase64(match[2]!.replace(/^(?:[A-Za-z-]+:.*\r?\n)+\r?\n/, '').replaceAll(/\s/g, ''));
}
