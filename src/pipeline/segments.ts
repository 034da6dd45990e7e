/** Cutting an output into what is compressed as one: the cuts follow where content comes from, so that the same content is cut the same way in every image. */
import { type Bytes, slice } from '../bytes/bytes.ts';
import { KIB, MIB } from '../bytes/units.ts';

export type Segment =
  | { readonly kind: 'zeros'; readonly length: number }
  | { readonly kind: 'content'; readonly content: Bytes };

/** Shorter runs of zeros are left to the compressor, together with what is around them: a piece more takes longer. */
const MIN_ZEROS: number = 64 * KIB;
/** From a longer run a group takes as many along: zstd's segments begin with matches, which zeros are good for. */
export const LEADING_ZEROS = 32;
/** What comes in one piece of this size stands for itself: a kernel, a file system image. */
const MIN_OWN: number = 256 * KIB;
/** Smaller things side by side are compressed together, up to this size. */
const MAX_GROUP: number = MIB;

/** All of `bytes` in order. */
export function cutSegments(bytes: Bytes): Segment[] {
  const segments: Segment[] = [];
  let start = 0;
  const closeGroup = (end: number): void => {
    if (end > start) segments.push(segmentOf(slice(bytes, start, end)));
    start = end;
  };
  for (const [index, { kind, length }] of bytes.extents.entries()) {
    const at = bytes.starts[index]!;
    const isOwn = kind === 'zeros' ? length >= MIN_ZEROS : length >= MIN_OWN;
    if (isOwn || at + length - start > MAX_GROUP) closeGroup(at);
    if (isOwn) closeGroup(at + length - (kind === 'zeros' && isGroupNext(bytes, index) ? LEADING_ZEROS : 0));
  }
  closeGroup(bytes.size);
  return segments;
}

function isGroupNext({ extents }: Bytes, index: number): boolean {
  const next = extents[index + 1];
  return next !== undefined && next.length < MIN_OWN;
}

function segmentOf(content: Bytes): Segment {
  const isZeros = content.extents.every(({ kind }) => kind === 'zeros');
  return isZeros ? { kind: 'zeros', length: content.size } : { kind: 'content', content };
}
