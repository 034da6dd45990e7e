/** Modules are files of their own or compressed ones, as their first bytes say. */
import { type Bytes, ofMemory } from '../../bytes/bytes.ts';
import { joinMemory } from '../../bytes/field.ts';
import { chunks, read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import type { Compression } from '../../platform/types.ts';
import { decodeXz } from '../xz/decode-stream.ts';

const MAGICS = {
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0],
  gzip: [0x1f, 0x8b],
} as const;

const LONGEST_MAGIC = 6;

/** The module, in memory where it was compressed. Throws `invalid-input` on damage and above `limit` bytes, whichever form has them. */
export async function decompressModule(content: Bytes, compression: Compression, limit: number): Promise<Bytes> {
  if (content.size > limit) throw invalid(`${content.size} bytes, want at most ${limit}`);
  const magic = await read(content, 0, Math.min(LONGEST_MAGIC, content.size));
  const formats = Object.keys(MAGICS) as (keyof typeof MAGICS)[];
  const format = formats.find((name) => MAGICS[name].every((byte, index) => magic[index] === byte));
  switch (format) {
    case undefined:
      return content;
    case 'zstd':
      return ofMemory(await compression.unpackBlock('zstd', await read(content), limit));
    case 'xz':
      return ofMemory(await decodeXz(await read(content), limit, compression.lzma2));
    case 'gzip':
      return ofMemory(await gunzip(content, compression, limit));
  }
}

async function gunzip(content: Bytes, compression: Compression, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of compression.gunzip(chunks(content))) {
    size += part.length;
    if (size > limit) throw invalid(`gzip stream: more than ${limit} bytes`);
    parts.push(part);
  }
  return joinMemory(parts);
}
