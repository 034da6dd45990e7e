/** All inodes in use, and the blocks of metadata that belong to them. */
import { MODE } from '../../tree/mode.ts';
import { encodeAttributeBlock, encodeInodeAttributes } from './attribute.ts';
import { inodeSeed } from './checksum.ts';
import { encodeDirectory } from './directory.ts';
import { type Extent, encodeExtentTree, type VolumeBlock } from './extent-tree.ts';
import { INODE_SIZE } from './geometry.ts';
import { inodesUsedIn } from './group.ts';
import {
  ATTRIBUTE_ROOM,
  encodeBadBlocksInode,
  encodeInode,
  encodeUnusedInode,
  INODE,
  INODE_FLAGS,
  type InodeFields,
} from './inode.ts';
import type { PlannedInode } from './inode-plan.ts';
import { encodeOrphanTails } from './orphan-file.ts';
import { blocksIn, type PlacedData, type PlacedInode, type Placement } from './placement.ts';
import { encodeResizeInode } from './resize-inode.ts';
import type { Timestamp } from './timestamp.ts';

/** Metadata at a byte of the volume. */
export interface Written {
  readonly at: number;
  readonly data: Uint8Array;
}

export interface EncodedInodes {
  readonly written: readonly Written[];
  /** Root of the extents of the journal. */
  readonly journalRoot: Uint8Array;
}

/** Of fixed numbers, for quotas and other systems: nobody has them here. */
const UNUSED = [3, 4, 5, 6, 9, 10];

/** `seed` is the volume's, `made` when inodes were made and changed. */
export function encodeInodes(placement: Placement, seed: number, made: Timestamp): EncodedInodes {
  const { geometry, inodes, journal, orphans, resizeBlock } = placement;
  const { blockSize } = geometry;
  const tables = emptyTables(placement);
  const slotOf = (number: number): Uint8Array => slotIn(tables, number, geometry.inodesPerGroup);
  const blocks: VolumeBlock[] = [];
  const put = (number: number, fields: Omit<InodeFields, 'changed'>): void => {
    encodeInode(slotOf(number), { ...fields, changed: made }, inodeSeed(seed, number));
  };
  const hidden = { mode: MODE.file | 0o600, uid: 0, gid: 0, links: 1, modified: made, attributeBlock: 0 } as const;
  const putHidden = (number: number, placed: PlacedData): Uint8Array => {
    const tree = encodeExtentTree(placed.extents, placed.treeBlocks, blockSize, inodeSeed(seed, number));
    blocks.push(...tree.blocks);
    put(number, {
      ...hidden,
      size: blocksOf(placed.extents) * blockSize,
      sectors: (blocksOf(placed.extents) + placed.treeBlocks.length) * (blockSize / 512),
      flags: INODE_FLAGS.extents,
      block: tree.root,
      attributes: undefined,
    });
    return tree.root;
  };

  encodeBadBlocksInode(slotOf(INODE.badBlocks), made, inodeSeed(seed, INODE.badBlocks));
  for (const number of UNUSED) encodeUnusedInode(slotOf(number), inodeSeed(seed, number));
  const resize = encodeResizeInode(geometry, resizeBlock);
  blocks.push(...resize.blocks);
  put(INODE.resize, {
    ...hidden,
    size: resize.size,
    sectors: resize.sectors,
    flags: 0,
    block: resize.root,
    attributes: undefined,
  });
  const journalRoot = putHidden(INODE.journal, journal);
  putHidden(INODE.orphans, orphans);
  for (const one of inodes) {
    const { fields, blocks: own } = encodePlaced(one, blockSize, seed);
    put(one.planned.number, fields);
    blocks.push(...own);
  }
  const written = blocks.map(({ block, data }) => ({ at: block * blockSize, data }));
  const tablePlaces = tables.map((data, group) => ({ at: placement.tables[group]!.inodeTable * blockSize, data }));
  return { written: [...written, ...orphanTails(placement, seed), ...tablePlaces], journalRoot };
}

function orphanTails({ geometry, orphans }: Placement, seed: number): Written[] {
  const { blockSize } = geometry;
  const places = orphans.extents.flatMap(blocksOfExtent);
  return encodeOrphanTails(places, blockSize, inodeSeed(seed, INODE.orphans)).map(({ block, data }) => ({
    at: (block + 1) * blockSize - data.length,
    data,
  }));
}

function blocksOfExtent({ start, count }: Extent): number[] {
  return blocksIn({ start, end: start + count });
}

function blocksOf(extents: readonly Extent[]): number {
  return extents.reduce((sum, { count }) => sum + count, 0);
}

/** Of each group with inodes in use the start of its table, as far as they are. */
function emptyTables(placement: Placement): Uint8Array[] {
  const tables: Uint8Array[] = [];
  for (let group = 0; group < placement.tables.length; group++) {
    const used = inodesUsedIn(placement, group);
    if (used === 0) break;
    tables.push(new Uint8Array(used * INODE_SIZE));
  }
  return tables;
}

function slotIn(tables: readonly Uint8Array[], number: number, inodesPerGroup: number): Uint8Array {
  const at = ((number - 1) % inodesPerGroup) * INODE_SIZE;
  return tables[Math.floor((number - 1) / inodesPerGroup)]!.subarray(at, at + INODE_SIZE);
}

interface EncodedInode {
  readonly fields: Omit<InodeFields, 'changed'>;
  /** All that belongs to it but the contents of files. */
  readonly blocks: readonly VolumeBlock[];
}

function encodePlaced(one: PlacedInode, blockSize: number, volume: number): EncodedInode {
  const { planned, extents, treeBlocks, attributeBlock } = one;
  const { data, attributes } = planned;
  const seed = inodeSeed(volume, planned.number);
  const blocks: VolumeBlock[] = [];
  let root: Uint8Array;
  if (data.kind === 'inline') root = data.root;
  else {
    const tree = encodeExtentTree(extents, treeBlocks, blockSize, seed);
    root = tree.root;
    blocks.push(...tree.blocks, ...encodeData(planned, extents, blockSize, seed));
  }
  if (attributeBlock !== 0) {
    const block = encodeAttributeBlock(attributes.inBlock, attributeBlock, blockSize, volume);
    blocks.push({ block: attributeBlock, data: block });
  }
  const owned = planned.blocks + treeBlocks.length + (attributeBlock === 0 ? 0 : 1);
  const fields = {
    ...planned,
    size: sizeOf(planned, blockSize),
    sectors: owned * (blockSize / 512),
    block: root,
    attributeBlock,
    attributes: attributes.inInode.length > 0 ? encodeInodeAttributes(attributes.inInode, ATTRIBUTE_ROOM) : undefined,
  };
  return { fields, blocks };
}

/** Blocks of a directory, or of a link's target. */
function encodeData(
  { data }: PlannedInode,
  extents: readonly Extent[],
  blockSize: number,
  seed: number,
): VolumeBlock[] {
  const encoded =
    data.kind === 'directory'
      ? encodeDirectory(data.plan, blockSize, seed)
      : data.kind === 'target'
        ? [data.target]
        : [];
  const places = encoded.length === 0 ? [] : extents.flatMap(blocksOfExtent);
  return encoded.map((block, index) => ({ block: places[index]!, data: block }));
}

/** Bytes. */
function sizeOf({ data, blocks }: PlannedInode, blockSize: number): number {
  switch (data.kind) {
    case 'file':
      return data.content.size;
    case 'directory':
      return blocks * blockSize;
    case 'target':
      return data.target.length;
    case 'inline':
      return data.size;
  }
}
