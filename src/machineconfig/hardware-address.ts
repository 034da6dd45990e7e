/** Hardware (MAC) addresses as the node's decoder reads them, and stricter. */
import type { Mistake } from './address.ts';

/** Bytes of Ethernet and of EUI-64 addresses, and of InfiniBand's. */
const LENGTHS: readonly number[] = [6, 8, 20];

/**
 * Hexadecimal pairs, with or without `:`. Upstream drops every colon first, so `2:0:0:0:0:1` becomes 20:00:01 without a
 * word; here each group must be a pair and the whole as long as some kind of link has it.
 */
export function parseHardwareAddress(text: string): { readonly bytes: readonly number[] } | Mistake {
  const digits = text.replaceAll(':', '');
  const stray = /[^0-9a-fA-F]/.exec(digits)?.[0];
  if (stray !== undefined) return { mistake: `unexpected "${stray}"` };
  if (digits.length % 2 !== 0) return { mistake: 'an odd number of digits' };
  if (text.includes(':') && !text.split(':').every((group) => group.length === 2)) {
    return { mistake: `groups that are not pairs, read as ${pairs(digits)}` };
  }
  const bytes = pairs(digits)
    .split(':')
    .map((pair) => Number.parseInt(pair, 16));
  if (digits === '' || !LENGTHS.includes(bytes.length)) return { mistake: `${digits.length / 2} bytes` };
  return { bytes };
}

/** What upstream makes of the text, or `undefined` where it refuses. */
export function lenientHardwareAddress(text: string): string | undefined {
  const digits = text.replaceAll(':', '');
  return digits.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(digits) ? pairs(digits) : undefined;
}

function pairs(digits: string): string {
  return digits.toLowerCase().replaceAll(/(..)(?=.)/g, '$1:');
}
