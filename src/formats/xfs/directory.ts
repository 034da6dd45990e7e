/**
 * Directories too large for their inode. Within the directory's file there are three segments: entries from 0, hashes from 32 GiB,
 * free space from 64 GiB. Source: XFS Algorithms and Data Structures, "Directories".
 */
import { GIB } from '../../bytes/units.ts';
import { invalid } from '../../errors.ts';
import { FILE_TYPE } from '../volume/directory-entry.ts';
import { blockCount, split, type TreeBlock, type TreeShape } from './btree.ts';
import { encodeHashNodes, type ForkBlocks, hashTreePlaces, hashTreeShape, siblingsOf } from './da-node.ts';
import { BLOCK_MAGIC, DATA_MAGIC, encodeDataBlock, HEADER_SIZE, type Slot, slotSize } from './directory-data.ts';
import { encodeFreeBlock, FREE_CAPACITY } from './directory-free.ts';
import type { DirectoryContent } from './directory-item.ts';
import {
  encodeHashEntries,
  encodeLeaf,
  encodeOnlyLeaf,
  fitsOneLeaf,
  type HashEntry,
  hashEntriesOf,
  LEAF_CAPACITY,
} from './directory-leaf.ts';
import { BLOCK_SIZE } from './geometry.ts';

/** Blocks within the directory. */
export const HASH_SEGMENT: number = (32 * GIB) / BLOCK_SIZE;
export const FREE_SEGMENT: number = (64 * GIB) / BLOCK_SIZE;

/** Count of hashes, and of deleted ones. */
const BLOCK_TAIL_SIZE = 8;

export interface DirectoryPlan {
  readonly form: 'block' | 'leaf' | 'node';
  readonly slots: readonly Slot[];
  /** Longest free space of each data block. */
  readonly best: readonly number[];
  /** Blocks of each segment. */
  readonly dataBlocks: number;
  readonly hashBlocks: number;
  readonly freeBlocks: number;
}

/** Where all the entries go, and with it how many blocks there will be. Throws `invalid-input` above 32 GiB of entries. */
export function planDirectory({ self, parent, items }: DirectoryContent): DirectoryPlan {
  const all = [
    { name: Uint8Array.of(0x2e), inode: self, type: FILE_TYPE.directory },
    { name: Uint8Array.of(0x2e, 0x2e), inode: parent, type: FILE_TYPE.directory },
    ...items,
  ];
  const slots: Slot[] = [];
  const best: number[] = [];
  let at = HEADER_SIZE;
  for (const item of all) {
    const size = slotSize(item.name.length);
    if (at + size > BLOCK_SIZE) {
      best.push(BLOCK_SIZE - at);
      at = HEADER_SIZE;
    }
    slots.push({ ...item, offset: best.length * BLOCK_SIZE + at });
    at += size;
  }
  best.push(BLOCK_SIZE - at);
  const dataBlocks = best.length;
  if (dataBlocks > HASH_SEGMENT) throw invalid(`XFS directory of ${items.length} entries: more than it can hold`);
  const common = { slots, best, dataBlocks };
  const fitsOneBlock = dataBlocks === 1 && at <= BLOCK_SIZE - BLOCK_TAIL_SIZE - slots.length * 8;
  if (fitsOneBlock) return { form: 'block', ...common, hashBlocks: 0, freeBlocks: 0 };
  if (fitsOneLeaf(slots.length, dataBlocks)) return { form: 'leaf', ...common, hashBlocks: 1, freeBlocks: 0 };
  const hashBlocks = blockCount(leavesOf(slots.length).shape);
  return { form: 'node', ...common, hashBlocks, freeBlocks: Math.ceil(dataBlocks / FREE_CAPACITY) };
}

function leavesOf(entries: number): { runs: ReturnType<typeof split>; shape: TreeShape } {
  const runs = split(entries, LEAF_CAPACITY);
  return { runs, shape: hashTreeShape(runs.length) };
}

export function encodeDirectory(plan: DirectoryPlan, fork: ForkBlocks): TreeBlock[] {
  const hashes = hashEntriesOf(plan.slots);
  switch (plan.form) {
    case 'block': {
      const self = fork.blockAt(0);
      return [{ block: self, data: encodeSingleBlock(plan.slots, hashes, self, fork) }];
    }
    case 'leaf': {
      const self = fork.blockAt(HASH_SEGMENT);
      return [...encodeDataBlocks(plan, fork), { block: self, data: encodeOnlyLeaf(hashes, plan.best, self, fork) }];
    }
    case 'node':
      return [...encodeDataBlocks(plan, fork), ...encodeHashTree(hashes, fork), ...encodeFreeBlocks(plan.best, fork)];
  }
}

function encodeSingleBlock(
  slots: readonly Slot[],
  hashes: readonly HashEntry[],
  self: number,
  fork: ForkBlocks,
): Uint8Array {
  const limit = BLOCK_SIZE - BLOCK_TAIL_SIZE - hashes.length * 8;
  const header = { magic: BLOCK_MAGIC, self, uuid: fork.uuid, inode: fork.inode };
  return encodeDataBlock(header, slots, limit, (view) => {
    encodeHashEntries(view, limit, hashes);
    view.setUint32(BLOCK_SIZE - BLOCK_TAIL_SIZE, hashes.length);
  });
}

function encodeDataBlocks({ slots, dataBlocks }: DirectoryPlan, fork: ForkBlocks): TreeBlock[] {
  const blocks: TreeBlock[] = [];
  let next = 0;
  for (let index = 0; index < dataBlocks; index++) {
    const first = next;
    while (next < slots.length && slots[next]!.offset < (index + 1) * BLOCK_SIZE) next++;
    const block = fork.blockAt(index);
    const header = { magic: DATA_MAGIC, self: block, uuid: fork.uuid, inode: fork.inode };
    blocks.push({ block, data: encodeDataBlock(header, slots.slice(first, next), BLOCK_SIZE) });
  }
  return blocks;
}

function encodeHashTree(hashes: readonly HashEntry[], fork: ForkBlocks): TreeBlock[] {
  const { runs, shape } = leavesOf(hashes.length);
  const places = hashTreePlaces(shape, HASH_SEGMENT);
  const leaves = runs.map(({ first, count }, index) => {
    const block = fork.blockAt(places[0]![index]!);
    const entries = hashes.slice(first, first + count);
    return { block, data: encodeLeaf(entries, block, siblingsOf(places[0]!, index), fork) };
  });
  const greatest = runs.map(({ first, count }) => hashes[first + count - 1]!.hash);
  return [...encodeHashNodes(shape, places, greatest, fork), ...leaves];
}

function encodeFreeBlocks(best: readonly number[], fork: ForkBlocks): TreeBlock[] {
  const blocks: TreeBlock[] = [];
  for (let first = 0; first < best.length; first += FREE_CAPACITY) {
    const block = fork.blockAt(FREE_SEGMENT + first / FREE_CAPACITY);
    blocks.push({ block, data: encodeFreeBlock(first, best.slice(first, first + FREE_CAPACITY), block, fork) });
  }
  return blocks;
}
