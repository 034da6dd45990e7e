/** DER (X.690): what certificates and signatures are written in. */
import { joinMemory } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';

export const TAG = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One value: tag, length, contents. */
export function encodeValue(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((sum, part) => sum + part.length, 0);
  return joinMemory([Uint8Array.of(tag, ...encodeLength(length)), ...contents]);
}

function encodeLength(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

export function sequence(...members: readonly Uint8Array[]): Uint8Array {
  return encodeValue(TAG.sequence, ...members);
}

/** The members in the order given, which has to be that of their encodings. */
export function set(...members: readonly Uint8Array[]): Uint8Array {
  return encodeValue(TAG.set, ...members);
}

/** `[number]` around whole values. */
export function explicit(number: number, ...values: readonly Uint8Array[]): Uint8Array {
  return encodeValue(0xa0 | number, ...values);
}

/** A small one, 0..127. */
export function smallInteger(value: number): Uint8Array {
  return encodeValue(TAG.integer, Uint8Array.of(value));
}

export function octetString(contents: Uint8Array): Uint8Array {
  return encodeValue(TAG.octetString, contents);
}

export const NULL: Uint8Array = encodeValue(TAG.null);

/** From dotted text: `1.2.840.113549.1.7.2`. */
export function objectIdentifier(text: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  return encodeValue(TAG.objectIdentifier, Uint8Array.from([first * 40 + second, ...rest].flatMap(base128)));
}

function base128(value: number): number[] {
  const bytes = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift((rest % 128) | 0x80);
  return bytes;
}

/** `epoch` in seconds since 1970. Throws `invalid-input` outside 1950..2049, which is all the type can say. */
export function utcTime(epoch: number): Uint8Array {
  const text = new Date(epoch * 1000).toISOString();
  const year = Number(text.slice(0, 4));
  if (year < 1950 || year > 2049) throw invalid(`time ${text}: want a year that a signature can name, 1950..2049`);
  return encodeValue(TAG.utcTime, new TextEncoder().encode(`${text.slice(2, 19).replace(/[-:T]/g, '')}Z`));
}
