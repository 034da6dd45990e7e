/** Modules are files of their own or compressed ones, as their first bytes say. */
import { ofMemory } from '../../bytes/bytes.ts';
import { viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import type { Compression } from '../../platform/types.ts';
import { decodeXz } from '../xz/decode-stream.ts';
import { declaredSize } from '../zstd/frame-walker.ts';
import { ModuleWindow } from './module-window.ts';

const MAGICS = {
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0],
  gzip: [0x1f, 0x8b],
} as const;

const LONGEST_MAGIC = 6;
const GZIP_TRAILER_SIZE = 8;

/** A window to the module itself, `packed` where it is not compressed. Throws `invalid-input` on damage and above `limit` bytes, whichever form has them. */
export async function decompressModule(
  packed: ModuleWindow,
  compression: Compression,
  limit: number,
): Promise<ModuleWindow> {
  if (packed.size > limit) throw invalid(`${packed.size} bytes, want at most ${limit}`);
  const magic = await packed.at(0, Math.min(LONGEST_MAGIC, packed.size));
  const formats = Object.keys(MAGICS) as (keyof typeof MAGICS)[];
  const format = formats.find((name) => MAGICS[name].every((byte, index) => magic[index] === byte));
  if (format === undefined) return packed;
  const data = await UNPACK[format](await packed.at(0, packed.size), compression, limit);
  return new ModuleWindow(ofMemory(data), data);
}

type Unpack = (data: Uint8Array, compression: Compression, limit: number) => Promise<Uint8Array>;

const UNPACK: Readonly<Record<keyof typeof MAGICS, Unpack>> = {
  zstd: (data, compression, limit) => compression.unpackBlock('zstd', data, limit, declaredSize(data)),
  xz: (data, compression, limit) => decodeXz(data, limit, compression.lzma2),
  gzip: (data, compression, limit) => compression.unpackBlock('gzip', data, limit, sizeInTrailer(data)),
};

/** What the last member holds, modulo 2^32 (RFC 1952 section 2.3.1): modules have only one. */
function sizeInTrailer(data: Uint8Array): number | undefined {
  return data.length < GZIP_TRAILER_SIZE ? undefined : viewOf(data).getUint32(data.length - 4, true);
}
