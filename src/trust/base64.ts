/** Bytes in and out of base64, for libraries that speak Node's Buffer. */
import { invalid } from '../errors.ts';
import { isBase64 } from '../yaml/base64.ts';

/** The standard alphabet with its padding and nothing else (RFC 4648 section 4). Throws `invalid-input` naming `what`. */
export function decodeBase64(text: string, what: string): Buffer {
  if (!isBase64(text)) throw invalid(`${what}: want base64 of the standard alphabet, padded`);
  return Buffer.from(text, 'base64');
}

export function encodeBase64(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('base64');
}

/** The same memory; the libraries of this folder take nothing else. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
