/**
 * What an ISO's tree need not store because its EFI system partition holds it: the UKI, kernel and initramfs inside it, the loader.
 * Upstream stores kernel and initramfs three times.
 */
import { SHARING_ALIGNMENT } from '../boot/esp.ts';
import { type Bytes, type Extent, slice } from '../bytes/bytes.ts';
import type { FatLayout } from '../formats/fat/layout.ts';
import { BLOCK_SIZE } from '../formats/iso9660/block.ts';
import type { SharedPlace } from '../formats/iso9660/layout.ts';
import type { Tree } from '../tree/tree.ts';

/** What holds a FAT volume: the appended partition, or a file of the ISO. */
export type VolumeHolder = { readonly in: 'appended' } | { readonly in: 'file'; readonly path: string };

/** Bytes within a file of a volume. */
export interface InsideFile {
  readonly path: string;
  readonly offset: number;
}

/**
 * Places in the volume for files of `tree`: those of the same path from 64 KiB on (smaller ones are better stored again, where the
 * partition view has them too), and `inside`, files whose bytes are part of another one. Files whose bytes are not known to be those,
 * or do not begin at a block, are left out.
 */
export function sharedWithFat(
  tree: Tree,
  fat: FatLayout,
  holder: VolumeHolder,
  inside: ReadonlyMap<string, InsideFile> = new Map(),
): Map<string, SharedPlace> {
  const shared = new Map<string, SharedPlace>();
  for (const entry of tree.entries) {
    if (entry.kind !== 'file' || entry.content.size < SHARING_ALIGNMENT) continue;
    const { path, offset: skipped } = inside.get(entry.path) ?? { path: entry.path, offset: 0 };
    const range = fat.files.get(path);
    const { size } = entry.content;
    if (range === undefined || skipped + size > range.size) continue;
    const offset = range.offset + skipped;
    if (offset % BLOCK_SIZE !== 0) continue;
    if (isSame(slice(fat.bytes, offset, offset + size), entry.content)) shared.set(entry.path, { ...holder, offset });
  }
  return shared;
}

/** Whether two contents are known to be the same without reading sources. Memory is compared. */
export function isSame(a: Bytes, b: Bytes): boolean {
  if (a.size !== b.size) return false;
  for (let position = 0, left = 0, right = 0; position < a.size; ) {
    const one = a.extents[left]!;
    const other = b.extents[right]!;
    const oneSkip = position - a.starts[left]!;
    const otherSkip = position - b.starts[right]!;
    const length = Math.min(one.length - oneSkip, other.length - otherSkip);
    if (!isSamePiece(one, oneSkip, other, otherSkip, length)) return false;
    position += length;
    if (oneSkip + length === one.length) left++;
    if (otherSkip + length === other.length) right++;
  }
  return true;
}

function isSamePiece(a: Extent, aSkip: number, b: Extent, bSkip: number, length: number): boolean {
  if (a.kind === 'zeros' && b.kind === 'zeros') return true;
  if (a.kind === 'range' && b.kind === 'range') {
    return a.source.key === b.source.key && a.offset + aSkip === b.offset + bSkip;
  }
  if (a.kind !== 'memory' || b.kind !== 'memory') return false;
  const left = a.data.subarray(aSkip, aSkip + length);
  const right = b.data.subarray(bSkip, bSkip + length);
  return (
    (left.buffer === right.buffer && left.byteOffset === right.byteOffset) ||
    left.every((byte, index) => byte === right[index])
  );
}
