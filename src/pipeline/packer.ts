/** How a piece of content is compressed for each container: self-contained, so that it is compressed once and used wherever the content is. */
import { type Bytes, concat, ofMemory } from '../bytes/bytes.ts';
import { read } from '../bytes/read.ts';
import { MIB } from '../bytes/units.ts';
import { ImagerError } from '../errors.ts';
import { encodeLzma2 } from '../formats/xz/encode.ts';
import { blocksOfFrame, hostileFrames, type Opening, openSegment } from '../formats/zstd/segment.ts';
import type { Compression } from '../platform/types.ts';
import { seemsCompressed } from './sample.ts';
import { LEADING_ZEROS } from './segments.ts';

export interface Packer {
  /** Names the maker with all its bytes depend on, the content apart: part of the key under which results are kept. */
  readonly identity: string;
  /** Bytes of content compressed as one. */
  readonly pieceSize: number;
  /** Whether the container needs CRCs of its pieces. */
  readonly needsCrc: boolean;
  /** `undefined` when `data` cannot be compressed in this way. */
  pack(data: Uint8Array): Promise<Bytes | undefined>;
}

/** Raised when the same content gives other pieces. */
const REVISION = 2;

export function deflatePacker(compression: Compression, level: number): Packer {
  return {
    identity: `deflate ${REVISION} level ${level}, ${compression.encoders.deflate}`,
    pieceSize: MIB,
    needsCrc: true,
    pack: async (data) => ofMemory(await compression.deflateStretch(data, level)),
  };
}

/** Pieces are larger: matches reach through all of one. */
export function zstdPacker(compression: Compression, level: number): Packer {
  return {
    identity: `zstd-blocks ${REVISION} level ${level}, ${compression.encoders.zstd}`,
    pieceSize: 4 * MIB,
    needsCrc: false,
    async pack(data) {
      const compressed = async ({ length, blocks }: Opening): Promise<Bytes> =>
        concat([blocks, ofMemory(blocksOfFrame(await compression.zstdFrame(data.subarray(length), level)))]);
      const opening = openSegment(data);
      if (opening !== undefined && isShort(opening, data)) return compressed(opening);
      for (const distances of TRIED_OPENINGS) {
        const tried = openSegment(data, distances);
        const blocks = tried === undefined ? undefined : await compressed(tried);
        if (blocks !== undefined && (await standsAlone(compression, data, blocks))) return blocks;
      }
      return opening === undefined ? undefined : compressed(opening);
    },
  };
}

/** An opening costs less than to try without when it is 1/64 of the data, or what the zeros before a group of small things are enough for. */
function isShort({ length }: Opening, data: Uint8Array): boolean {
  return length <= LEADING_ZEROS || length * 64 <= data.length;
}

/** None, and one for data that begins with a run: most data has no use for the other offsets. */
const TRIED_OPENINGS: readonly (readonly number[])[] = [[], [1]];

/** Whether `blocks` give `data` wherever they stand. Takes about as long as compressing. */
async function standsAlone(compression: Compression, data: Uint8Array, blocks: Bytes): Promise<boolean> {
  for (const { frame, start } of hostileFrames(data, blocks)) {
    try {
      const content = await compression.unpackBlock('zstd', await read(frame), start + data.length);
      if (!endsWith(content, start, data)) return false;
    } catch (error) {
      if (error instanceof ImagerError && error.code === 'invalid-input') return false;
      throw error;
    }
  }
  return true;
}

/** Whether `content` has `start` bytes and then all of `data`. */
function endsWith(content: Uint8Array, start: number, data: Uint8Array): boolean {
  if (content.length !== start + data.length) return false;
  for (let index = 0; index < data.length; index++) if (content[start + index] !== data[index]) return false;
  return true;
}

/** Earlier places looked at for a match: what a level of xz means here. Level 0 comes out as large as that of the xz program. */
const DEPTHS: readonly number[] = [8, 12, 16, 24, 32, 48, 64, 96, 128, 192];

export function lzma2Packer(level: number): Packer {
  return {
    identity: `lzma2 ${REVISION} level ${level}`,
    pieceSize: MIB,
    needsCrc: true,
    pack: async (data) => ofMemory(encodeLzma2(data, DEPTHS[level]!)),
  };
}

/** A piece of content, compressed where that is worth it. */
export interface Piece {
  /** Bytes of content. */
  readonly length: number;
  /** CRC-32 of the content; 0 where the container needs none. */
  readonly crc: number;
  /** `undefined`: to be stored as it is. */
  readonly packed: Bytes | undefined;
}

/** Throws what reading and the encoder throw. */
export async function packPiece(compression: Compression, packer: Packer, content: Bytes): Promise<Piece> {
  const { size: length } = content;
  const stored = (crc: number): Piece => ({ length, crc, packed: undefined });
  // Where no CRC is wanted, content that is stored is never read here as a whole.
  if (!packer.needsCrc && (await seemsCompressed(content))) return stored(0);
  const data = await read(content);
  const crc = packer.needsCrc ? compression.crc32(data) : 0;
  if (packer.needsCrc && (await seemsCompressed(ofMemory(data)))) return stored(crc);
  const packed = await packer.pack(data);
  return packed !== undefined && isWorthIt(packed.size, length) ? { length, crc, packed } : stored(crc);
}

/** Unpacking takes time on every machine that gets the image: 3 % is the least to gain. */
function isWorthIt(packed: number, plain: number): boolean {
  return packed * 32 < plain * 31;
}
