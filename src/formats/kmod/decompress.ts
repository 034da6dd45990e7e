/** Modules are files of their own or compressed ones, as their first bytes say. */
import { ofMemory } from '../../bytes/bytes.ts';
import { joinMemory } from '../../bytes/field.ts';
import { chunks } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import type { Compression } from '../../platform/types.ts';
import { decodeXz } from '../xz/decode-stream.ts';
import { ModuleWindow } from './module-window.ts';

const MAGICS = {
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0],
  gzip: [0x1f, 0x8b],
} as const;

const LONGEST_MAGIC = 6;

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
  zstd: (data, compression, limit) => compression.unpackBlock('zstd', data, limit),
  xz: (data, compression, limit) => decodeXz(data, limit, compression.lzma2),
  gzip: gunzip,
};

async function gunzip(data: Uint8Array, compression: Compression, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of compression.gunzip(chunks(ofMemory(data)))) {
    size += part.length;
    if (size > limit) throw invalid(`gzip stream: more than ${limit} bytes`);
    parts.push(part);
  }
  return joinMemory(parts);
}
