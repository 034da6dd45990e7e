/**
 * Byte strings as text of one character a byte: what module files hold has no encoding, and kmod compares, hashes and cuts it as bytes.
 */

const ASCII = new TextDecoder('latin1');
/** Arguments of one call: more could exceed the stack. */
const PIECE = 4096;

export function byteTextOf(data: Uint8Array): string {
  // The platform's decoder is fast, but "latin1" is windows-1252 to it, which differs from 0x80 on.
  if (isAscii(data)) return ASCII.decode(data);
  let text = '';
  for (let at = 0; at < data.length; at += PIECE) text += String.fromCharCode(...data.subarray(at, at + PIECE));
  return text;
}

export function bytesOf(text: string): Uint8Array {
  const utf8 = new TextEncoder().encode(text);
  // Longer only where there are characters above ASCII; the encoder is many times as fast as a loop.
  if (utf8.length === text.length) return utf8;
  const data = new Uint8Array(text.length);
  putByteText(data, 0, text);
  return data;
}

/** Writes `text` at `offset`, where there must be room. */
export function putByteText(data: Uint8Array, offset: number, text: string): void {
  for (let index = 0; index < text.length; index++) data[offset + index] = text.charCodeAt(index);
}

/** The UTF-8 bytes of a path. */
export function byteTextOfPath(path: string): string {
  for (let index = 0; index < path.length; index++) {
    if (path.charCodeAt(index) > 0x7f) return byteTextOf(new TextEncoder().encode(path));
  }
  return path;
}

function isAscii(data: Uint8Array): boolean {
  for (let index = 0; index < data.length; index++) if (data[index]! > 0x7f) return false;
  return true;
}
