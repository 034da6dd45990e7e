/**
 * One zstd frame put together from parts (RFC 8878 section 3.1.1): with its content size, without checksum, and one frame only, because
 * some decoders stop behind the first.
 */
import { type Bytes, concat, ofMemory } from '../../bytes/bytes.ts';
import { putU64, structure } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { LAST_BLOCK, MAX_BLOCK, MAX_WINDOW, matchBlocks, rawBlocks, zeroBlocks } from './block.ts';
import { FRAME_MAGIC } from './frame-walker.ts';

export type FramePart =
  | { readonly kind: 'zeros'; readonly length: number }
  /** What stands `distance` before, at most 128 MiB. */
  | { readonly kind: 'repeat'; readonly length: number; readonly distance: number }
  | { readonly kind: 'raw'; readonly content: Bytes }
  /** `blocks` of `openSegment` and `blocksOfFrame` that stand for `length` bytes. */
  | { readonly kind: 'segment'; readonly length: number; readonly blocks: Bytes };

/** The frame. Its window is as small as the parts allow. Throws `invalid-input` for a repeat of what is not there or out of reach. */
export function layoutZstdFrame(parts: readonly FramePart[]): Bytes {
  const blocks: Bytes[] = [];
  let size = 0;
  let window = MAX_BLOCK;
  for (const part of parts) {
    const length = part.kind === 'raw' ? part.content.size : part.length;
    if (part.kind === 'repeat') {
      if (part.distance > size) throw invalid(`zstd: repeat at ${size} of what is ${part.distance} before`);
      window = Math.max(window, part.distance);
    } else if (part.kind === 'segment') {
      window = Math.max(window, length);
    }
    if (length > 0) blocks.push(...blocksOf(part, size === 0));
    size += length;
  }
  if (window > MAX_WINDOW) throw invalid(`zstd: window of ${window} bytes, want at most ${MAX_WINDOW}`);
  return concat([ofMemory(frameHeader(size, window)), ...blocks, LAST_BLOCK]);
}

const ONE_ZERO = ofMemory(Uint8Array.of(0));

function blocksOf(part: FramePart, isFirst: boolean): Bytes[] {
  switch (part.kind) {
    case 'zeros':
      // The command line tool up to 1.4.3 refuses a frame that begins with a run.
      return isFirst ? [rawBlocks(ONE_ZERO), zeroBlocks(part.length - 1)] : [zeroBlocks(part.length)];
    case 'repeat':
      return [matchBlocks(part.distance, part.length)];
    case 'raw':
      return [rawBlocks(part.content)];
    case 'segment':
      return [part.blocks];
  }
}

/** The content size takes eight bytes; no single segment, no checksum, no dictionary. */
const DESCRIPTOR = 0b11_0_0_0_0_00;
/** A window descriptor of 0 is 1 KiB; each 8 more double it. */
const SMALLEST_WINDOW_BITS = 10;

function frameHeader(size: number, window: number): Uint8Array {
  const { data, view } = structure(14);
  view.setUint32(0, FRAME_MAGIC, true);
  data[4] = DESCRIPTOR;
  data[5] = (Math.ceil(Math.log2(window)) - SMALLEST_WINDOW_BITS) << 3;
  putU64(view, 6, size, true);
  return data;
}
