/** Fixed-layout fields in memory: what the on-disk structures of `formats/` are written with. Byte order is always said. */
import { invalid } from '../errors.ts';

/** A zeroed structure of `size` bytes and its view. */
export function structure(size: number): { readonly data: Uint8Array; readonly view: DataView } {
  const data = new Uint8Array(size);
  return { data, view: new DataView(data.buffer) };
}

export function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

/** Writes 7-bit text at `offset`; throws `invalid-input` when it has other characters or is longer than `width`. */
export function putAscii(data: Uint8Array, offset: number, width: number, text: string, fill = 0): void {
  if (text.length > width) throw invalid(`text "${text}": ${text.length} characters, want at most ${width}`);
  for (let index = 0; index < width; index++) {
    const code = index < text.length ? text.charCodeAt(index) : fill;
    if (code > 0x7f) throw invalid(`text "${text}": want ASCII only`);
    data[offset + index] = code;
  }
}

/** UTF-16LE; what is left of `width` bytes stays as it is. Throws `invalid-input` for text that does not fit. */
export function putUtf16le(data: Uint8Array, offset: number, width: number, text: string): void {
  if (text.length * 2 > width) throw invalid(`text "${text}": ${text.length} code units, want at most ${width / 2}`);
  const view = viewOf(data);
  for (let index = 0; index < text.length; index++) view.setUint16(offset + index * 2, text.charCodeAt(index), true);
}

/** Unsigned 64-bit field from a safe integer. */
export function putU64(view: DataView, offset: number, value: number | bigint, littleEndian: boolean): void {
  view.setBigUint64(offset, BigInt(value), littleEndian);
}

/** Unsigned 64-bit field as a number; throws `invalid-input` above 2^53-1. */
export function getU64(view: DataView, offset: number, littleEndian: boolean): number {
  const value = view.getBigUint64(offset, littleEndian);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`64-bit field at ${offset}: ${value} is too large`);
  return Number(value);
}

export function joinMemory(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}

export function toHex(data: Uint8Array): string {
  let text = '';
  for (const byte of data) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** Throws `invalid-input` unless the text is pairs of hexadecimal digits. */
export function fromHex(text: string): Uint8Array {
  if (!/^([0-9a-fA-F]{2})*$/.test(text)) throw invalid(`"${text}": want hexadecimal digits in pairs`);
  const data = new Uint8Array(text.length / 2);
  for (let index = 0; index < data.length; index++)
    data[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16);
  return data;
}
