/** How blocks are compressed, and how that is said in the image: one compressor for all of it. */
import { structure } from '../../bytes/field.ts';
import { ImagerError } from '../../errors.ts';
import type { Compression } from '../../platform/types.ts';
import { isFlat } from '../byte-frequencies.ts';
import { decodeXz } from '../xz/decode-stream.ts';
import { encodeXz, xzEncoder } from '../xz/encode-stream.ts';

/** Numbers of the super block. */
export const COMPRESSORS = { gzip: 1, lzma: 2, lzo: 3, xz: 4, lz4: 5, zstd: 6 } as const;
export type CompressorName = keyof typeof COMPRESSORS;

/** What images are written with. */
export type CompressorChoice = { readonly name: 'zstd'; readonly level: number } | { readonly name: 'xz' };

export interface BlockEncoder {
  readonly name: CompressorName;
  /** Names the maker with all its bytes depend on, the content apart. */
  readonly identity: string;
  /** What the image says of the compressor behind the super block, where that is not what the kernel takes for granted. */
  readonly options: Uint8Array | undefined;
  /** Not smaller than `data` where that is not worth it. Several calls at once run at once. */
  readonly pack: (data: Uint8Array) => Promise<Uint8Array>;
}

export function blockEncoder(choice: CompressorChoice, compression: Compression): BlockEncoder {
  const encoder = plainEncoder(choice, compression);
  const { pack } = encoder;
  return { ...encoder, pack: async (data) => ((await seemsCompressed(data, compression)) ? data : pack(data)) };
}

/** From this size on a look costs less than it saves. Bytes. */
const LOOKED_AT = 32_768;

/** Whether neither the frequencies of its bytes nor what a quick encoder finds again leave anything to gain: firmware and modules often are compressed. */
async function seemsCompressed(data: Uint8Array, compression: Compression): Promise<boolean> {
  if (data.length < LOOKED_AT || !isFlat(data)) return false;
  return (await compression.zstdFrame(data, 1)).length >= data.length;
}

function plainEncoder(choice: CompressorChoice, compression: Compression): BlockEncoder {
  switch (choice.name) {
    case 'zstd': {
      const { level } = choice;
      return {
        name: 'zstd',
        identity: `zstd level ${level}, ${compression.encoders.zstd}`,
        options: zstdOptions(level),
        pack: (data) => compression.zstdFrame(data, level),
      };
    }
    case 'xz':
      // No options: no filters, and a dictionary of the size of a block.
      return {
        name: 'xz',
        // Which blocks are stored is asked of zstd.
        identity: `xz, ${xzEncoder(compression.lzma2)}, ${compression.encoders.zstd}`,
        options: undefined,
        pack: (data) => encodeXz(data, compression.lzma2),
      };
  }
}

/** The level, 32 bits, little-endian: for information, decoding does not depend on it. */
function zstdOptions(level: number): Uint8Array {
  const { data, view } = structure(4);
  view.setUint32(0, level, true);
  return data;
}

/** What a block stands for, at most `limit` bytes of it. Throws `invalid-input` on damage and for more. */
export type UnpackBlock = (data: Uint8Array, limit: number) => Promise<Uint8Array>;

/** Throws `unsupported` for the compressors that nobody makes extensions or Talos images with. */
export function blockDecoder(name: CompressorName, compression: Compression): UnpackBlock {
  switch (name) {
    case 'gzip':
      return (data, limit) => compression.unpackBlock('zlib', data, limit);
    case 'zstd':
      return (data, limit) => compression.unpackBlock('zstd', data, limit);
    case 'xz':
      return (data, limit) => decodeXz(data, limit, compression.lzma2);
    case 'lzma':
    case 'lzo':
    case 'lz4':
      throw new ImagerError('unsupported', `squashfs compressed with ${name}: want gzip, xz or zstd`);
  }
}
