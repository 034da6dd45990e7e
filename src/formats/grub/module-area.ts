/**
 * The area behind GRUB's kernel that carries modules, an early configuration and the prefix.
 * Source: GRUB include/grub/kernel.h (`grub_module_info32`, `grub_module_info64`, `grub_module_header`), util/mkimage.c.
 */
import { alignUp } from '../../bytes/bytes.ts';
import { putU64, structure } from '../../bytes/field.ts';

/** "mimg" in memory. */
const MAGIC = 0x676d696d;
const HEADER_SIZE = 8;

/** Type numbers that have stayed the same in all releases of GRUB 2. */
const TYPES = { module: 0, memdisk: 1, config: 2, prefix: 3 } as const;

export interface GrubObject {
  readonly kind: keyof typeof TYPES;
  readonly data: Uint8Array;
}

/** An object of text, which GRUB wants with its closing NUL. */
export function textObject(kind: 'config' | 'prefix', text: string): GrubObject {
  return { kind, data: new TextEncoder().encode(`${text}\0`) };
}

/**
 * Info header (12 bytes for a pointer of 4 bytes, 24 for one of 8), then each object behind a header of type and size, LE.
 * Sizes count their header and the zeros up to a multiple of `pointerSize`; of a memdisk up to 512.
 */
export function encodeModuleArea(objects: readonly GrubObject[], pointerSize: 4 | 8): Uint8Array {
  const infoSize = pointerSize === 4 ? 12 : 24;
  const sizes = objects.map(({ kind, data }) => alignUp(data.length, kind === 'memdisk' ? 512 : pointerSize));
  const total = sizes.reduce((sum, size) => sum + HEADER_SIZE + size, infoSize);
  const { data: area, view } = structure(total);
  view.setUint32(0, MAGIC, true);
  if (pointerSize === 4) {
    view.setUint32(4, infoSize, true);
    view.setUint32(8, total, true);
  } else {
    putU64(view, 8, infoSize, true);
    putU64(view, 16, total, true);
  }
  let at = infoSize;
  for (const [index, { kind, data }] of objects.entries()) {
    view.setUint32(at, TYPES[kind], true);
    view.setUint32(at + 4, HEADER_SIZE + sizes[index]!, true);
    area.set(data, at + HEADER_SIZE);
    at += HEADER_SIZE + sizes[index]!;
  }
  return area;
}
