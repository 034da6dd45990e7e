/** Boot catalog: 32-byte entries that tell firmware which images to start. Source: El Torito 1.0 section 2; UEFI 2.10 section 13.3.2. */
import { structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { BLOCK_SIZE } from './block.ts';

const ENTRY_SIZE = 32;
const BOOTABLE = 0x88;
const HEADER_MORE = 0x90;
const HEADER_LAST = 0x91;

/** Of the validation entry and of section headers. */
export const BOOT_PLATFORM = { bios: 0x00, efi: 0xef } as const;
export type BootPlatform = (typeof BOOT_PLATFORM)[keyof typeof BOOT_PLATFORM];

/** An image started without emulation. */
export interface BootImage {
  readonly platform: BootPlatform;
  /** 512-byte sectors to load: for EFI the size of the FAT image, 0 when it does not fit 16 bits. */
  readonly sectors: number;
  /** First block. */
  readonly block: number;
}

/** What an EFI image says of its size in bytes. */
export function efiSectors(size: number): number {
  const sectors = size / 512;
  return sectors <= 0xffff ? sectors : 0;
}

/** One block: the first image is the default entry, each other one has a section of its own. Throws `invalid-input` for none or too many. */
export function encodeBootCatalog(images: readonly BootImage[]): Uint8Array {
  const [first, ...others] = images;
  const count = 2 + 2 * others.length;
  if (first === undefined || count * ENTRY_SIZE > BLOCK_SIZE) throw invalid(`boot catalog: ${images.length} images`);
  const { data } = structure(BLOCK_SIZE);
  const entries = [
    encodeValidation(first.platform),
    encodeImage(first),
    ...others.flatMap((image, index) => [
      Uint8Array.of(index + 1 < others.length ? HEADER_MORE : HEADER_LAST, image.platform, 1, 0),
      encodeImage(image),
    ]),
  ];
  for (const [index, entry] of entries.entries()) data.set(entry, index * ENTRY_SIZE);
  return data;
}

function encodeValidation(platform: BootPlatform): Uint8Array {
  const { data, view } = structure(ENTRY_SIZE);
  view.setUint8(0, 1);
  view.setUint8(1, platform);
  data.set([0x55, 0xaa], 30);
  view.setUint16(28, (0x10000 - wordSum(view)) & 0xffff, true);
  return data;
}

function wordSum(view: DataView): number {
  let sum = 0;
  for (let at = 0; at < ENTRY_SIZE; at += 2) sum = (sum + view.getUint16(at, true)) & 0xffff;
  return sum;
}

function encodeImage({ sectors, block }: BootImage): Uint8Array {
  const { data, view } = structure(ENTRY_SIZE);
  view.setUint8(0, BOOTABLE);
  view.setUint16(6, sectors, true);
  view.setUint32(8, block, true);
  return data;
}

/** The bootable no-emulation images of a catalog; others are passed over. Throws `invalid-input` for a wrong validation entry. */
export function decodeBootCatalog(data: Uint8Array): BootImage[] {
  const view = viewOf(data.subarray(0, ENTRY_SIZE));
  if (data[0] !== 1 || data[30] !== 0x55 || data[31] !== 0xaa || wordSum(view) !== 0) {
    throw invalid('boot catalog: its validation entry is wrong');
  }
  const images: BootImage[] = [];
  take(images, data, ENTRY_SIZE, data[1]!);
  for (let at = 2 * ENTRY_SIZE; at + ENTRY_SIZE <= data.length; ) {
    const kind = data[at]!;
    if (kind !== HEADER_MORE && kind !== HEADER_LAST) break;
    const platform = data[at + 1]!;
    const count = data[at + 2]! | (data[at + 3]! << 8);
    for (let index = 0; index < count && at + (index + 2) * ENTRY_SIZE <= data.length; index++) {
      take(images, data, at + (index + 1) * ENTRY_SIZE, platform);
    }
    if (kind === HEADER_LAST) break;
    at += (count + 1) * ENTRY_SIZE;
  }
  return images;
}

function take(images: BootImage[], data: Uint8Array, at: number, platform: number): void {
  const isKnown = platform === BOOT_PLATFORM.bios || platform === BOOT_PLATFORM.efi;
  if (data[at] !== BOOTABLE || (data[at + 1]! & 0x0f) !== 0 || !isKnown) return;
  const view = viewOf(data.subarray(at, at + ENTRY_SIZE));
  images.push({ platform, sectors: view.getUint16(6, true), block: view.getUint32(8, true) });
}
