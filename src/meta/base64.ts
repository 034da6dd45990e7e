/** Base64 with the standard alphabet and padding (RFC 4648 section 4), as Go's `StdEncoding` reads and writes it. */
import { invalid } from '../errors.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const VALUES: ReadonlyMap<string, number> = new Map([...ALPHABET].map((character, index) => [character, index]));

/** One line, padded. */
export function encodeBase64(data: Uint8Array): string {
  const parts: string[] = [];
  for (let index = 0; index < data.length; index += 3) {
    const present = Math.min(3, data.length - index);
    const bits = (data[index]! << 16) | ((data[index + 1] ?? 0) << 8) | (data[index + 2] ?? 0);
    const group = [18, 12, 6, 0].map((shift) => ALPHABET[(bits >>> shift) & 63]!).join('');
    parts.push(group.slice(0, present + 1).padEnd(4, '='));
  }
  return parts.join('');
}

/**
 * Strict about alphabet, blanks and padding; carriage returns and line feeds are skipped and unused bits of the last
 * group ignored, because what reads this at boot does so. Throws `invalid-input` naming `what`.
 */
export function decodeBase64(text: string, what: string): Uint8Array {
  const packed = text.replace(/[\r\n]/g, '');
  const body = packed.replace(/={1,2}$/, '');
  if (packed.length % 4 !== 0 || body.length % 4 === 1) {
    throw invalid(`${what}: ${packed.length} base64 characters, want groups of four with "=" padding`);
  }
  const data = new Uint8Array(Math.floor((body.length * 3) / 4));
  let bits = 0;
  let position = 0;
  for (let index = 0; index < body.length; index++) {
    const value = VALUES.get(body[index]!);
    if (value === undefined) throw invalid(`${what}: ${JSON.stringify(body[index])} is no base64 character`);
    bits = ((bits << 6) | value) & 0xffffff;
    if (index % 4 > 0) data[position++] = (bits >>> (6 - 2 * (index % 4))) & 0xff;
  }
  return data;
}
