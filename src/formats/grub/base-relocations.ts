/**
 * The `.reloc` section: which places hold absolute addresses. Source: PE/COFF specification, "The .reloc Section"; GRUB
 * util/grub-mkimagexx.c for order and padding.
 */
import { alignUp } from '../../bytes/bytes.ts';
import { structure } from '../../bytes/field.ts';
import { PAGE } from './efi-sections.ts';

const BLOCK_HEADER = 8;
const BLOCK_ALIGNMENT = 8;
/** IMAGE_REL_BASED_DIR64. */
const ABSOLUTE_64 = 10;

/**
 * Blocks of page, size and u16 entries, LE, for the 64-bit values at these virtual addresses, in their order: a block
 * ends where the next address lies on another page. The last is padded to the end of a page with entries of type 0.
 */
export function encodeBaseRelocations(addresses: readonly number[]): Uint8Array {
  const blocks: { readonly page: number; readonly offsets: number[] }[] = [];
  for (const address of addresses) {
    const page = address - (address % PAGE);
    const last = blocks.at(-1);
    if (last?.page === page) last.offsets.push(address - page);
    else blocks.push({ page, offsets: [address - page] });
  }
  const sizes = blocks.map(({ offsets }) => alignUp(BLOCK_HEADER + offsets.length * 2, BLOCK_ALIGNMENT));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const { data, view } = structure(alignUp(total, PAGE));
  let at = 0;
  for (const [index, { page, offsets }] of blocks.entries()) {
    const size = index === blocks.length - 1 ? data.length - at : sizes[index]!;
    view.setUint32(at, page, true);
    view.setUint32(at + 4, size, true);
    for (const [entry, offset] of offsets.entries()) {
      view.setUint16(at + BLOCK_HEADER + entry * 2, (ABSOLUTE_64 << 12) | offset, true);
    }
    at += size;
  }
  return data;
}
