/** Which stretches of `Bytes` come again, told by where their extents come from: nothing is read. */
import type { Bytes, Extent } from '../../bytes/bytes.ts';

/** `length` bytes at `at` that stand `distance` before, too. */
export interface Repeat {
  readonly at: number;
  readonly length: number;
  readonly distance: number;
}

/** Below this a repeat saves next to nothing and cuts what is around it in two. Bytes. */
const MIN_REPEAT = 512;

/** A stretch of a source and where it stands in the sequence, the latest time. */
interface Occurrence {
  readonly start: number;
  readonly end: number;
  readonly at: number;
}

/** All repeats whose first copy lies at most `reach` bytes before, ascending and without overlap. Memory counts as a source of its own. */
export function findRepeats(bytes: Bytes, reach: number): Repeat[] {
  const repeats: Repeat[] = [];
  const known = new Map<unknown, Occurrence[]>();
  for (const [index, extent] of bytes.extents.entries()) {
    const origin = originOf(extent);
    if (origin === undefined || extent.length < MIN_REPEAT) continue;
    const occurrences = known.get(origin.key) ?? [];
    known.set(origin.key, occurrences);
    const at = bytes.starts[index]!;
    const end = origin.start + extent.length;
    for (let start = origin.start; start < end; ) {
      const place = at + start - origin.start;
      const found = occurrences[lastAtOrBefore(occurrences, start)];
      const length = found === undefined ? 0 : Math.min(found.end, end) - start;
      if (found === undefined || length < MIN_REPEAT) break;
      const distance = place - (found.at + start - found.start);
      if (distance <= reach) repeats.push({ at: place, length, distance });
      start += length;
    }
    remember(occurrences, { start: origin.start, end, at });
  }
  return repeats;
}

function originOf(extent: Extent): { readonly key: unknown; readonly start: number } | undefined {
  switch (extent.kind) {
    case 'range':
      return { key: extent.source.key, start: extent.offset };
    case 'memory':
      return { key: extent.data.buffer, start: extent.data.byteOffset };
    case 'zeros':
      return undefined;
  }
}

/** Kept in the order of their starts; what comes again with the same start takes the place of what was. */
function remember(occurrences: Occurrence[], added: Occurrence): void {
  const index = lastAtOrBefore(occurrences, added.start);
  if (occurrences[index]?.start === added.start) occurrences[index] = added;
  else occurrences.splice(index + 1, 0, added);
}

/** Index of the last one that starts at `start` or before, -1 for none. */
function lastAtOrBefore(occurrences: readonly Occurrence[], start: number): number {
  let low = -1;
  let high = occurrences.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (occurrences[middle]!.start <= start) low = middle;
    else high = middle - 1;
  }
  return low;
}
