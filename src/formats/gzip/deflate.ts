/**
 * Stretches of a deflate stream (RFC 1951) that can be written down without compressing anything. Like the compressor's own stretches they refer
 * to nothing before them, begin and end on byte boundaries and are not final, so that any may follow any.
 */
import { type Bytes, concat, ofMemory, slice, zeros } from '../../bytes/bytes.ts';

/** The most a stored block holds: its length has 16 bits. */
const MAX_STORED = 0xffff;

/** Stored as it is: five bytes for each 64 KiB. */
export function storedBlocks(content: Bytes): Bytes {
  const parts: Bytes[] = [];
  for (let position = 0; position < content.size; position += MAX_STORED) {
    const end = Math.min(position + MAX_STORED, content.size);
    parts.push(ofMemory(storedHeader(end - position, false)), slice(content, position, end));
  }
  return concat(parts);
}

/** Ends a stream: a stored block without content, marked as the last. */
export const FINAL_BLOCK: Bytes = ofMemory(storedHeader(0, true));

/** Three bits of header and five to the byte boundary, the length, and its complement (section 3.2.4). */
function storedHeader(length: number, isFinal: boolean): Uint8Array {
  const [low, high] = [length & 0xff, length >>> 8];
  return Uint8Array.of(isFinal ? 1 : 0, low, high, low ^ 0xff, high ^ 0xff);
}

/**
 * A block with a code made for zeros: literal 0 is `10`, the match of 258 bytes `0`, its distance 1 `0`, and the end `11`. Two bits stand
 * for 258 bytes, the least deflate can say, and both are 0: the run comes out as zero bytes. As codes in the order they are read, with their bit counts.
 */
const ZEROS_HEADER: readonly (readonly [value: number, bits: number])[] = [
  // Not final, dynamic codes; 286 literal and length codes, 1 distance code, 18 code length codes.
  [0, 1],
  [2, 2],
  [286 - 257, 5],
  [0, 5],
  [18 - 4, 4],
  // Code length codes in their own order (section 3.2.7): 18 gets one bit, 2 and 1 two.
  ...[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2].map((length) => [length, 3] as const),
];
/** 18 repeats zero lengths (11 and more, 7 bits); Huffman codes are written highest bit first. */
const NONE = '0';
const LENGTH_1 = '10';
const LENGTH_2 = '11';
/** Literal 0, 255 unused, the end, 28 unused, length 258; distance 1. */
const ZEROS_CODES: readonly (string | readonly [number, number])[] = [
  LENGTH_2,
  NONE,
  [138 - 11, 7],
  NONE,
  [117 - 11, 7],
  LENGTH_2,
  NONE,
  [28 - 11, 7],
  LENGTH_1,
  LENGTH_1,
];
const LITERAL = '10';
const END = '11';
const MATCH_LENGTH = 258;
const MATCH_BITS = 2;

/** `length` zeros, at least one: two bits for each 258, and at most 100 bytes besides. */
export function zeroBlock(length: number): Bytes {
  const matches = Math.floor((length - 1) / MATCH_LENGTH);
  const writer = new BitWriter();
  for (const [value, bits] of ZEROS_HEADER) writer.number(value, bits);
  for (const code of ZEROS_CODES) {
    if (typeof code === 'string') writer.code(code);
    else writer.number(...code);
  }
  // The first zero, which the matches repeat, and what they leave over.
  for (let literals = length - matches * MATCH_LENGTH; literals > 0; literals--) writer.code(LITERAL);
  const matchBits = matches * MATCH_BITS;
  const toBoundary = Math.min(matchBits, writer.bitsToBoundary());
  writer.number(0, toBoundary);
  const start = writer.take();
  const rest = matchBits - toBoundary;
  writer.number(0, rest % 8);
  writer.code(END);
  // A stored block without content, for the byte boundary behind its three bits.
  writer.number(0, 3);
  writer.number(0, writer.bitsToBoundary());
  return concat([ofMemory(start), zeros(Math.floor(rest / 8)), ofMemory(writer.take()), ofMemory(EMPTY_LENGTH)]);
}

const EMPTY_LENGTH = Uint8Array.of(0, 0, 0xff, 0xff);

/** Bits in deflate's order: the lowest bit of a byte first. */
class BitWriter {
  #bytes: number[] = [];
  #bits = 0;
  #bitCount = 0;

  /** `value` in `bits` bits, lowest first. */
  number(value: number, bits: number): void {
    this.#bits |= value << this.#bitCount;
    this.#bitCount += bits;
    for (; this.#bitCount >= 8; this.#bitCount -= 8) {
      this.#bytes.push(this.#bits & 0xff);
      this.#bits >>>= 8;
    }
  }

  /** A Huffman code, as text of 0 and 1. */
  code(text: string): void {
    for (const digit of text) this.number(Number(digit), 1);
  }

  bitsToBoundary(): number {
    return (8 - this.#bitCount) % 8;
  }

  /** The whole bytes so far, which are then forgotten. */
  take(): Uint8Array {
    const bytes = Uint8Array.from(this.#bytes);
    this.#bytes = [];
    return bytes;
  }
}
