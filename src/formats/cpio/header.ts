/**
 * The `newc` member header, 110 bytes of ASCII: magic and thirteen numbers of eight hexadecimal digits. Source: Linux,
 * Documentation/driver-api/early-userspace/buffer-format.rst; GNU cpio for what that leaves open.
 */
import { invalid } from '../../errors.ts';

/** Bytes. */
export const HEADER_SIZE = 110;
/** Names and data begin, and end, at multiples of this from the start of the archive, bytes. */
export const ALIGNMENT = 4;
/** The member that ends an archive. */
export const TRAILER = 'TRAILER!!!';
/** Linux reads no longer names and link targets, their NUL included (PATH_MAX). */
export const MAX_NAME = 4096;

/** In the order of the header; each 0..2^32-1. */
const FIELDS = [
  'inode',
  'mode',
  'uid',
  'gid',
  'links',
  'mtime',
  'size',
  'deviceMajor',
  'deviceMinor',
  'major',
  'minor',
  'nameSize',
  'checksum',
] as const;

export interface CpioHeader {
  readonly inode: number;
  /** With the type bits of `stat`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** How many names the file has: what makes readers look for an earlier one with the same inode. */
  readonly links: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** Of the data, bytes. */
  readonly size: number;
  /** Of the file system the file came from. */
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Of the device the file is. */
  readonly major: number;
  readonly minor: number;
  /** With the NUL at its end, bytes. */
  readonly nameSize: number;
  /** Sum of the data's bytes in the `070702` form, else 0. */
  readonly checksum: number;
}

/** Upper-case digits, as GNU cpio writes. `what` names the member where a number does not fit its field: `invalid-input`. */
export function encodeHeader(header: CpioHeader, what: string): Uint8Array {
  let text = '070701';
  for (const field of FIELDS) {
    const value = header[field];
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
      throw invalid(`cpio member "${what}": ${field} ${value}, want 0..4294967295`);
    }
    text += value.toString(16).toUpperCase().padStart(8, '0');
  }
  return new TextEncoder().encode(text);
}

/** Whether a member header, of either form, begins here. */
export function isHeader(data: Uint8Array): boolean {
  const magic = String.fromCharCode(...data.subarray(0, 6));
  return magic === '070701' || magic === '070702';
}

/** `at` is the header's position, for messages. Throws `invalid-input`. */
export function decodeHeader(data: Uint8Array, at: number): CpioHeader {
  if (!isHeader(data)) throw invalid(`cpio archive: no member at ${at}, want one or a ${TRAILER} before the end`);
  const header: Partial<Record<(typeof FIELDS)[number], number>> = {};
  for (const [index, field] of FIELDS.entries()) {
    const text = String.fromCharCode(...data.subarray(6 + index * 8, 14 + index * 8));
    if (!/^[0-9a-fA-F]{8}$/.test(text)) {
      throw invalid(`cpio archive: ${field} ${JSON.stringify(text)} at ${at}, want eight hexadecimal digits`);
    }
    header[field] = Number.parseInt(text, 16);
  }
  return header as CpioHeader;
}
