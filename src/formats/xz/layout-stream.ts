/**
 * One xz stream put together from parts, each a block of its own (XZ format specification 1.1.0). The check is CRC-32: every decoder has it, the
 * small ones in boot loaders have no other.
 */
import { type Bytes, concat, ofMemory, zeros } from '../../bytes/bytes.ts';
import { crc32 } from '../../bytes/crc32.ts';
import { crc32OfZeros } from '../../bytes/crc32-combine.ts';
import { joinMemory, viewOf } from '../../bytes/field.ts';
import { MIB } from '../../bytes/units.ts';
import { XZ_MAGIC } from './decode-stream.ts';
import { END_OF_CHUNKS, storedChunks, zeroChunks } from './lzma2.ts';

export type StreamPart =
  | { readonly kind: 'zeros'; readonly length: number }
  | { readonly kind: 'stored'; readonly content: Bytes; readonly crc: number }
  /** LZMA2 chunks that begin with a dictionary reset, without end marker; `crc` and `length` of their content. */
  | { readonly kind: 'compressed'; readonly length: number; readonly crc: number; readonly chunks: Bytes };

/** A decoder with several threads keeps whole blocks in memory, so that a long run of zeros is cut. */
const MAX_ZEROS: number = 64 * MIB;

/** The stream. */
export function layoutXz(parts: readonly StreamPart[]): Bytes {
  const blocks = parts.flatMap(blocksOf);
  const index = encodeIndex(blocks);
  return concat([
    ofMemory(STREAM_HEADER),
    ...blocks.map(({ bytes }) => bytes),
    ofMemory(index),
    ofMemory(streamFooter(index.length)),
  ]);
}

interface Block {
  readonly bytes: Bytes;
  /** Of header, chunks and check, without the padding between. */
  readonly unpaddedSize: number;
  readonly contentSize: number;
}

function blocksOf(part: StreamPart): Block[] {
  switch (part.kind) {
    case 'zeros': {
      const blocks: Block[] = [];
      for (let rest = part.length; rest > 0; rest -= MAX_ZEROS) {
        const length = Math.min(rest, MAX_ZEROS);
        blocks.push(layoutBlock(zeroChunks(length), length, crc32OfZeros(length), 1));
      }
      return blocks;
    }
    case 'stored':
      return part.content.size === 0 ? [] : [layoutBlock(storedChunks(part.content), part.content.size, part.crc, 0)];
    case 'compressed':
      return [layoutBlock(part.chunks, part.length, part.crc, part.length)];
  }
}

const CRC32_CHECK = 1;
const CHECK_SIZE = 4;
const STREAM_FLAGS = [0, CRC32_CHECK] as const;
const STREAM_HEADER: Uint8Array = joinMemory([
  Uint8Array.of(...XZ_MAGIC, ...STREAM_FLAGS),
  u32(crc32(Uint8Array.from(STREAM_FLAGS))),
]);

/** Both sizes are in the header, which lets decoders with several threads find the next block. No match in `chunks` is farther than `reach`. */
function layoutBlock(chunks: Bytes, contentSize: number, crc: number, reach: number): Block {
  const packedSize = chunks.size + END_OF_CHUNKS.size;
  const header = blockHeader(packedSize, contentSize, reach);
  return {
    bytes: concat([ofMemory(header), chunks, END_OF_CHUNKS, zeros(-packedSize & 3), ofMemory(u32(crc))]),
    unpaddedSize: header.length + packedSize + CHECK_SIZE,
    contentSize,
  };
}

/** One filter; the packed and the unpacked size are given. */
const BLOCK_FLAGS = 0x40 | 0x80;
const LZMA2_FILTER = 0x21;

function blockHeader(packedSize: number, contentSize: number, reach: number): Uint8Array {
  const fields = [...varint(packedSize), ...varint(contentSize), LZMA2_FILTER, 1, dictionaryCode(reach)];
  // Size byte, flags, fields; then the CRC. The size byte counts units of four, less one.
  const size = (2 + fields.length + 3) & ~3;
  const header = new Uint8Array(size);
  header.set([size / 4, BLOCK_FLAGS, ...fields]);
  return joinMemory([header, u32(crc32(header))]);
}

/** The smallest dictionary of at least `reach` bytes: (2 | lowest bit) << (code / 2 + 11), from 4 KiB on. */
function dictionaryCode(reach: number): number {
  let code = 0;
  while ((2 + (code & 1)) * 2 ** ((code >> 1) + 11) < reach) code++;
  return code;
}

function encodeIndex(blocks: readonly Block[]): Uint8Array {
  const fields = [0, ...varint(blocks.length)];
  for (const { unpaddedSize, contentSize } of blocks) fields.push(...varint(unpaddedSize), ...varint(contentSize));
  while (fields.length % 4 !== 0) fields.push(0);
  const index = Uint8Array.from(fields);
  return joinMemory([index, u32(crc32(index))]);
}

function streamFooter(indexSize: number): Uint8Array {
  const fields = joinMemory([u32(indexSize / 4 - 1), Uint8Array.from(STREAM_FLAGS)]);
  return joinMemory([u32(crc32(fields)), fields, Uint8Array.of(0x59, 0x5a)]);
}

/** Seven bits a byte, lowest first; the high bit says that more follow (section 1.2). */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return bytes;
}

/** Little-endian. */
function u32(value: number): Uint8Array {
  const data = new Uint8Array(4);
  viewOf(data).setUint32(0, value, true);
  return data;
}
