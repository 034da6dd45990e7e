/**
 * Blocks of one libzstd frame as part of another. They are at home there if nothing in them reaches outside: matches stay within their frame, and
 * its first blocks have no older tables to repeat. One thing is carried over: the three repeat offsets (RFC 8878 section 3.1.1.5), which
 * libzstd takes for 1, 4 and 8 at the start, and which in the other frame are what the blocks before have made of them. So a segment opens
 * with three short matches at distances 8, 4 and 1, which hold in its content anyway, and libzstd compresses what follows. Such a segment assumes
 * nothing about its place: it is compressed once and used in any frame.
 */
import { type Bytes, concat, ofMemory } from '../../bytes/bytes.ts';
import { joinMemory, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { MIN_MATCH, matchBlocks, rawBlocks } from './block.ts';
import { FRAME_MAGIC, headerRest } from './frame-walker.ts';

/** The start of a segment. */
export interface Opening {
  /** Bytes of content it stands for; libzstd gets the rest. */
  readonly length: number;
  readonly blocks: Bytes;
}

/** Last to first: after these the repeat offsets are 1, 4 and 8. */
const OPENING_DISTANCES = [8, 4, 1] as const;

/** The shortest opening of `content`; `undefined` when it has no such matches in it, and must be stored. */
export function openSegment(content: Uint8Array): Opening | undefined {
  const parts: Bytes[] = [];
  let position = 0;
  for (const distance of OPENING_DISTANCES) {
    const match = findMatch(content, position, distance);
    if (match === undefined) return undefined;
    parts.push(rawBlocks(ofMemory(content.subarray(position, match))), matchBlocks(distance, MIN_MATCH));
    position = match + MIN_MATCH;
  }
  return { length: position, blocks: concat(parts) };
}

/** The first place from `start` on where the bytes are those `distance` before. */
function findMatch(content: Uint8Array, start: number, distance: number): number | undefined {
  let equal = 0;
  for (let position = Math.max(start, distance); position < content.length; position++) {
    equal = content[position] === content[position - distance] ? equal + 1 : 0;
    if (equal === MIN_MATCH) return position - MIN_MATCH + 1;
  }
  return undefined;
}

const RUN = 1;
const BLOCK_HEADER_SIZE = 3;

/**
 * The blocks of `frame`, none of them marked as the last. Throws `invalid-input` for what is not one frame without a checksum, optionally
 * followed by an empty one (which Node's encoder adds at times, nodejs/node#66078).
 */
export function blocksOfFrame(frame: Uint8Array): Uint8Array {
  const view = viewOf(frame);
  const damaged = (what: string): Error => invalid(`zstd frame of ${frame.length} bytes: ${what}`);
  if (frame.length < 5 || view.getUint32(0, true) !== FRAME_MAGIC) throw damaged('no frame header');
  const descriptor = frame[4]!;
  if ((descriptor & 0x04) !== 0) throw damaged('it has a checksum');
  const blocks: Uint8Array[] = [];
  let position = 5 + headerRest(descriptor);
  for (let isLast = false; !isLast; ) {
    if (position + BLOCK_HEADER_SIZE > frame.length) throw damaged('it ends inside a block header');
    const field = view.getUint16(position, true) | (frame[position + 2]! << 16);
    isLast = (field & 1) !== 0;
    const type = (field >>> 1) & 3;
    if (type === 3) throw damaged('a block of the reserved type');
    const end = position + BLOCK_HEADER_SIZE + (type === RUN ? 1 : field >>> 3);
    if (end > frame.length) throw damaged('it ends inside a block');
    if (field >>> 3 > 0) {
      const block = frame.slice(position, end);
      block[0]! &= 0xfe;
      blocks.push(block);
    }
    position = end;
  }
  const rest = frame.subarray(position);
  if (rest.length > 0 && !isEmptyFrame(rest)) throw damaged(`${rest.length} bytes behind its end`);
  return joinMemory(blocks);
}

/** One frame of one empty block. */
function isEmptyFrame(data: Uint8Array): boolean {
  if (data.length < 8 || viewOf(data).getUint32(0, true) !== FRAME_MAGIC) return false;
  const block = data.subarray(5 + headerRest(data[4]!));
  return block.length === BLOCK_HEADER_SIZE && block[0] === 1 && block[1] === 0 && block[2] === 0;
}
