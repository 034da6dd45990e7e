/**
 * `Bytes` as blocks of equal size: which of them hold something, and which are an earlier one again. Both are known from the extents alone;
 * what a source holds is not looked at. Costs one step per extent and per block of memory, however large the ranges and zeros are.
 */
import { type Bytes, type Extent, extentAt } from './bytes.ts';

/** Blocks `first` up to, not including, `first + count`. Blocks that are zero are in no run. */
export interface BlockRun {
  /** Position divided by the block size. */
  readonly first: number;
  readonly count: number;
  /** The earlier block from which on the same content was first met; `undefined` where it is met here. */
  readonly sameAs: number | undefined;
}

/** Runs in ascending order. What the last block lacks in size counts as zeros. */
export function blockRuns(bytes: Bytes, blockSize: number): BlockRun[] {
  const runs: BlockRun[] = [];
  const ranges = new Map<string, SeenRange[]>();
  const mixed = new Map<string, number>();
  for (let position = 0; position < bytes.size; ) {
    const index = extentAt(bytes, position);
    const extent = bytes.extents[index]!;
    const skip = position - bytes.starts[index]!;
    const first = position / blockSize;
    const count = Math.floor((extent.length - skip) / blockSize);
    position += Math.max(count, 1) * blockSize;
    if (count === 0) {
      const key = mixedKey(bytes, index, first * blockSize, blockSize);
      if (key === ZERO) continue;
      const sameAs = key === undefined ? undefined : mixed.get(key);
      if (key !== undefined && sameAs === undefined) mixed.set(key, first);
      push(runs, { first, count: 1, sameAs });
    } else if (extent.kind === 'memory') {
      pushMemory(runs, extent.data, skip, first, count, blockSize);
    } else if (extent.kind === 'range') {
      const offset = extent.offset + skip;
      const key = JSON.stringify([extent.source.key, offset % blockSize]);
      const seen = ranges.get(key) ?? [];
      ranges.set(key, seen);
      pushRange(runs, seen, { start: Math.floor(offset / blockSize), count, block: first });
    }
  }
  return runs;
}

/** Blocks of a source from number `start` (of its blocks of one phase) that stand at `block`. */
interface SeenRange {
  readonly start: number;
  readonly count: number;
  readonly block: number;
}

/** Splits a range into what `seen` has and what is new; `seen` is ascending without overlap and gets the new parts. */
function pushRange(runs: BlockRun[], seen: SeenRange[], range: SeenRange): void {
  for (let done = 0; done < range.count; ) {
    const start = range.start + done;
    const first = range.block + done;
    const left = range.count - done;
    const index = firstEndingAfter(seen, start);
    const known = seen[index];
    let count = left;
    if (known !== undefined && known.start <= start) {
      const into = start - known.start;
      count = Math.min(left, known.count - into);
      push(runs, { first, count, sameAs: known.block + into });
    } else {
      if (known !== undefined) count = Math.min(left, known.start - start);
      seen.splice(index, 0, { start, count, block: first });
      push(runs, { first, count, sameAs: undefined });
    }
    done += count;
  }
}

function firstEndingAfter(seen: readonly SeenRange[], start: number): number {
  let low = 0;
  let high = seen.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { start: at, count } = seen[middle]!;
    if (at + count <= start) low = middle + 1;
    else high = middle;
  }
  return low;
}

function pushMemory(
  runs: BlockRun[],
  data: Uint8Array,
  skip: number,
  first: number,
  count: number,
  blockSize: number,
): void {
  for (let block = 0; block < count; block++) {
    const at = skip + block * blockSize;
    if (!isZero(data, at, at + blockSize)) push(runs, { first: first + block, count: 1, sameAs: undefined });
  }
}

const ZERO = 'zero';

/** What names the content of a block of several extents: the same key, the same bytes. `undefined` when it has memory in it that is not zero. */
function mixedKey(bytes: Bytes, from: number, position: number, blockSize: number): string | undefined {
  const parts: (string | number)[] = [];
  const end = Math.min(position + blockSize, bytes.size);
  let zerosBefore = 0;
  for (let index = from, at = position; at < end; index++) {
    const extent = bytes.extents[index]!;
    const skip = at - bytes.starts[index]!;
    const length = Math.min(extent.length - skip, end - at);
    at += length;
    if (isZeroPart(extent, skip, length)) {
      zerosBefore += length;
      continue;
    }
    if (extent.kind !== 'range') return undefined;
    parts.push(zerosBefore, extent.source.key, extent.offset + skip, length);
    zerosBefore = 0;
  }
  return parts.length === 0 ? ZERO : JSON.stringify(parts);
}

function isZeroPart(extent: Extent, skip: number, length: number): boolean {
  return extent.kind === 'zeros' || (extent.kind === 'memory' && isZero(extent.data, skip, skip + length));
}

/** Whether all bytes from `start` up to `end` are zero. */
export function isZero(data: Uint8Array, start = 0, end: number = data.length): boolean {
  for (let index = start; index < end; index++) if (data[index] !== 0) return false;
  return true;
}

/** Joins what continues the run before it. */
function push(runs: BlockRun[], run: BlockRun): void {
  const last = runs.at(-1);
  const joins =
    last !== undefined &&
    last.first + last.count === run.first &&
    (run.sameAs === undefined
      ? last.sameAs === undefined
      : last.sameAs !== undefined && last.sameAs + last.count === run.sameAs);
  if (joins) runs[runs.length - 1] = { ...last, count: last.count + run.count };
  else runs.push(run);
}
