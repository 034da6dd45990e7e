/** Reading DER as far as certificates and keys need it: values and what is in them. */
import { invalid } from '../../errors.ts';

export interface DerValue {
  readonly tag: number;
  /** Tag, length and contents. */
  readonly whole: Uint8Array;
  readonly contents: Uint8Array;
}

/** The values one after the other. Throws `invalid-input` naming `what` for lengths that pass the end or are not the shortest. */
export function decodeValues(data: Uint8Array, what: string): DerValue[] {
  const values: DerValue[] = [];
  for (let at = 0; at < data.length; ) {
    const value = decodeValue(data, at, what);
    values.push(value);
    at += value.whole.length;
  }
  return values;
}

function decodeValue(data: Uint8Array, at: number, what: string): DerValue {
  const tag = data[at] ?? 0;
  if ((tag & 0x1f) === 0x1f) throw invalid(`${what}: a tag of several bytes at ${at}`);
  const { length, start } = decodeLength(data, at + 1, what);
  if (start + length > data.length) throw invalid(`${what}: a value at ${at} passes the end`);
  return { tag, whole: data.subarray(at, start + length), contents: data.subarray(start, start + length) };
}

function decodeLength(data: Uint8Array, at: number, what: string): { readonly length: number; readonly start: number } {
  const first = data[at];
  if (first === undefined) throw invalid(`${what}: ends in a length`);
  if (first < 0x80) return { length: first, start: at + 1 };
  const count = first & 0x7f;
  const bytes = data.subarray(at + 1, at + 1 + count);
  if (count === 0 || count > 4 || bytes.length < count) throw invalid(`${what}: a length of ${count} bytes at ${at}`);
  const length = bytes.reduce((value, byte) => value * 256 + byte, 0);
  if (length < 0x80 || bytes[0] === 0) throw invalid(`${what}: a length at ${at} that is not the shortest`);
  return { length, start: at + 1 + count };
}
