/** Refcounts of 16 bits: a table of 64-bit offsets of blocks, each a cluster of counts, big-endian (QEMU docs/interop/qcow2.txt, "Host cluster management"). */
import { structure } from '../../bytes/field.ts';
import { ENTRY_SIZE, putEntry } from './cluster-table.ts';

/** More references than this to one cluster do not fit its count. */
export const MAXIMUM_REFCOUNT = 0xffff;

export interface RefcountShape {
  readonly tableClusters: number;
  readonly blocks: number;
}

/** What counting `clusters` takes besides them, itself counted. */
export function refcountShape(clusters: number, clusterSize: number): RefcountShape {
  const countsPerBlock = clusterSize / 2;
  for (let tableClusters = 1, blocks = 1; ; ) {
    const neededBlocks = Math.ceil((clusters + tableClusters + blocks) / countsPerBlock);
    const neededTable = Math.ceil((neededBlocks * ENTRY_SIZE) / clusterSize);
    if (neededBlocks <= blocks && neededTable <= tableClusters) return { tableClusters, blocks };
    blocks = Math.max(blocks, neededBlocks);
    tableClusters = Math.max(tableClusters, neededTable);
  }
}

/** The table, padded to whole clusters, for blocks that follow each other from `blocksOffset`, in bytes. */
export function encodeRefcountTable(shape: RefcountShape, blocksOffset: number, clusterSize: number): Uint8Array {
  const { data, view } = structure(shape.tableClusters * clusterSize);
  for (let block = 0; block < shape.blocks; block++) {
    putEntry(view, block, blocksOffset + block * clusterSize, false);
  }
  return data;
}

/** The blocks for `clusters` clusters that are all in use; `shared` has the counts above 1 by cluster number. */
export function encodeRefcountBlocks(
  shape: RefcountShape,
  clusters: number,
  shared: ReadonlyMap<number, number>,
  clusterSize: number,
): Uint8Array {
  const { data, view } = structure(shape.blocks * clusterSize);
  for (let cluster = 0; cluster < clusters; cluster++) data[cluster * 2 + 1] = 1;
  for (const [cluster, count] of shared) view.setUint16(cluster * 2, count);
  return data;
}
