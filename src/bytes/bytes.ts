/**
 * `Bytes`: an immutable sequence of bytes of known size, as a flat list of extents. Cutting, joining and patching are
 * arithmetic on extents; nothing is read until somebody reads, streams or hashes it.
 *
 * Invariants: no extent is empty; neighbours that could be one extent are one; `starts[i]` is where extent `i` begins.
 */
import { ImagerError, invalid } from '../errors.ts';
import type { Source } from '../platform/types.ts';

/** A part of a sequence: bytes in memory, a range of a file or other source, or zeros; `length` in bytes, never 0. */
export type Extent =
  | { readonly kind: 'memory'; readonly length: number; readonly data: Uint8Array }
  | { readonly kind: 'range'; readonly length: number; readonly source: Source; readonly offset: number }
  | { readonly kind: 'zeros'; readonly length: number };

/** Content of known size whose parts are described, not held. Made by the functions of this folder only. */
export interface Bytes {
  /** Bytes. */
  readonly size: number;
  readonly extents: readonly Extent[];
  /** Position of each extent in the sequence, ascending; makes every look-up a binary search. */
  readonly starts: readonly number[];
}

/** Memory pieces up to this size are merged with a memory neighbour, so that many small writes stay few extents. */
const MERGE_LIMIT = 4096;

export const EMPTY: Bytes = { size: 0, extents: [], starts: [] };

/** The bytes of `data`, which must not be changed afterwards. */
export function ofMemory(data: Uint8Array): Bytes {
  if (data.length === 0) return EMPTY;
  return { size: data.length, extents: [{ kind: 'memory', length: data.length, data }], starts: [0] };
}

/** UTF-8. */
export function ofText(text: string): Bytes {
  return ofMemory(new TextEncoder().encode(text));
}

export function zeros(size: number): Bytes {
  checkSize(size, 'zeros');
  if (size === 0) return EMPTY;
  return { size, extents: [{ kind: 'zeros', length: size }], starts: [0] };
}

/** All of a source, or `length` bytes of it from `offset`. Throws `invalid-input` when the range lies outside. */
export function ofSource(source: Source, offset = 0, length: number = source.size - offset): Bytes {
  if (!isSize(offset) || !isSize(length) || offset + length > source.size) {
    throw invalid(`${source.label}: range ${offset}+${length} lies outside its ${source.size} bytes`);
  }
  if (length === 0) return EMPTY;
  return { size: length, extents: [{ kind: 'range', length, source, offset }], starts: [0] };
}

/** All parts, one after the other. Costs one step per extent, whatever the sizes. */
export function concat(parts: readonly Bytes[]): Bytes {
  const list = new ExtentList();
  for (const part of parts) for (const extent of part.extents) list.push(extent);
  return list.toBytes();
}

/** From `start` up to, not including, `end`. Throws `invalid-input` outside `0 <= start <= end <= size`. */
export function slice(bytes: Bytes, start: number, end: number = bytes.size): Bytes {
  if (!isSize(start) || !isSize(end) || start > end || end > bytes.size) {
    throw invalid(`slice ${start}..${end} lies outside ${bytes.size} bytes`);
  }
  if (start === 0 && end === bytes.size) return bytes;
  const list = new ExtentList();
  pushSlice(list, bytes, start, end);
  return list.toBytes();
}

export interface Placement {
  /** Position of the first byte. */
  readonly at: number;
  readonly bytes: Bytes;
}

/**
 * A sequence of `size` bytes with each placement at its position and zeros between. Throws `invalid-input` when two
 * placements overlap or one reaches past the end: a layout that does that is wrong, and silence would hide it.
 */
export function place(size: number, placements: readonly Placement[]): Bytes {
  checkSize(size, 'place');
  const sorted = placements.filter(({ bytes }) => bytes.size > 0).sort((a, b) => a.at - b.at);
  const list = new ExtentList();
  let position = 0;
  for (const { at, bytes } of sorted) {
    if (!isSize(at) || at < position) throw invalid(`placement at ${at} overlaps the one that ends at ${position}`);
    if (at + bytes.size > size) throw invalid(`placement ${at}+${bytes.size} reaches past ${size} bytes`);
    list.push({ kind: 'zeros', length: at - position });
    for (const extent of bytes.extents) list.push(extent);
    position = at + bytes.size;
  }
  list.push({ kind: 'zeros', length: size - position });
  return list.toBytes();
}

/** `bytes` with each patch put over what was there. Patches may not overlap each other; the size stays. */
export function patch(bytes: Bytes, patches: readonly Placement[]): Bytes {
  const sorted = patches.filter((one) => one.bytes.size > 0).sort((a, b) => a.at - b.at);
  const list = new ExtentList();
  let position = 0;
  for (const one of sorted) {
    if (!isSize(one.at) || one.at < position)
      throw invalid(`patch at ${one.at} overlaps the one that ends at ${position}`);
    if (one.at + one.bytes.size > bytes.size)
      throw invalid(`patch ${one.at}+${one.bytes.size} reaches past ${bytes.size} bytes`);
    pushSlice(list, bytes, position, one.at);
    for (const extent of one.bytes.extents) list.push(extent);
    position = one.at + one.bytes.size;
  }
  pushSlice(list, bytes, position, bytes.size);
  return list.toBytes();
}

/** Zero-padded at the end to `size`; throws `invalid-input` when the bytes are longer than that. */
export function padTo(bytes: Bytes, size: number): Bytes {
  if (size < bytes.size) throw invalid(`${bytes.size} bytes do not fit ${size}`);
  return concat([bytes, zeros(size - bytes.size)]);
}

/** Zero-padded at the end to a multiple of `alignment` bytes. */
export function padToMultiple(bytes: Bytes, alignment: number): Bytes {
  return padTo(bytes, alignUp(bytes.size, alignment));
}

/** The least multiple of `alignment` that is not below `value`. Exact for all safe integers. */
export function alignUp(value: number, alignment: number): number {
  const rest = value % alignment;
  return rest === 0 ? value : value + (alignment - rest);
}

/** Index of the extent that holds `position`, which must lie inside. */
export function extentAt(bytes: Bytes, position: number): number {
  let low = 0;
  let high = bytes.starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (bytes.starts[middle]! <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The part of an extent from `from` up to `to`, both relative to its start. */
export function cutExtent(extent: Extent, from: number, to: number): Extent {
  if (from === 0 && to === extent.length) return extent;
  switch (extent.kind) {
    case 'memory':
      return { kind: 'memory', length: to - from, data: extent.data.subarray(from, to) };
    case 'range':
      return { kind: 'range', length: to - from, source: extent.source, offset: extent.offset + from };
    case 'zeros':
      return { kind: 'zeros', length: to - from };
  }
}

/** Throws `invalid-input` unless `size` is a byte count that arithmetic on it stays exact for. */
export function checkSize(size: number, what: string): void {
  if (!isSize(size)) throw invalid(`${what}: ${size} is no byte count`);
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function pushSlice(list: ExtentList, bytes: Bytes, start: number, end: number): void {
  if (start >= end) return;
  for (let index = extentAt(bytes, start); index < bytes.extents.length; index++) {
    const extent = bytes.extents[index]!;
    const at = bytes.starts[index]!;
    if (at >= end) return;
    list.push(cutExtent(extent, Math.max(0, start - at), Math.min(extent.length, end - at)));
  }
}

/** Collects extents and keeps the invariants. Local to this file: outside it only finished `Bytes` exist. */
class ExtentList {
  readonly #extents: Extent[] = [];
  /** Small memory pieces waiting to become one extent. */
  #pending: Uint8Array[] = [];
  #pendingLength = 0;

  push(extent: Extent): void {
    if (extent.length === 0) return;
    if (extent.kind === 'memory' && extent.length < MERGE_LIMIT && this.#pendingLength < MERGE_LIMIT) {
      this.#pending.push(extent.data);
      this.#pendingLength += extent.length;
      return;
    }
    this.#flush();
    if (extent.kind === 'memory' && extent.length < MERGE_LIMIT) {
      this.#pending.push(extent.data);
      this.#pendingLength = extent.length;
      return;
    }
    const last = this.#extents.at(-1);
    if (last?.kind === 'zeros' && extent.kind === 'zeros') {
      this.#extents[this.#extents.length - 1] = { kind: 'zeros', length: last.length + extent.length };
    } else if (
      last?.kind === 'range' &&
      extent.kind === 'range' &&
      last.source.key === extent.source.key &&
      last.offset + last.length === extent.offset
    ) {
      const length = last.length + extent.length;
      this.#extents[this.#extents.length - 1] = { kind: 'range', length, source: last.source, offset: last.offset };
    } else {
      this.#extents.push(extent);
    }
  }

  toBytes(): Bytes {
    this.#flush();
    const starts = new Array<number>(this.#extents.length);
    let size = 0;
    for (const [index, extent] of this.#extents.entries()) {
      starts[index] = size;
      size += extent.length;
    }
    if (!Number.isSafeInteger(size))
      throw new ImagerError('invalid-input', `${size} bytes are more than can be counted`);
    return { size, extents: this.#extents, starts };
  }

  #flush(): void {
    if (this.#pendingLength === 0) return;
    const [first, ...rest] = this.#pending;
    let data = first!;
    if (rest.length > 0) {
      data = new Uint8Array(this.#pendingLength);
      let position = 0;
      for (const piece of this.#pending) {
        data.set(piece, position);
        position += piece.length;
      }
    }
    this.#extents.push({ kind: 'memory', length: data.length, data });
    this.#pending = [];
    this.#pendingLength = 0;
  }
}
