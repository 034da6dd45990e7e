/**
 * The blocks of a zstd frame that can be written down without compressing anything (RFC 8878 section 3.1.1.2): bytes as they are, runs of one
 * byte, and blocks that only repeat what the frame has brought before.
 */
import { type Bytes, concat, ofMemory, slice } from '../../bytes/bytes.ts';
import { joinMemory } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';

/** Block_Maximum_Size of every window that is at least as large: 128 KiB. */
export const MAX_BLOCK = 0x20000;

/** What stock decoders (`zstd -d`, ZSTD_WINDOWLOG_LIMIT_DEFAULT) take without being asked: 128 MiB. */
export const MAX_WINDOW: number = 1 << 27;

/** The shortest match a sequence can express. */
export const MIN_MATCH = 3;

const RAW = 0;
const RUN = 1;
const COMPRESSED = 2;

/** Ends a frame: empty, so that no block before it needs to know that it is the last one with content. */
export const LAST_BLOCK: Bytes = ofMemory(header(RAW, 0, true));

const WHOLE_RAW: Bytes = ofMemory(header(RAW, MAX_BLOCK));

/** 24 bits, little-endian: the last block of the frame, its type, its size. */
function header(type: number, size: number, isLast = false): Uint8Array {
  const field = (isLast ? 1 : 0) | (type << 1) | (size << 3);
  return Uint8Array.of(field & 0xff, (field >>> 8) & 0xff, field >>> 16);
}

/** Stored as it is, in as many blocks as it takes. */
export function rawBlocks(content: Bytes): Bytes {
  const parts: Bytes[] = [];
  for (let position = 0; position < content.size; position += MAX_BLOCK) {
    const end = Math.min(position + MAX_BLOCK, content.size);
    const isWhole = end - position === MAX_BLOCK;
    parts.push(isWhole ? WHOLE_RAW : ofMemory(header(RAW, end - position)), slice(content, position, end));
  }
  return concat(parts);
}

/** Four bytes stand for 128 KiB, and this many of them are one piece of memory used again and again: 2 GiB. */
const RUNS_PER_PAGE = 0x4000;
let page: Uint8Array | undefined;

/** `length` zeros: four bytes for each 128 KiB. */
export function zeroBlocks(length: number): Bytes {
  page ??= makePage();
  const parts: Bytes[] = [];
  let whole = Math.floor(length / MAX_BLOCK);
  for (; whole > 0; whole -= RUNS_PER_PAGE) parts.push(ofMemory(page.subarray(0, 4 * Math.min(whole, RUNS_PER_PAGE))));
  const rest = length % MAX_BLOCK;
  if (rest > 0) parts.push(ofMemory(Uint8Array.of(...header(RUN, rest), 0)));
  return concat(parts);
}

function makePage(): Uint8Array {
  return repeated(Uint8Array.of(...header(RUN, MAX_BLOCK), 0), RUNS_PER_PAGE);
}

/**
 * `length` bytes again that stand `distance` before, in blocks without literals and of one sequence each: at most 15 bytes for 128 KiB.
 * Each changes the frame's repeat offsets. Throws `invalid-input` below the shortest match and for a distance no window reaches.
 */
export function matchBlocks(distance: number, length: number): Bytes {
  if (length < MIN_MATCH || distance < 1 || distance > MAX_WINDOW) {
    throw invalid(`zstd match of ${length} bytes at distance ${distance}: want at least 3 bytes within 128 MiB`);
  }
  let whole = Math.floor(length / MAX_BLOCK);
  let rest = length % MAX_BLOCK;
  const last: Uint8Array[] = [];
  if (rest > 0 && rest < MIN_MATCH) {
    // Too short for a match of its own: it takes some bytes from the block before.
    whole--;
    last.push(matchBlock(distance, MAX_BLOCK + rest - MIN_MATCH));
    rest = MIN_MATCH;
  }
  if (rest > 0) last.push(matchBlock(distance, rest));
  const blocks = whole > 0 ? repeated(matchBlock(distance, MAX_BLOCK), whole) : new Uint8Array(0);
  return ofMemory(joinMemory([blocks, ...last]));
}

function repeated(data: Uint8Array, count: number): Uint8Array {
  const all = new Uint8Array(count * data.length);
  for (let offset = 0; offset < all.length; offset += data.length) all.set(data, offset);
  return all;
}

/** No literals (one byte), one sequence, all three symbol tables of the kind that holds a single symbol. */
const MATCH_START: readonly number[] = [0, 1, 0b01_01_01_00];
/** Offset values below this one mean the repeat offsets. */
const FIRST_OFFSET_VALUE = 4;

function matchBlock(distance: number, length: number): Uint8Array {
  const offsetValue = distance + FIRST_OFFSET_VALUE - 1;
  const { code, base, bits } = matchLengthCode(length);
  const symbols = [0, 31 - Math.clz32(offsetValue), code];
  // Read from its end: a 1 that marks the start, the offset's lower bits, then those of the length. The highest bit of the
  // offset value, which its code already tells, serves as the mark.
  let stream = offsetValue * 2 ** bits + (length - base);
  const bytes: number[] = [];
  for (; stream > 0; stream = Math.floor(stream / 256)) bytes.push(stream % 256);
  const content = [...MATCH_START, ...symbols, ...bytes];
  return Uint8Array.of(...header(COMPRESSED, content.length), ...content);
}

interface LengthCode {
  readonly code: number;
  /** The shortest length with this code. */
  readonly base: number;
  /** Extra bits. */
  readonly bits: number;
}

/** Bits of the match length codes from 32 on (RFC 8878 section 3.1.1.3.2.1.1, table 16); those below have none and stand for 3 to 34. */
const EXTRA_BITS: readonly number[] = [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const FIRST_EXTRA = 32;

function matchLengthCode(length: number): LengthCode {
  let base = FIRST_EXTRA + MIN_MATCH;
  if (length < base) return { code: length - MIN_MATCH, base: length, bits: 0 };
  for (const [index, bits] of EXTRA_BITS.entries()) {
    if (length < base + 2 ** bits) return { code: FIRST_EXTRA + index, base, bits };
    base += 2 ** bits;
  }
  throw invalid(`zstd match of ${length} bytes: want at most ${base - 1} in a block`);
}
