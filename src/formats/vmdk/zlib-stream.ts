/** Whole zlib streams (RFC 1950) in memory: when not to compress, and the stream of stored blocks for that case. */
import { isFlat } from '../byte-frequencies.ts';

/** Gives a zlib stream of all of `data`, the same one whenever asked. */
export type Deflate = (data: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** Longest stored block of deflate (RFC 1951 section 3.2.4). */
const BLOCK_LIMIT = 0xffff;
const BLOCK_HEADER_SIZE = 5;
/** Deflate with a window of 32 KiB, no dictionary, the lowest level: what stored blocks are. */
const STREAM_HEADER: readonly number[] = [0x78, 0x01];
const CHECKSUM_SIZE = 4;

/**
 * `data` as a zlib stream: compressed by `deflate`, or stored where that gains nothing. Most of a disk image is compressed already (kernel, initramfs,
 * extensions); finding that out from counts and a sample is an order of magnitude cheaper than trying.
 */
export async function zlibStream(data: Uint8Array, deflate: Deflate): Promise<Uint8Array> {
  const stored = storedSize(data.length);
  if (await seemsCompressed(data, deflate)) return storedStream(data);
  const compressed = await deflate(data);
  return compressed.length < stored ? compressed : storedStream(data);
}

const SAMPLE_SIZE = 4096;

/** Whether neither the frequencies of its bytes nor what a sample repeats leave anything to gain. */
async function seemsCompressed(data: Uint8Array, deflate: Deflate): Promise<boolean> {
  if (data.length < 2 * SAMPLE_SIZE || !isFlat(data)) return false;
  const middle = (data.length - SAMPLE_SIZE) >>> 1;
  const sample = data.subarray(middle, middle + SAMPLE_SIZE);
  return (await deflate(sample)).length >= SAMPLE_SIZE;
}

function storedSize(size: number): number {
  const blocks = Math.max(1, Math.ceil(size / BLOCK_LIMIT));
  return STREAM_HEADER.length + blocks * BLOCK_HEADER_SIZE + size + CHECKSUM_SIZE;
}

/** `data` in stored blocks: what any inflater reads, larger by 11 bytes and 5 for each further 64 KiB. */
export function storedStream(data: Uint8Array): Uint8Array {
  const stream = new Uint8Array(storedSize(data.length));
  const view = new DataView(stream.buffer);
  stream.set(STREAM_HEADER);
  let at = STREAM_HEADER.length;
  let done = 0;
  do {
    const length = Math.min(BLOCK_LIMIT, data.length - done);
    stream[at] = done + length === data.length ? 1 : 0;
    view.setUint16(at + 1, length, true);
    view.setUint16(at + 3, ~length & 0xffff, true);
    stream.set(data.subarray(done, done + length), at + BLOCK_HEADER_SIZE);
    at += BLOCK_HEADER_SIZE + length;
    done += length;
  } while (done < data.length);
  view.setUint32(at, adler32(data));
  return stream;
}

/** Additions that cannot overflow 32 bits before a remainder is taken (zlib's NMAX). */
const ADLER_RUN = 5552;

/** The checksum of RFC 1950. */
export function adler32(data: Uint8Array): number {
  let low = 1;
  let high = 0;
  for (let start = 0; start < data.length; start += ADLER_RUN) {
    const end = Math.min(start + ADLER_RUN, data.length);
    for (let index = start; index < end; index++) {
      low += data[index]!;
      high += low;
    }
    low %= 65521;
    high %= 65521;
  }
  return ((high << 16) | low) >>> 0;
}
