/**
 * Directories of more than one block (dir_index): entries by the hash of their names, and a tree over their blocks that looks like blocks
 * without entries to those who do not know it. The root is the first block; below it are the blocks of entries, or one level between.
 * Little-endian. Source: Linux `Documentation/filesystems/ext4/directory.rst`, "Hash Tree Directories".
 */
import { structure, viewOf } from '../../bytes/field.ts';
import { checksum } from './checksum.ts';
import { type DirectoryItem, dotItems, encodeDirectoryBlock, itemSize, putItem, TAIL_SIZE } from './directory-block.ts';
import { HALF_MD4, hashName } from './name-hash.ts';

/** `.` and `..` and 8 bytes about the tree come before the entries of a root, the header of one empty entry before those of a node. */
const ROOT_ENTRIES = 32;
const NODE_ENTRIES = 8;
const INFO_OFFSET = 24;
const INFO_SIZE = 8;
const ENTRY_SIZE = 8;
/** Four bytes that are not in use, and the checksum. */
const CHECKSUM_SIZE = 8;

/** Set in a hash where entries of the same one begin in the block before. */
const CONTINUED = 1;

interface Leaf {
  readonly items: readonly DirectoryItem[];
  /** From which hash on the block is looked at. */
  readonly hash: number;
}

export interface HashTreePlan {
  readonly leaves: readonly Leaf[];
  /** Blocks between the root and the leaves; 0 when the root leads to them. */
  readonly nodes: number;
}

function rootCapacity(blockSize: number): number {
  return Math.floor((blockSize - ROOT_ENTRIES - CHECKSUM_SIZE) / ENTRY_SIZE);
}

function nodeCapacity(blockSize: number): number {
  return Math.floor((blockSize - NODE_ENTRIES - CHECKSUM_SIZE) / ENTRY_SIZE);
}

export function hashTreeBlocks({ leaves, nodes }: HashTreePlan): number {
  return 1 + nodes + leaves.length;
}

/** Which entries share a block; `undefined` when they are more than two levels can hold (large_dir is not in use). */
export function planHashTree(
  items: readonly DirectoryItem[],
  blockSize: number,
  hashSeed: Uint8Array,
): HashTreePlan | undefined {
  const hashed = items.map((item) => ({ item, hash: hashName(item.name, hashSeed) }));
  hashed.sort((a, b) => a.hash - b.hash);
  const leaves: Leaf[] = [];
  let held: DirectoryItem[] = [];
  let start = 0;
  let last = 0;
  let room = 0;
  for (const { item, hash } of hashed) {
    const size = itemSize(item);
    if (size > room) {
      if (held.length > 0) leaves.push({ items: held, hash: start });
      start = held.length > 0 && hash === last ? hash + CONTINUED : hash;
      held = [];
      room = blockSize - TAIL_SIZE;
    }
    held.push(item);
    room -= size;
    last = hash;
  }
  leaves.push({ items: held, hash: start });
  const nodes = leaves.length <= rootCapacity(blockSize) ? 0 : Math.ceil(leaves.length / nodeCapacity(blockSize));
  return nodes > rootCapacity(blockSize) ? undefined : { leaves, nodes };
}

interface IndexEntry {
  readonly hash: number;
  /** Block within the directory. */
  readonly block: number;
}

/** All blocks in the order of the directory. `seed` is its inode's. */
export function encodeHashTree(
  { leaves, nodes }: HashTreePlan,
  self: number,
  parent: number,
  blockSize: number,
  seed: number,
): Uint8Array[] {
  const toLeaves = leaves.map(({ hash }, index): IndexEntry => ({ hash, block: 1 + nodes + index }));
  const capacity = nodeCapacity(blockSize);
  const groups = Array.from({ length: nodes }, (_, index) => toLeaves.slice(index * capacity, (index + 1) * capacity));
  const toNodes = groups.map((group, index): IndexEntry => ({ hash: group[0]!.hash, block: 1 + index }));
  return [
    encodeRoot(nodes === 0 ? toLeaves : toNodes, nodes === 0 ? 0 : 1, dotItems(self, parent), blockSize, seed),
    ...groups.map((group) => encodeNode(group, blockSize, seed)),
    ...leaves.map(({ items }) => encodeDirectoryBlock(items, blockSize, seed)),
  ];
}

function encodeRoot(
  entries: readonly IndexEntry[],
  levels: number,
  [dot, dotDot]: readonly [DirectoryItem, DirectoryItem],
  blockSize: number,
  seed: number,
): Uint8Array {
  const { data, view } = structure(blockSize);
  putItem(data, 0, 12, dot);
  putItem(data, 12, blockSize - 12, dotDot);
  view.setUint8(INFO_OFFSET + 4, HALF_MD4);
  view.setUint8(INFO_OFFSET + 5, INFO_SIZE);
  view.setUint8(INFO_OFFSET + 6, levels);
  putEntries(data, ROOT_ENTRIES, rootCapacity(blockSize), entries, seed);
  return data;
}

function encodeNode(entries: readonly IndexEntry[], blockSize: number, seed: number): Uint8Array {
  const { data, view } = structure(blockSize);
  view.setUint16(4, blockSize, true);
  putEntries(data, NODE_ENTRIES, nodeCapacity(blockSize), entries, seed);
  return data;
}

/** The first entry needs no hash: in its place are the entries there may be, and how many there are. */
function putEntries(
  data: Uint8Array,
  at: number,
  capacity: number,
  entries: readonly IndexEntry[],
  seed: number,
): void {
  const view = viewOf(data);
  for (const [index, { hash, block }] of entries.entries()) {
    view.setUint32(at + index * ENTRY_SIZE, hash, true);
    view.setUint32(at + index * ENTRY_SIZE + 4, block, true);
  }
  view.setUint16(at, capacity, true);
  view.setUint16(at + 2, entries.length, true);
  view.setUint32(at + capacity * ENTRY_SIZE + 4, indexChecksum(data, at, capacity, entries.length, seed), true);
}

/** Entries in use, then the end of the block with zeros in the checksum's place. */
function indexChecksum(data: Uint8Array, at: number, capacity: number, count: number, seed: number): number {
  const tail = at + capacity * ENTRY_SIZE;
  const entries = checksum(seed, data.subarray(0, at + count * ENTRY_SIZE));
  return checksum(checksum(entries, data.subarray(tail, tail + 4)), new Uint8Array(4));
}

/** Where the entries of a root or node begin; `undefined` when the block is neither. */
function entriesOffset(data: Uint8Array): number | undefined {
  const view = viewOf(data);
  const length = view.getUint16(4, true);
  if (length === data.length && view.getUint32(0, true) === 0) return NODE_ENTRIES;
  return length === 12 && view.getUint16(16, true) === data.length - 12 ? ROOT_ENTRIES : undefined;
}

/** Whether the block is a root or node of hashes, with its checksum. */
export function isSealedIndexBlock(data: Uint8Array, seed: number): boolean {
  const at = entriesOffset(data);
  if (at === undefined) return false;
  const view = viewOf(data);
  const capacity = view.getUint16(at, true);
  const count = view.getUint16(at + 2, true);
  const tail = at + capacity * ENTRY_SIZE;
  if (count > capacity || tail + CHECKSUM_SIZE > data.length) return false;
  return view.getUint32(tail + 4, true) === indexChecksum(data, at, capacity, count, seed);
}
