/** One xz stream in memory, hostile ones included (XZ format specification 1.1.0 sections 2 to 4): what a block of a file system is compressed as. */
import { crc32 } from '../../bytes/crc32.ts';
import { joinMemory, viewOf } from '../../bytes/field.ts';
import { ImagerError, invalid } from '../../errors.ts';
import type { NativeLzma2 } from '../../platform/types.ts';
import { decodeLzma2, extentOfChunks } from './decode-lzma2.ts';

/** What every stream begins with. */
export const XZ_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0] as const;
export const STREAM_HEADER_SIZE = 12;
export const STREAM_FOOTER_SIZE = 12;
export const INDEX_INDICATOR = 0;
const LZMA2_FILTER = 0x21;
const HAS_PACKED_SIZE = 0x40;
const HAS_UNPACKED_SIZE = 0x80;
const FILTER_COUNT = 0x03;
export const CRC32_CHECK = 1;
/** By the identifier of the check. */
export const CHECK_SIZES: readonly number[] = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
/** More than any block of a file system has: memory that native decoders take before they look. Bytes. */
const MAXIMUM_DICTIONARY = 0x8000000;

/**
 * The content of the stream, at most `limit` bytes of it. Checks are compared where they are CRC-32; the index and what follows it are not needed and not looked at.
 * Throws `invalid-input` for damage and for more than `limit` bytes, `unsupported` for filters other than LZMA2.
 */
export async function decodeXz(data: Uint8Array, limit: number, native: NativeLzma2 | undefined): Promise<Uint8Array> {
  const check = decodeStreamHeader(data);
  const size = native === undefined ? undefined : sizeOfOnlyStream(data, check, limit);
  if (native !== undefined && size !== undefined) {
    const content = await native.unxzAtOnce(data);
    if (content.length !== size) throw invalid(`xz stream: ${content.length} bytes, want ${size}`);
    return content;
  }
  const parts: Uint8Array[] = [];
  let left = limit;
  let position = STREAM_HEADER_SIZE;
  while (byteAt(data, position) !== INDEX_INDICATOR) {
    const header = decodeBlockHeader(data, position);
    const chunks = extentOfChunks(data, header.end);
    if (chunks.unpackedSize > left) throw invalid(`xz stream: more than ${limit} bytes`);
    const content = await decodeChunks(data, header, chunks, native);
    const checkAt = header.end + Math.ceil((chunks.end - header.end) / 4) * 4;
    position = checkAt + CHECK_SIZES[check]!;
    if (position > data.length) throw ended(data);
    if (check === CRC32_CHECK && viewOf(data).getUint32(checkAt, true) !== crc32(content)) {
      throw invalid('xz stream: the CRC of a block is wrong');
    }
    left -= content.length;
    parts.push(content);
  }
  return parts.length === 1 ? parts[0]! : joinMemory(parts);
}

/** Bytes of the content, from the headers of its chunks; `undefined` where more than one stream with its index and footer is there. */
function sizeOfOnlyStream(data: Uint8Array, check: number, limit: number): number | undefined {
  let size = 0;
  let position = STREAM_HEADER_SIZE;
  while (byteAt(data, position) !== INDEX_INDICATOR) {
    const header = decodeBlockHeader(data, position);
    const chunks = extentOfChunks(data, header.end);
    size += chunks.unpackedSize;
    if (size > limit) throw invalid(`xz stream: more than ${limit} bytes`);
    position = header.end + Math.ceil((chunks.end - header.end) / 4) * 4 + CHECK_SIZES[check]!;
  }
  const footer = data.length - STREAM_FOOTER_SIZE;
  if (footer < position) return undefined;
  // The footer's backward size counts units of four, less one.
  const indexSize = (viewOf(data).getUint32(footer + 4, true) + 1) * 4;
  return position + indexSize === footer ? size : undefined;
}

async function decodeChunks(
  data: Uint8Array,
  header: BlockHeader,
  { end, unpackedSize }: { readonly end: number; readonly unpackedSize: number },
  native: NativeLzma2 | undefined,
): Promise<Uint8Array> {
  if (native === undefined) return decodeLzma2(data, header.end, unpackedSize);
  const parts = await Array.fromAsync(native.decode(data.subarray(header.end, end), header.dictionarySize));
  const content = joinMemory(parts);
  if (content.length !== unpackedSize) throw invalid(`xz block: ${content.length} bytes, want ${unpackedSize}`);
  return content;
}

/** The identifier of the check. */
export function decodeStreamHeader(data: Uint8Array): number {
  if (data.length < STREAM_HEADER_SIZE || XZ_MAGIC.some((byte, index) => data[index] !== byte)) {
    throw invalid('xz stream: does not begin as one');
  }
  if (viewOf(data).getUint32(8, true) !== crc32(data.subarray(6, 8))) throw invalid('xz stream: damaged header');
  if (data[6] !== 0 || data[7]! >= CHECK_SIZES.length) {
    throw new ImagerError('unsupported', `xz stream: flags 0x${(data[7]! * 256 + data[6]!).toString(16)}`);
  }
  return data[7]!;
}

export interface BlockHeader {
  /** Where its chunks begin. */
  readonly end: number;
  /** Bytes. */
  readonly dictionarySize: number;
}

export function decodeBlockHeader(data: Uint8Array, start: number): BlockHeader {
  const size = (byteAt(data, start) + 1) * 4;
  const end = start + size;
  if (end > data.length) throw ended(data);
  const fields = data.subarray(start, end - 4);
  if (viewOf(data).getUint32(end - 4, true) !== crc32(fields)) throw invalid('xz block: damaged header');
  const flags = fields[1]!;
  let position = 2;
  // Both sizes are said again by the chunks.
  if ((flags & HAS_PACKED_SIZE) !== 0) position = afterVarint(fields, position);
  if ((flags & HAS_UNPACKED_SIZE) !== 0) position = afterVarint(fields, position);
  const [filter, propertiesSize, dictionaryCode] = fields.subarray(position);
  if ((flags & FILTER_COUNT) !== 0 || filter !== LZMA2_FILTER || propertiesSize !== 1) {
    throw new ImagerError('unsupported', 'xz block: filters other than LZMA2');
  }
  return { end, dictionarySize: dictionarySizeOf(dictionaryCode!) };
}

function dictionarySizeOf(code: number): number {
  const size = (2 + (code & 1)) * 2 ** ((code >> 1) + 11);
  if (size > MAXIMUM_DICTIONARY) {
    throw new ImagerError('unsupported', `xz block: dictionary of ${size} bytes, want at most ${MAXIMUM_DICTIONARY}`);
  }
  return size;
}

function afterVarint(fields: Uint8Array, start: number): number {
  let position = start;
  while ((byteAt(fields, position) & 0x80) !== 0) position++;
  return position + 1;
}

function byteAt(data: Uint8Array, position: number): number {
  const byte = data[position];
  if (byte === undefined) throw ended(data);
  return byte;
}

function ended(data: Uint8Array): ImagerError {
  return invalid(`xz stream: ends after ${data.length} bytes, in the middle`);
}
