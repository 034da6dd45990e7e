/** Core images for PC BIOS: what grub-mkimage makes as `i386-pc` and `i386-pc-eltorito`. Source: GRUB util/mkimage.c. */
import { joinMemory } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { encodeLzma } from '../lzma/encode.ts';
import { BIOS_LINK_ADDRESS, flattenBiosKernel } from './bios-kernel.ts';
import { encodeDiskBoot } from './block-list.ts';
import { encodeDecompressor } from './decompressor.ts';
import { type CorePayload, encodePayload } from './payload.ts';

/** Size of `cdboot.img`: one CD sector. */
export const CD_BOOT_SIZE = 2048;
/** The core is loaded in front of this address and must fit there as if it began where the kernel does. */
const CORE_END = 0x78000;

export interface BiosCoreFiles {
  /** `kernel.img`. */
  readonly kernel: Uint8Array;
  /** `lzma_decompress.img`. */
  readonly decompressor: Uint8Array;
  /** `diskboot.img`. */
  readonly diskBoot: Uint8Array;
  /** `cdboot.img`: makes the image one that an El Torito entry can start. */
  readonly cdBoot?: Uint8Array;
}

/**
 * Boot sectors, decompressor and the compressed kernel with its modules. Positions inside still are the files' own: see
 * `boot-patches.ts`. Throws `invalid-input` when a file is not what it must be or the core does not fit real-mode memory.
 */
export function composeBiosCore(files: BiosCoreFiles, payload: CorePayload): Uint8Array {
  const unpacked = joinMemory([flattenBiosKernel(files.kernel), encodePayload(payload, 4)]);
  const packed = encodeLzma(unpacked);
  const sizes = { compressed: packed.length, uncompressed: unpacked.length };
  const core = joinMemory([encodeDecompressor(files.decompressor, sizes), packed]);
  if (BIOS_LINK_ADDRESS + core.length > CORE_END) {
    throw invalid(`GRUB core image: ${core.length} bytes, want at most ${CORE_END - BIOS_LINK_ADDRESS}`, {
      hint: 'real-mode memory holds no more: leave modules out, they can be loaded from the prefix',
    });
  }
  const image = [encodeDiskBoot(files.diskBoot, core.length), core];
  if (files.cdBoot === undefined) return joinMemory(image);
  if (files.cdBoot.length !== CD_BOOT_SIZE) {
    throw invalid(`cdboot.img: ${files.cdBoot.length} bytes, want ${CD_BOOT_SIZE}`);
  }
  return joinMemory([files.cdBoot, ...image]);
}
