/** Inodes of fixed numbers and no name: of the journal, of the room for more group descriptors, and of what is open without a name. */
import { MODE } from '../../tree/mode.ts';
import { inodeSeed } from './checksum.ts';
import { INODE, INODE_FLAGS } from './inode.ts';
import { atBlocks, type EncodedInode, encodeExtents, placesOf } from './inode-encoding.ts';
import { encodeOrphanTails } from './orphan-file.ts';
import type { PlacedData, Placement } from './placement.ts';
import { encodeResizeInode } from './resize-inode.ts';
import type { Timestamp } from './timestamp.ts';

/** `seed` is the volume's, `made` when the volume was. */
export function encodeFixedInodes(placement: Placement, seed: number, made: Timestamp): EncodedInode[] {
  const { geometry, journal, orphans } = placement;
  const { blockSize } = geometry;
  const orphanFile = hiddenFile(INODE.orphans, orphans, blockSize, seed, made);
  const tails = encodeOrphanTails(placesOf(orphans.extents), blockSize, inodeSeed(seed, INODE.orphans));
  return [
    resizeInode(placement, made),
    hiddenFile(INODE.journal, journal, blockSize, seed, made),
    { ...orphanFile, written: [...orphanFile.written, ...tails] },
  ];
}

function hiddenFields(made: Timestamp) {
  return {
    mode: MODE.file | 0o600,
    uid: 0,
    gid: 0,
    links: 1,
    modified: made,
    attributeBlock: 0,
    attributes: undefined,
  } as const;
}

function hiddenFile(number: number, data: PlacedData, blockSize: number, seed: number, made: Timestamp): EncodedInode {
  const { root, written } = encodeExtents(data, blockSize, inodeSeed(seed, number));
  const blocks = data.extents.reduce((sum, { count }) => sum + count, 0);
  const fields = {
    ...hiddenFields(made),
    size: blocks * blockSize,
    sectors: (blocks + data.treeBlocks.length) * (blockSize / 512),
    flags: INODE_FLAGS.extents,
    block: root,
  };
  return { number, fields, written };
}

function resizeInode({ geometry, resizeBlock }: Placement, made: Timestamp): EncodedInode {
  const { root, size, sectors, blocks } = encodeResizeInode(geometry, resizeBlock);
  const fields = { ...hiddenFields(made), size, sectors, flags: 0, block: root };
  return { number: INODE.resize, fields, written: atBlocks(blocks, geometry.blockSize) };
}
