/** The inode of an entry of the tree. */
import { encodeAttributeBlock, encodeInodeAttributes } from './attribute.ts';
import { inodeSeed } from './checksum.ts';
import { encodeDirectory } from './directory.ts';
import { ATTRIBUTE_ROOM } from './inode.ts';
import { type EncodedInode, encodeExtents, placesOf, type Written } from './inode-encoding.ts';
import type { PlannedInode } from './inode-plan.ts';
import type { PlacedInode } from './placement.ts';

/** `volume` is the volume's seed. */
export function encodeEntryInode(placed: PlacedInode, blockSize: number, volume: number): EncodedInode {
  const { planned, treeBlocks, attributeBlock } = placed;
  const { number, mode, uid, gid, links, flags, modified, attributes } = planned;
  const { root, written } = encodeData(placed, blockSize, inodeSeed(volume, number));
  if (attributeBlock !== 0) {
    const data = encodeAttributeBlock(attributes.inBlock, attributeBlock, blockSize, volume);
    written.push({ at: attributeBlock * blockSize, data });
  }
  const owned = planned.blocks + treeBlocks.length + (attributeBlock === 0 ? 0 : 1);
  const fields = {
    ...{ mode, uid, gid, links, flags, modified, attributeBlock },
    size: sizeOf(planned, blockSize),
    sectors: owned * (blockSize / 512),
    block: root,
    attributes: attributes.inInode.length > 0 ? encodeInodeAttributes(attributes.inInode, ATTRIBUTE_ROOM) : undefined,
  };
  return { number, fields, written };
}

/** What takes the place of extents, or those and the blocks of a directory or of a link's target. */
function encodeData(
  placed: PlacedInode,
  blockSize: number,
  seed: number,
): { readonly root: Uint8Array; readonly written: Written[] } {
  const { data } = placed.planned;
  if (data.kind === 'inline') return { root: data.root, written: [] };
  const tree = encodeExtents(placed, blockSize, seed);
  if (data.kind === 'file') return tree;
  const blocks = data.kind === 'directory' ? encodeDirectory(data.plan, blockSize, seed) : [data.target];
  const places = placesOf(placed.extents);
  const own = blocks.map((block, index) => ({ at: places[index]! * blockSize, data: block }));
  return { root: tree.root, written: [...tree.written, ...own] };
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
