/**
 * Blocks of one libzstd frame as part of another. They are at home there if nothing in them reaches outside: matches stay within their frame, and
 * its first blocks have no older tables to repeat. One thing is carried over: the three repeat offsets (RFC 8878 section 3.1.1.5), which
 * libzstd takes for 1, 4 and 8 at the start, and which in the other frame are what the blocks before have made of them. So either a
 * segment opens with three short matches at distances 8, 4 and 1, where its content has such, and libzstd compresses what follows; or it is
 * shown not to use those offsets. Either way it assumes nothing about its place: it is compressed once and used in any frame.
 */
import { type Bytes, concat, ofMemory } from '../../bytes/bytes.ts';
import { joinMemory, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { MIN_MATCH, matchBlocks, rawBlocks } from './block.ts';
import { FRAME_MAGIC, headerRest } from './frame-walker.ts';
import { layoutZstdFrame } from './layout-frame.ts';

/** The start of a segment. */
export interface Opening {
  /** Bytes of content it stands for; libzstd gets the rest. */
  readonly length: number;
  readonly blocks: Bytes;
}

/** After matches at all of these, in this order, the repeat offsets are 1, 4 and 8. */
export const START_OFFSETS: readonly number[] = [8, 4, 1];

/** The shortest opening of `content` that has matches at `distances`, in their order; `undefined` when there is none in it. */
export function openSegment(content: Uint8Array, distances: readonly number[] = START_OFFSETS): Opening | undefined {
  const parts: Bytes[] = [];
  let position = 0;
  for (const distance of distances) {
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

/** Two patterns, so that what one leaves equal by chance the other does not. */
const HOSTILE_PATTERNS = [0xff, 0x55] as const;

/** A frame, and where in its content that of a segment should be. */
export interface HostileFrame {
  readonly frame: Bytes;
  readonly start: number;
}

/**
 * Frames that end in `content` only if its `blocks` do not use the repeat offsets they find. Before them those lead to a copy of the content in which
 * no byte is right, so that the first use, of an offset or of one less, gives a wrong byte in one of the two frames at least.
 */
export function hostileFrames(content: Uint8Array, blocks: Bytes): HostileFrame[] {
  const setUp = START_OFFSETS.length * MIN_MATCH;
  return HOSTILE_PATTERNS.map((pattern) => {
    const before = new Uint8Array(setUp + content.length);
    for (let index = 0; index < content.length; index++) before[setUp + index] = content[index]! ^ pattern;
    const match = { kind: 'repeat', length: MIN_MATCH, distance: before.length } as const;
    const frame = layoutZstdFrame([
      { kind: 'raw', content: ofMemory(before) },
      ...START_OFFSETS.map(() => match),
      { kind: 'segment', length: content.length, blocks },
    ]);
    return { frame, start: before.length + setUp };
  });
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
