/** How a piece of content is compressed for each container: self-contained, so that it is compressed once and used wherever the content is. */
import { type Bytes, concat, ofMemory } from '../bytes/bytes.ts';
import { read } from '../bytes/read.ts';
import { MIB } from '../bytes/units.ts';
import { encodeLzma2 } from '../formats/xz/encode.ts';
import { blocksOfFrame, openSegment } from '../formats/zstd/segment.ts';
import type { Compression } from '../platform/types.ts';
import { seemsCompressed } from './sample.ts';

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
const REVISION = 1;

export function deflatePacker(compression: Compression, level: number): Packer {
  return {
    identity: `deflate ${REVISION} level ${level}, ${compression.encoders.deflate}`,
    pieceSize: MIB,
    needsCrc: true,
    pack: async (data) => ofMemory(await compression.deflateStretch(data, level)),
  };
}

/** Pieces are larger: matches reach through all of one, and each opens with some content as it is. */
export function zstdPacker(compression: Compression, level: number): Packer {
  return {
    identity: `zstd-blocks ${REVISION} level ${level}, ${compression.encoders.zstd}`,
    pieceSize: 4 * MIB,
    needsCrc: false,
    async pack(data) {
      const opening = openSegment(data);
      if (opening === undefined) return undefined;
      const frame = await compression.zstdFrame(data.subarray(opening.length), level);
      return concat([opening.blocks, ofMemory(blocksOfFrame(frame))]);
    },
  };
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
  const isCompressed = await seemsCompressed(content);
  if (isCompressed && !packer.needsCrc) return { length, crc: 0, packed: undefined };
  const data = await read(content);
  const crc = packer.needsCrc ? compression.crc32(data) : 0;
  const packed = isCompressed ? undefined : await packer.pack(data);
  return { length, crc, packed: packed !== undefined && isWorthIt(packed.size, length) ? packed : undefined };
}

/** Unpacking takes time on every machine that gets the image: 3 % is the least to gain. */
function isWorthIt(packed: number, plain: number): boolean {
  return packed * 32 < plain * 31;
}
