/** Inodes in their chunks, and the metadata that they own elsewhere. */
import { viewOf } from '../../bytes/field.ts';
import { MODE } from '../../tree/mode.ts';
import { encodeAttributes } from './attribute-blocks.ts';
import { EXTENT_TREE, encodeExtentRoot } from './bmap-btree.ts';
import { encodeTree, longForm, type TreeBlock } from './btree.ts';
import { encodeDirectory } from './directory.ts';
import { EXTENT_SIZE, encodeExtent } from './extent.ts';
import {
  agInodeOf,
  BLOCK_SIZE,
  blockOf,
  type Geometry,
  INODE_SIZE,
  INODES_PER_BLOCK,
  INODES_PER_CHUNK,
  inodeNumber,
  rootInode,
} from './geometry.ts';
import { encodeFreeInode, encodeInode, FORMAT, type Fork, type InodeCore, NEW_BITMAP } from './inode.ts';
import { generationOf } from './inode-numbers.ts';
import { blockIn, extentsOf, type PlacedInode } from './inode-placement.ts';
import type { PlannedInode } from './inode-plan.ts';
import type { PlacedGroup, Placement } from './placement.ts';
import { encodeRemote } from './remote-value.ts';
import { encodeShortAttributes } from './short-form-attributes.ts';
import type { Piece } from './space.ts';
import { encodeBigTime } from './timestamp.ts';

/** All inodes, each AG's in one run, and the blocks of metadata that inodes own. `epoch` is when all of them were made. */
export function encodeInodes(geometry: Geometry, placement: Placement, uuid: Uint8Array, epoch: bigint): TreeBlock[] {
  const chunks = placement.groups.map((group) => encodeFreeInodes(geometry, group, uuid));
  const options = { uuid, nrext64: geometry.features.nrext64 };
  const slot = (ag: number, number: number): Uint8Array => {
    const first = placement.groups[ag]!.chunks[0]!.firstInode;
    const at = (agInodeOf(geometry, number) - first) * INODE_SIZE;
    return chunks[ag]!.subarray(at, at + INODE_SIZE);
  };
  const owned: TreeBlock[] = [];
  for (const inode of placement.inodes) {
    const { number, ag } = inode.planned.node;
    const data = dataForkOf(geometry, inode, uuid);
    const attributes = attributeForkOf(geometry, inode);
    encodeInode(slot(ag, number), coreOf(inode, epoch), data, attributes, inode.choice.attributeOffset, options);
    owned.push(...ownedBlocks(geometry, inode, uuid));
  }
  const root = rootInode(geometry);
  for (const number of [root + 1, root + 2]) {
    const core = realTimeCore(number, number === root + 1, generationOf(uuid, number), epoch);
    encodeInode(slot(0, number), core, extentFork(geometry, []), undefined, 0, options);
  }
  return [...chunks.flatMap((data, ag) => atFirstChunk(geometry, placement.groups[ag]!, data)), ...owned];
}

function atFirstChunk(geometry: Geometry, { ag, chunks }: PlacedGroup, data: Uint8Array): TreeBlock[] {
  const [first] = chunks;
  if (first === undefined) return [];
  return [{ block: blockOf(geometry, ag, first.firstInode / INODES_PER_BLOCK), data }];
}

/** The chunks of an AG, which lie together; inodes in use are left zero. */
function encodeFreeInodes(geometry: Geometry, { ag, chunks }: PlacedGroup, uuid: Uint8Array): Uint8Array {
  const data = new Uint8Array(chunks.length * INODES_PER_CHUNK * INODE_SIZE);
  for (const [index, { firstInode, used }] of chunks.entries()) {
    for (let inode = used; inode < INODES_PER_CHUNK; inode++) {
      const number = inodeNumber(geometry, ag, firstInode + inode);
      const at = (index * INODES_PER_CHUNK + inode) * INODE_SIZE;
      encodeFreeInode(data.subarray(at, at + INODE_SIZE), number, generationOf(uuid, number), uuid);
    }
  }
  return data;
}

function coreOf({ planned, blocks, pieces }: PlacedInode, epoch: bigint): InodeCore {
  const { node, mode, links, data } = planned;
  const { entry } = node;
  return {
    number: node.number,
    mode,
    uid: entry.uid,
    gid: entry.gid,
    links,
    size: sizeOf(data, pieces.length > 0),
    blocks,
    generation: node.generation,
    flags: 0,
    modified: encodeBigTime(entry.mtime, entry.path),
    changed: epoch,
  };
}

function sizeOf(data: PlannedInode['data'], inBlocks: boolean): number {
  switch (data.kind) {
    case 'file':
      return data.content.size;
    case 'directory':
      return inBlocks ? data.blocks.dataBlocks * BLOCK_SIZE : data.inline!.length;
    case 'symlink':
      return data.target.length;
    case 'device':
      return 0;
  }
}

function realTimeCore(number: number, bitmap: boolean, generation: number, epoch: bigint): InodeCore {
  return {
    number,
    mode: MODE.file,
    uid: 0,
    gid: 0,
    links: 1,
    size: 0,
    blocks: 0,
    generation,
    flags: bitmap ? NEW_BITMAP : 0,
    modified: epoch,
    changed: epoch,
  };
}

function dataForkOf(geometry: Geometry, { planned, pieces, choice, extentTree }: PlacedInode, uuid: Uint8Array): Fork {
  const { data, node } = planned;
  if (data.kind === 'device') {
    const literal = new Uint8Array(4);
    viewOf(literal).setUint32(0, data.device);
    return { format: FORMAT.device, literal, extents: 0 };
  }
  if (pieces.length === 0 && data.kind === 'directory')
    return { format: FORMAT.local, literal: data.inline!, extents: 0 };
  if (pieces.length === 0 && data.kind === 'symlink') return { format: FORMAT.local, literal: data.target, extents: 0 };
  if (extentTree === undefined) return extentFork(geometry, pieces);
  const extents = extentsOf(geometry, pieces);
  const { shape, blocks } = extentTree;
  const form = longForm(geometry, uuid, node.number);
  return {
    format: FORMAT.tree,
    literal: encodeExtentRoot(extents, shape, blocks, choice.dataRoom, form),
    extents: extents.length,
  };
}

function attributeForkOf(geometry: Geometry, { planned, choice, attributes }: PlacedInode): Fork | undefined {
  if (choice.attributes === 'none') return undefined;
  if (attributes === undefined) {
    return { format: FORMAT.local, literal: encodeShortAttributes(planned.attributes), extents: 0 };
  }
  return extentFork(geometry, [{ offset: 0, block: attributes.block, count: attributes.plan.blocks }]);
}

/** A fork whose extents lie in the inode. */
function extentFork(geometry: Geometry, pieces: readonly Piece[]): Fork {
  const extents = extentsOf(geometry, pieces);
  const literal = new Uint8Array(extents.length * EXTENT_SIZE);
  for (const [index, extent] of extents.entries()) encodeExtent(viewOf(literal), index * EXTENT_SIZE, extent);
  return { format: FORMAT.extents, literal, extents: extents.length };
}

function ownedBlocks(geometry: Geometry, inode: PlacedInode, uuid: Uint8Array): TreeBlock[] {
  const { planned, pieces, extentTree, attributes } = inode;
  const { data, node } = planned;
  const owner = { uuid, inode: node.number };
  const blocks: TreeBlock[] = [];
  if (data.kind === 'directory' && pieces.length > 0) {
    blocks.push(...encodeDirectory(data.blocks, { ...owner, blockAt: (block) => blockIn(pieces, block) }));
  }
  if (data.kind === 'symlink' && pieces.length > 0) {
    blocks.push(...encodeRemote('symlink', data.target, pieces[0]!.block, owner));
  }
  if (extentTree !== undefined) {
    const form = longForm(geometry, uuid, node.number);
    blocks.push(...encodeTree(extentsOf(geometry, pieces), extentTree.shape, extentTree.blocks, EXTENT_TREE, form));
  }
  if (attributes !== undefined) {
    blocks.push(...encodeAttributes(attributes.plan, { ...owner, blockAt: (block) => attributes.block + block }));
  }
  return blocks;
}
