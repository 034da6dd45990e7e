/**
 * gzip members (RFC 1952) of META values, in memory. The deflate coder is the pure JavaScript port, not the platform's zlib: Node releases
 * ship different ones, and the same values must give the same command line everywhere.
 */
import { deflateRaw, Z_NO_FLUSH, Z_OK, Z_STREAM_END, ZStream, zlibInflate, zlibInflateInit2 } from 'pako';
import { crc32 } from '../bytes/crc32.ts';
import { joinMemory, structure, viewOf } from '../bytes/field.ts';
import { invalid } from '../errors.ts';

/** As Go writes it: no flags, no time, XFL 2 (best compression), OS 255 (unknown). */
const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff);
const HEADER_SIZE = 10;
const TRAILER_SIZE = 8;

const FLAG = { headerCrc: 0x02, extra: 0x04, name: 0x08, comment: 0x10 } as const;

/** Longest name or comment Go's reader takes, terminator included. */
const TEXT_LIMIT = 512;

const OUTPUT_CHUNK = 1 << 16;

/** One member, level 9. */
export function encodeGzip(data: Uint8Array): Uint8Array {
  const trailer = structure(TRAILER_SIZE);
  trailer.view.setUint32(0, crc32(data), true);
  trailer.view.setUint32(4, data.length >>> 0, true);
  return joinMemory([
    HEADER,
    deflateRaw(data, { level: 9, legacyHash: true, ...tablesFor(data.length) }),
    trailer.data,
  ]);
}

/**
 * A text of a page or two needs no tables for one of megabytes, which take longer to clear than it takes to compress. The bytes are the same as long as the
 * window holds all of the text with 262 bytes of look-ahead, a block all its symbols, and no more places share a hash than level 9 looks at, 4096.
 */
function tablesFor(length: number): { readonly windowBits?: number; readonly memLevel?: number } {
  return length + 262 <= 1 << 12 ? { windowBits: 12, memLevel: 6 } : {};
}

/**
 * All members, one after the other, nothing behind them. Throws `invalid-input` naming `what` for damage and for more than `limit` bytes.
 */
export function decodeGzip(data: Uint8Array, what: string, limit: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let total = 0;
  let position = 0;
  do {
    const member = inflateMember(data, skipHeader(data, position, what), what, limit - total);
    checkTrailer(data, member.end, member.content, what);
    parts.push(member.content);
    total += member.content.length;
    position = member.end + TRAILER_SIZE;
  } while (position < data.length);
  return joinMemory(parts);
}

/** Where the deflate stream begins. */
function skipHeader(data: Uint8Array, start: number, what: string): number {
  if (start + HEADER_SIZE > data.length) throw truncated(what);
  if (data[start] !== 0x1f || data[start + 1] !== 0x8b || data[start + 2] !== 8) {
    throw invalid(`${what}: no gzip header at byte ${start}`);
  }
  const flags = data[start + 3]!;
  let position = start + HEADER_SIZE;
  if (flags & FLAG.extra) {
    if (position + 2 > data.length) throw truncated(what);
    position += 2 + viewOf(data).getUint16(position, true);
  }
  if (flags & FLAG.name) position = skipText(data, position, what);
  if (flags & FLAG.comment) position = skipText(data, position, what);
  if (flags & FLAG.headerCrc) {
    if (position + 2 > data.length) throw truncated(what);
    const want = crc32(data.subarray(start, position)) & 0xffff;
    if (viewOf(data).getUint16(position, true) !== want) throw invalid(`${what}: gzip header checksum is wrong`);
    position += 2;
  }
  if (position > data.length) throw truncated(what);
  return position;
}

function skipText(data: Uint8Array, start: number, what: string): number {
  for (let position = start; position < start + TEXT_LIMIT; position++) {
    if (position >= data.length) throw truncated(what);
    if (data[position] === 0) return position + 1;
  }
  throw invalid(`${what}: gzip header text longer than ${TEXT_LIMIT} bytes`);
}

function inflateMember(
  data: Uint8Array,
  start: number,
  what: string,
  limit: number,
): { readonly content: Uint8Array; readonly end: number } {
  const stream = new ZStream();
  // A negative window size asks for deflate without wrapper.
  zlibInflateInit2(stream, -15);
  stream.input = data;
  stream.next_in = start;
  stream.avail_in = data.length - start;
  const parts: Uint8Array[] = [];
  for (let total = 0; ; ) {
    stream.output = new Uint8Array(OUTPUT_CHUNK);
    stream.next_out = 0;
    stream.avail_out = OUTPUT_CHUNK;
    const status = zlibInflate(stream, Z_NO_FLUSH);
    total += stream.next_out;
    if (total > limit) throw invalid(`${what}: more than ${limit} bytes when decompressed`);
    parts.push(stream.output.subarray(0, stream.next_out));
    if (status === Z_STREAM_END) return { content: joinMemory(parts), end: stream.next_in };
    if (stream.avail_in === 0 && stream.avail_out > 0) throw truncated(what);
    if (status !== Z_OK) throw invalid(`${what}: damaged gzip data (${stream.msg || 'no progress'})`);
  }
}

function checkTrailer(data: Uint8Array, at: number, content: Uint8Array, what: string): void {
  if (at + TRAILER_SIZE > data.length) throw truncated(what);
  const view = viewOf(data);
  if (view.getUint32(at, true) !== crc32(content) || view.getUint32(at + 4, true) !== content.length >>> 0) {
    throw invalid(`${what}: gzip checksum or length is wrong`);
  }
}

function truncated(what: string): Error {
  return invalid(`${what}: gzip data ends too early`);
}
