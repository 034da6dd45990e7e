/** JSON values, and names made of them: the same for equal values. */
import { sha256 } from '@noble/hashes/sha2.js';
import { toHex } from '../bytes/field.ts';

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** `sha256:<hex>` of text as UTF-8. */
export function digestOfText(text: string): string {
  return `sha256:${hexOfText(text)}`;
}

/** `urn:uuid` without the `urn:uuid:`, version 8 (RFC 9562, 5.8): derived from content, so that equal content has an equal name. */
export function uuidOfText(text: string): string {
  const hex = hexOfText(text);
  const variant = ((Number.parseInt(hex[16]!, 16) & 0x3) | 0x8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}

function hexOfText(text: string): string {
  return toHex(sha256(new TextEncoder().encode(text)));
}
