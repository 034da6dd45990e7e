/**
 * What an overlay may write onto the disk itself: what boot ROMs load by its place, into the room before the first partition that
 * the partition table leaves. Source: spec boot-and-images 6.1, 6.4.
 */

import { isZero } from '../bytes/blocks.ts';
import { type Bytes, ofMemory, type Placement } from '../bytes/bytes.ts';
import { readInto } from '../bytes/read.ts';
import { KIB } from '../bytes/units.ts';
import { ImagerError, stopIfAborted } from '../errors.ts';

/** Bytes `start` up to, not including, `end`. */
export interface Area {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** The disk as the program was given it, with what belongs to somebody else. */
export interface WrittenDisk {
  readonly disk: Bytes;
  /** In ascending order, without overlap: partition table and partitions. What lies between them behind the first partition belongs to nobody, and is refused too. */
  readonly taken: readonly Area[];
  /** Where the first partition begins. */
  readonly gapEnd: number;
  /** Bytes the disk's file occupies. */
  readonly allocated: number;
}

const BLOCK: number = 4 * KIB;
/** What stays in the processor's cache: most of a disk is a hole, and larger pieces of one take ten times as long to read. */
const STEP: number = 256 * KIB;

/**
 * Everything in the disk that is not zero. Throws `dependency` for a byte outside the gap, naming its offset and whose it is. What lies behind the gap is read only when
 * the file occupies more than what the gap explains: to read gigabytes of a hole takes
 * seconds, and nothing tells where a file has its holes.
 */
export async function gapWrites(written: WrittenDisk, what: string, signal?: AbortSignal): Promise<Placement[]> {
  const { disk, gapEnd, allocated } = written;
  const inGap = await writesIn(written, 0, gapEnd, what, signal);
  const explained = inGap.reduce((sum, { at, bytes }) => sum + blocksOf(at, bytes.size), 0);
  if (allocated > explained) await writesIn(written, gapEnd, disk.size, what, signal);
  return inGap;
}

/** Bytes of the blocks a stretch touches. */
function blocksOf(at: number, size: number): number {
  return (Math.floor((at + size - 1) / BLOCK) - Math.floor(at / BLOCK) + 1) * BLOCK;
}

async function writesIn(
  { disk, taken, gapEnd }: WrittenDisk,
  from: number,
  to: number,
  what: string,
  signal: AbortSignal | undefined,
): Promise<Placement[]> {
  const placements: Placement[] = [];
  const buffer = new Uint8Array(STEP);
  for (let position = from; position < to; position += STEP) {
    stopIfAborted(signal, what);
    const data = buffer.subarray(0, Math.min(STEP, to - position));
    await readInto(disk, position, data);
    if (isAllZero(data)) continue;
    for (const { start, end } of runsOf(data)) {
      const at = position + start;
      refuseOutside({ taken, gapEnd }, data, at, position, end, what);
      placements.push({ at, bytes: ofMemory(data.slice(start, end)) });
    }
  }
  return placements;
}

/** Sixteen bytes at once, in a plain loop: gigabytes are looked at. */
function isAllZero(data: Uint8Array): boolean {
  const words = new Int32Array(data.buffer, data.byteOffset, data.length >> 2);
  const whole = words.length - (words.length % 4);
  for (let index = 0; index < whole; index += 4) {
    if ((words[index]! | words[index + 1]! | words[index + 2]! | words[index + 3]!) !== 0) return false;
  }
  return isZero(data, whole * 4);
}

/** Stretches from the first byte that is not zero to the last, broken where a whole block is. */
function* runsOf(data: Uint8Array): Generator<{ start: number; end: number }> {
  let start = -1;
  let last = -1;
  for (let index = 0; index < data.length; index++) {
    if (data[index] === 0) continue;
    if (start >= 0 && index - last > BLOCK) {
      yield { start, end: last + 1 };
      start = -1;
    }
    if (start < 0) start = index;
    last = index;
  }
  if (start >= 0) yield { start, end: last + 1 };
}

function refuseOutside(
  { taken, gapEnd }: Pick<WrittenDisk, 'taken' | 'gapEnd'>,
  data: Uint8Array,
  from: number,
  base: number,
  end: number,
  what: string,
): void {
  const firstIn = (start: number, stop: number): number => {
    for (let at = Math.max(start, from); at < Math.min(stop, base + end); at++) if (data[at - base] !== 0) return at;
    return -1;
  };
  for (const { name, start, end: stop } of [
    ...taken,
    { name: 'behind the partitions', start: gapEnd, end: Number.MAX_SAFE_INTEGER },
  ]) {
    const at = firstIn(start, stop);
    if (at < 0) continue;
    throw new ImagerError(
      'dependency',
      `${what}: wrote to the disk at byte ${at} (0x${at.toString(16)}), which is ${name}`,
      {
        hint: `want writes before the first partition, which begins at byte ${gapEnd}, and not over the partition table; partitionOptions.offset moves both back`,
      },
    );
  }
}
