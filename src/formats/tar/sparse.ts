/** Sparse file maps: old GNU (in the header), PAX 0.0 and 0.1 (in records), PAX 1.0 (before the data). GNU tar manual, "Storing Sparse Files". */
import { invalid } from '../../errors.ts';
import { decodeNumber } from './block.ts';

/** A stored part of a sparse file: `length` bytes that stand at `at` in the file. */
export interface SparsePart {
  readonly at: number;
  readonly length: number;
}

/** Offset 12 and length 12 bytes. */
const PAIR_SIZE = 24;

export interface OldMapLayout {
  readonly pairs: number;
  readonly count: number;
  readonly extended: number;
}

/** Where the old GNU map stands: four pairs in the header, 21 in each following block, and the flag that another block follows. */
export const OLD_HEADER: OldMapLayout = { pairs: 386, count: 4, extended: 482 };
export const OLD_BLOCK: OldMapLayout = { pairs: 0, count: 21, extended: 504 };
/** Bytes of the file, 12 bytes wide. */
export const OLD_REAL_SIZE = 483;

/** Pairs of one old GNU header or extension block; the list ends at the first pair that is all NUL. */
export function decodeOldPairs(block: Uint8Array, layout: OldMapLayout): SparsePart[] {
  const parts: SparsePart[] = [];
  for (let index = 0; index < layout.count; index++) {
    const offset = layout.pairs + index * PAIR_SIZE;
    if (block[offset] === 0) break;
    const at = decodeNumber(block, offset, 12, 'sparse map');
    parts.push({ at, length: decodeNumber(block, offset + 12, 12, 'sparse map') });
  }
  return parts;
}

/** The comma-separated map of PAX 0.1, which is also what the repeated records of 0.0 amount to. */
export function parseMap(numbers: readonly string[]): SparsePart[] {
  if (numbers.length % 2 !== 0) throw invalid(`tar sparse map: ${numbers.length} numbers, want pairs`);
  const parts: SparsePart[] = [];
  for (let index = 0; index < numbers.length; index += 2) {
    parts.push({ at: wholeNumber(numbers[index]!), length: wholeNumber(numbers[index + 1]!) });
  }
  return parts;
}

/**
 * Checks that the parts ascend without overlap inside `realSize` and add up to `stored` bytes; drops empty ones.
 * Throws `invalid-input`.
 */
export function checkedParts(parts: readonly SparsePart[], realSize: number, stored: number): SparsePart[] {
  let position = 0;
  let sum = 0;
  for (const { at, length } of parts) {
    if (at < position || length < 0 || at + length > realSize) {
      throw invalid(`tar sparse map: part ${at}+${length} overlaps or leaves the ${realSize} bytes of the file`);
    }
    position = at + length;
    sum += length;
  }
  if (sum !== stored) throw invalid(`tar sparse map: parts of ${sum} bytes in all, stored are ${stored}`);
  return parts.filter(({ length }) => length > 0);
}

/** Unsigned decimal up to 2^53-1. */
export function wholeNumber(text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw invalid(`tar sparse map: "${text.slice(0, 40)}", want a decimal number`);
  return value;
}

/** Reads a PAX 1.0 map: decimal lines, first the count of pairs, padded to whole blocks. Feed it block by block. */
export interface MapReader {
  /** True when the map is complete. */
  push(block: Uint8Array): boolean;
  parts(): SparsePart[];
}

/** `maxParts` bounds the count the archive may claim. */
export function mapReader(maxParts: number): MapReader {
  const numbers: number[] = [];
  let digits = '';
  let wanted: number | undefined;
  return {
    push(block) {
      for (const byte of block) {
        if (byte !== 0x0a) {
          digits += String.fromCharCode(byte);
          if (digits.length > 16) throw invalid(`tar sparse map: "${digits}", want a decimal number`);
          continue;
        }
        numbers.push(wholeNumber(digits));
        digits = '';
        if (wanted === undefined) {
          if (numbers[0]! > maxParts) throw invalid(`tar sparse map: ${numbers[0]} parts, want at most ${maxParts}`);
          wanted = 1 + numbers[0]! * 2;
        }
        if (numbers.length === wanted) return true;
      }
      return false;
    },
    parts() {
      return Array.from({ length: (numbers.length - 1) / 2 }, (_, index) => {
        return { at: numbers[1 + index * 2]!, length: numbers[2 + index * 2]! };
      });
    },
  };
}
