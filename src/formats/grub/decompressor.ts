/**
 * `lzma_decompress.img`: the code in front of a compressed i386-pc core, with two fields to fill in. Its Reed-Solomon fields
 * (redundancy 0x10, unprotected length 0x14) stay as they are: only installing into a boot track writes redundancy, and zero
 * means there is none. Source: GRUB grub-core/boot/i386/pc/startup_raw.S, include/grub/offsets.h.
 */
import { viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';

const COMPRESSED_SIZE = 0x08;
const UNCOMPRESSED_SIZE = 0x0c;
const HEADER_END = 0x1c;
/** It runs at 0x8200 and must end before the kernel's place at 0x9000. */
const MAX_SIZE = 0x9000 - 0x8200;

export interface DecompressorSizes {
  /** Bytes of the LZMA stream that follows. */
  readonly compressed: number;
  /** Bytes it unpacks to. */
  readonly uncompressed: number;
}

/** The decompressor for a stream of these sizes. Throws `invalid-input` when the file cannot be one. */
export function encodeDecompressor(image: Uint8Array, sizes: DecompressorSizes): Uint8Array {
  checkDecompressor(image);
  const patched = image.slice();
  const view = viewOf(patched);
  view.setUint32(COMPRESSED_SIZE, sizes.compressed, true);
  view.setUint32(UNCOMPRESSED_SIZE, sizes.uncompressed, true);
  return patched;
}

/** The sizes that a core image's decompressor has. Throws `invalid-input` when it is too short. */
export function decodeDecompressorSizes(image: Uint8Array): DecompressorSizes {
  if (image.length < HEADER_END) throw invalid(`core image: ${image.length} bytes, want at least ${HEADER_END}`);
  const view = viewOf(image);
  return {
    compressed: view.getUint32(COMPRESSED_SIZE, true),
    uncompressed: view.getUint32(UNCOMPRESSED_SIZE, true),
  };
}

function checkDecompressor(image: Uint8Array): void {
  if (image.length < HEADER_END || image.length > MAX_SIZE) {
    throw invalid(`lzma_decompress.img: ${image.length} bytes, want ${HEADER_END}..${MAX_SIZE}`);
  }
}
