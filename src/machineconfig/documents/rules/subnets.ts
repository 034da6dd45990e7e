/** Questions about addresses and prefixes. */
import { type IpAddress, type IpPrefix, isMistake, parseAddress } from '../../address.ts';

export function isAddress(text: string): boolean {
  return !isMistake(parseAddress(text));
}

/** No bit is set behind the length. */
export function isMasked({ address, bits }: IpPrefix): boolean {
  return bitsOf(address)
    .slice(bits)
    .every((bit) => !bit);
}

/** By family, address and length: a prefix stands before what lies within it. */
export function comparePrefixes(a: IpPrefix, b: IpPrefix): number {
  const [left, right] = [a.address.bytes, b.address.bytes];
  const at = left.findIndex((byte, index) => byte !== right[index]);
  return left.length - right.length || (at < 0 ? a.bits - b.bits : left[at]! - right[at]!);
}

/** One lies within the other. */
export function overlap(a: IpPrefix, b: IpPrefix): boolean {
  if (a.address.bytes.length !== b.address.bytes.length) return false;
  const other = bitsOf(b.address);
  return bitsOf(a.address)
    .slice(0, Math.min(a.bits, b.bits))
    .every((bit, index) => bit === other[index]);
}

function bitsOf({ bytes }: IpAddress): readonly boolean[] {
  return bytes.flatMap((byte) => Array.from({ length: 8 }, (_, index) => (byte & (0x80 >> index)) !== 0));
}
