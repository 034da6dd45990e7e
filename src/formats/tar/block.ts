/**
 * The 512-byte tar block and its fields (POSIX.1-2024 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format").
 * Numbers are octal text or, in the GNU form, base-256 big-endian with the high bit of the first byte set.
 */
import { invalid } from '../../errors.ts';

export const BLOCK_SIZE = 512;

export type FieldName =
  | 'name'
  | 'mode'
  | 'uid'
  | 'gid'
  | 'size'
  | 'mtime'
  | 'checksum'
  | 'linkName'
  | 'major'
  | 'minor'
  | 'prefix';

/** Offset and width in bytes of each header field. */
export const FIELDS: Readonly<Record<FieldName, readonly [number, number]>> = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  linkName: [157, 100],
  major: [329, 8],
  minor: [337, 8],
  prefix: [345, 155],
};

export const TYPE_OFFSET = 156;
export const MAGIC_OFFSET = 257;

export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/** Sum of all bytes with the checksum field as blanks. `signed`: bytes as -128..127, which old writers used. */
export function checksumOf(block: Uint8Array, signed = false): number {
  const [start, width] = FIELDS.checksum;
  let sum = width * 0x20;
  for (let index = 0; index < BLOCK_SIZE; index++) {
    if (index >= start && index < start + width) continue;
    const byte = block[index]!;
    sum += signed && byte > 127 ? byte - 256 : byte;
  }
  return sum;
}

/** Whether the stored sum is that of the block; what is no number is no sum. */
export function hasRightChecksum(block: Uint8Array): boolean {
  const [offset, width] = FIELDS.checksum;
  let stored: number;
  try {
    stored = decodeNumber(block, offset, width, 'checksum');
  } catch {
    return false;
  }
  return stored === checksumOf(block) || stored === checksumOf(block, true);
}

/** The bytes of a field up to its first NUL. */
export function fieldText(block: Uint8Array, offset: number, width: number): Uint8Array {
  const field = block.subarray(offset, offset + width);
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

/**
 * A number field: octal with blanks or NULs around it (nothing at all is 0), or base-256. Throws `invalid-input` for any other
 * character and outside ±(2^53-1); `what` names the field.
 */
export function decodeNumber(block: Uint8Array, offset: number, width: number, what: string): number {
  return block[offset]! & 0x80 ? decodeBase256(block, offset, width, what) : decodeOctal(block, offset, width, what);
}

function decodeOctal(block: Uint8Array, offset: number, width: number, what: string): number {
  let index = offset;
  let end = offset + width;
  while (index < end && isBlank(block[index]!)) index++;
  while (end > index && isBlank(block[end - 1]!)) end--;
  let value = 0;
  for (; index < end; index++) {
    const digit = block[index]! - 0x30;
    if (digit < 0 || digit > 7) {
      // Some writers end a number with NUL and leave what was in the buffer behind it.
      if (block[index] === 0) break;
      throw invalid(`tar ${what}: byte 0x${block[index]!.toString(16)} in a number, want octal digits`);
    }
    value = value * 8 + digit;
  }
  return value;
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0;
}

function decodeBase256(block: Uint8Array, offset: number, width: number, what: string): number {
  // 0x80 in front is the marker; bit 0x40 the sign of a two's complement number.
  const negative = (block[offset]! & 0x40) !== 0;
  const flip = negative ? 0xff : 0;
  let value = 0;
  for (let index = 0; index < width; index++) {
    const byte = block[offset + index]! ^ flip;
    value = value * 256 + (index === 0 ? byte & 0x7f : byte);
    if (value > Number.MAX_SAFE_INTEGER) throw invalid(`tar ${what}: want a number within ±(2^53-1)`);
  }
  return negative ? -value - 1 : value;
}
