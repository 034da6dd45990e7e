/** A piece of content as an xz stream of its own, of one block: what a block of a file system is compressed as. */
import { ofMemory } from '../../bytes/bytes.ts';
import { crc32 } from '../../bytes/crc32.ts';
import { read } from '../../bytes/read.ts';
import type { NativeLzma2 } from '../../platform/types.ts';
import { encodeLzma2 } from './encode.ts';
import { layoutXz } from './layout-stream.ts';

/** The least dictionary that encoders take. Bytes. */
const MINIMUM_DICTIONARY = 4096;

/** The native library takes with it the time that liblzma, which mksquashfs uses, takes with preset 6; the result is larger by 3 %. */
const PRESET = 4;
/** Earlier places that our own encoder looks at for a match: about as small as the preset. */
const DEPTH = 64;

/** Names the maker with all its bytes depend on, the content apart. */
export function xzEncoder(native: NativeLzma2 | undefined): string {
  return native === undefined ? `own depth ${DEPTH}` : `${native.encoder} preset ${PRESET}`;
}

/** `data` as a stream with a dictionary of its size and the check CRC-32. */
export async function encodeXz(data: Uint8Array, native: NativeLzma2 | undefined): Promise<Uint8Array> {
  const chunks = await chunksOf(data, native);
  return read(layoutXz([{ kind: 'compressed', length: data.length, crc: crc32(data), chunks: ofMemory(chunks) }]));
}

async function chunksOf(data: Uint8Array, native: NativeLzma2 | undefined): Promise<Uint8Array> {
  if (native === undefined) return encodeLzma2(data, DEPTH);
  const dictionarySize = Math.max(data.length, MINIMUM_DICTIONARY);
  const chunks = await native.encode(data, { preset: PRESET, dictionarySize });
  // The stream has an end marker of its own.
  return chunks.subarray(0, -1);
}
