/**
 * Trees of extents: which blocks of the volume a file's blocks are. The root lies in the inode, with room for four entries.
 * Little-endian. Source: Linux `Documentation/filesystems/ext4/ifork.rst`, "Extent Tree".
 */
import { structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { checksum } from './checksum.ts';
import type { Run } from './space.ts';

const MAGIC = 0xf30a;
const HEADER_SIZE = 12;
const ENTRY_SIZE = 12;
const TAIL_SIZE = 4;

/** Bytes of an inode for the root, or for whatever else the inode has in its place. */
export const ROOT_SIZE = 60;
const ROOT_CAPACITY: number = (ROOT_SIZE - HEADER_SIZE) / ENTRY_SIZE;

/** Longer counts mark extents that are not written yet. */
const MAXIMUM_LENGTH = 32768;

/** The kernel refuses more levels below the root. */
const MAXIMUM_DEPTH = 5;

export interface Extent {
  /** Block within the file. */
  readonly offset: number;
  /** Block of the volume. */
  readonly start: number;
  readonly count: number;
  /** Reads as zeros. */
  readonly unwritten: boolean;
}

/** What has to be written to a block of its own. */
export interface VolumeBlock {
  readonly block: number;
  readonly data: Uint8Array;
}

/** A file's extents when it lies in these runs, one after the other. */
export function extentsOf(runs: readonly Run[]): Extent[] {
  const extents: Extent[] = [];
  let offset = 0;
  for (const { start, end } of runs) {
    for (let at = start; at < end; at += MAXIMUM_LENGTH) {
      const count = Math.min(MAXIMUM_LENGTH, end - at);
      extents.push({ offset, start: at, count, unwritten: false });
      offset += count;
    }
  }
  return extents;
}

function capacityOf(blockSize: number): number {
  return Math.floor((blockSize - HEADER_SIZE) / ENTRY_SIZE);
}

/** Blocks that a tree of so many extents has besides its root. */
export function treeBlockCount(extents: number, blockSize: number): number {
  let blocks = 0;
  for (let level = extents; level > ROOT_CAPACITY; ) {
    level = Math.ceil(level / capacityOf(blockSize));
    blocks += level;
  }
  return blocks;
}

interface Child {
  /** First block within the file. */
  readonly offset: number;
  readonly block: number;
}

export interface EncodedTree {
  /** 60 bytes. */
  readonly root: Uint8Array;
  readonly blocks: readonly VolumeBlock[];
}

/** `places` are as many blocks as `treeBlockCount` says. */
export function encodeExtentTree(
  extents: readonly Extent[],
  places: readonly number[],
  blockSize: number,
  seed: number,
): EncodedTree {
  const root = structure(ROOT_SIZE);
  const blocks: VolumeBlock[] = [];
  if (extents.length <= ROOT_CAPACITY) {
    encodeLeaf(root.view, extents, ROOT_CAPACITY);
    return { root: root.data, blocks };
  }
  const capacity = capacityOf(blockSize);
  const addBlock = (offset: number, fill: (view: DataView) => void): Child => {
    const { data, view } = structure(blockSize);
    fill(view);
    const tail = HEADER_SIZE + capacity * ENTRY_SIZE;
    view.setUint32(tail, checksum(seed, data.subarray(0, tail)), true);
    const block = places[blocks.length]!;
    blocks.push({ block, data });
    return { offset, block };
  };
  let level = chunks(extents, capacity).map((leaf) =>
    addBlock(leaf[0]!.offset, (view) => encodeLeaf(view, leaf, capacity)),
  );
  let depth = 1;
  for (; level.length > ROOT_CAPACITY; depth++) {
    level = chunks(level, capacity).map((node) =>
      addBlock(node[0]!.offset, (view) => encodeNode(view, node, capacity, depth)),
    );
  }
  encodeNode(root.view, level, ROOT_CAPACITY, depth);
  return { root: root.data, blocks };
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

function encodeHeader(view: DataView, entries: number, capacity: number, depth: number): void {
  view.setUint16(0, MAGIC, true);
  view.setUint16(2, entries, true);
  view.setUint16(4, capacity, true);
  view.setUint16(6, depth, true);
}

function encodeLeaf(view: DataView, extents: readonly Extent[], capacity: number): void {
  encodeHeader(view, extents.length, capacity, 0);
  for (const [index, { offset, start, count }] of extents.entries()) {
    const at = HEADER_SIZE + index * ENTRY_SIZE;
    view.setUint32(at, offset, true);
    view.setUint16(at + 4, count, true);
    view.setUint32(at + 8, start, true);
  }
}

function encodeNode(view: DataView, children: readonly Child[], capacity: number, depth: number): void {
  encodeHeader(view, children.length, capacity, depth);
  for (const [index, { offset, block }] of children.entries()) {
    const at = HEADER_SIZE + index * ENTRY_SIZE;
    view.setUint32(at, offset, true);
    view.setUint32(at + 4, block, true);
  }
}

export type DecodedNode =
  | { readonly kind: 'leaf'; readonly extents: readonly Extent[] }
  /** `children` are blocks of the volume, `depth` the levels below this one. */
  | { readonly kind: 'node'; readonly children: readonly number[]; readonly depth: number };

/** Of a root or a block, to say which is wrong. Throws `invalid-input` for what is no node. */
export function decodeExtentNode(data: Uint8Array, what: string): DecodedNode {
  const view = viewOf(data);
  if (view.getUint16(0, true) !== MAGIC) throw invalid(`${what}: no extents are there`);
  const entries = view.getUint16(2, true);
  const depth = view.getUint16(6, true);
  if (entries > Math.floor((data.length - HEADER_SIZE) / ENTRY_SIZE)) {
    throw invalid(`${what}: ${entries} extents in ${data.length} bytes`);
  }
  if (depth > MAXIMUM_DEPTH) throw invalid(`${what}: ${depth} levels of extents, want at most ${MAXIMUM_DEPTH}`);
  const offsets = Array.from({ length: entries }, (_, index) => HEADER_SIZE + index * ENTRY_SIZE);
  if (depth > 0) {
    const children = offsets.map((at) => view.getUint32(at + 4, true) + view.getUint16(at + 8, true) * 2 ** 32);
    return { kind: 'node', children, depth };
  }
  const extents = offsets.map((at): Extent => {
    const length = view.getUint16(at + 4, true);
    const unwritten = length > MAXIMUM_LENGTH;
    return {
      offset: view.getUint32(at, true),
      start: view.getUint32(at + 8, true) + view.getUint16(at + 6, true) * 2 ** 32,
      count: unwritten ? length - MAXIMUM_LENGTH : length,
      unwritten,
    };
  });
  return { kind: 'leaf', extents };
}

/** Whether a block, not a root, has its checksum. */
export function isSealedExtentBlock(data: Uint8Array, seed: number): boolean {
  const view = viewOf(data);
  const tail = HEADER_SIZE + view.getUint16(4, true) * ENTRY_SIZE;
  return tail + TAIL_SIZE <= data.length && view.getUint32(tail, true) === checksum(seed, data.subarray(0, tail));
}
