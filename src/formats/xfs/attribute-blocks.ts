/**
 * Attributes too large for their inode: leaves, a hash tree over them when they are several, and behind these the blocks of large values.
 * Source: XFS Algorithms and Data Structures, "Leaf Attributes", "Node Attributes", "Remote Attribute Values".
 */
import type { Attribute } from './attribute.ts';
import { encodeAttributeLeaf, isRemote, LEAF_ROOM, leafSize } from './attribute-leaf.ts';
import { blockCount, type TreeBlock, type TreeShape } from './btree.ts';
import { encodeHashNodes, type ForkBlocks, hashTreePlaces, hashTreeShape, siblingsOf } from './da-node.ts';
import { encodeRemote, remoteBlocks } from './remote-value.ts';

export interface AttributePlan {
  readonly leaves: readonly (readonly Attribute[])[];
  readonly shape: TreeShape;
  /** Block within the fork where a value begins. */
  readonly values: ReadonlyMap<Attribute, number>;
  /** Of the fork, from 0. */
  readonly blocks: number;
}

export function planAttributes(attributes: readonly Attribute[]): AttributePlan {
  const sorted = [...attributes].sort((a, b) => a.hash - b.hash);
  const leaves: Attribute[][] = [[]];
  let room = LEAF_ROOM;
  for (const attribute of sorted) {
    const size = leafSize(attribute);
    if (size > room) {
      leaves.push([]);
      room = LEAF_ROOM;
    }
    leaves.at(-1)!.push(attribute);
    room -= size;
  }
  const shape = hashTreeShape(leaves.length);
  let blocks = blockCount(shape);
  const values = new Map<Attribute, number>();
  for (const attribute of sorted.filter(isRemote)) {
    values.set(attribute, blocks);
    blocks += remoteBlocks(attribute.value.length);
  }
  return { leaves, shape, values, blocks };
}

export function encodeAttributes(plan: AttributePlan, fork: ForkBlocks): TreeBlock[] {
  const places = hashTreePlaces(plan.shape, 0);
  const leaves = plan.leaves.map((attributes, index) => {
    const block = fork.blockAt(places[0]![index]!);
    const siblings = siblingsOf(places[0]!, index);
    const data = encodeAttributeLeaf(attributes, block, siblings, fork, (one) => plan.values.get(one)!);
    return { block, data };
  });
  const greatest = plan.leaves.map((attributes) => attributes.at(-1)!.hash);
  const values = [...plan.values].flatMap(([attribute, first]) =>
    encodeRemote('attribute', attribute.value, fork.blockAt(first), fork),
  );
  return [...encodeHashNodes(plan.shape, places, greatest, fork), ...leaves, ...values];
}
