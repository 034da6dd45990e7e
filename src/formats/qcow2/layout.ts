/**
 * A disk as a qcow2 image, version 3. Header, refcounts and L1 table come first, then in the order of the disk its clusters, each L2 table
 * before the first cluster it maps: where nothing is shared and one refcount block is enough, the file is what `qemu-img convert` writes.
 *
 * Zero clusters are not stored. Clusters that are one range of one source are stored once and counted as often as they are mapped.
 */
import { type BlockRun, blockRuns } from '../../bytes/blocks.ts';
import { type Bytes, concat, ofMemory, padTo, padToMultiple, slice } from '../../bytes/bytes.ts';
import { structure, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { ENTRY_SIZE, putEntry } from './cluster-table.ts';
import { checkClusterSize, encodeHeader, MAXIMUM_L1_SIZE, MAXIMUM_REFCOUNT_TABLE_SIZE } from './header.ts';
import type { Qcow2Options } from './options.ts';
import { encodeRefcountBlocks, encodeRefcountTable, MAXIMUM_REFCOUNT, refcountShape } from './refcount.ts';

const DEFAULT_CLUSTER_SIZE = 65536;
const SECTOR = 512;

/** Clusters of the disk from `guest` on are those of the file from `host` on; both are numbers, `host` from the first behind the L1 table. */
interface Mapping {
  readonly guest: number;
  readonly count: number;
  readonly host: number;
  /** Mapped before. */
  readonly repeated: boolean;
}

/** The L2 table for the `index`th entry of L1, at cluster `host`, counted as in a mapping. */
interface L2Place {
  readonly index: number;
  readonly host: number;
}

interface Assignment {
  readonly mappings: readonly Mapping[];
  readonly tables: readonly L2Place[];
  /** Clusters in use behind the L1 table. */
  readonly clusters: number;
}

/** Throws `invalid-input` for a cluster size that is none, a disk that is not whole sectors, and one too large for its clusters. */
export function layoutQcow2(disk: Bytes, options: Qcow2Options = {}): Bytes {
  const { clusterSize = DEFAULT_CLUSTER_SIZE, shareClusters = true } = options;
  checkClusterSize(clusterSize);
  if (disk.size % SECTOR !== 0) throw invalid(`qcow2: disk of ${disk.size} bytes, want a multiple of ${SECTOR}`);
  const l1Size = Math.ceil(disk.size / (clusterSize * (clusterSize / ENTRY_SIZE)));
  checkTables(disk.size, l1Size, clusterSize);

  const assignment = assignClusters(blockRuns(disk, clusterSize), clusterSize / ENTRY_SIZE, shareClusters);
  const l1Clusters = Math.ceil((l1Size * ENTRY_SIZE) / clusterSize);
  const shape = refcountShape(1 + l1Clusters + assignment.clusters, clusterSize);

  const blocks = 1 + shape.tableClusters;
  const l1 = blocks + shape.blocks;
  const base = l1 + l1Clusters;
  const shared = sharedClusters(assignment.mappings, base);
  const l1Table = structure(l1Clusters * clusterSize);
  for (const { index, host } of assignment.tables) putEntry(l1Table.view, index, (base + host) * clusterSize, true);
  const header = encodeHeader({
    clusterBits: Math.log2(clusterSize),
    size: disk.size,
    l1Size,
    l1Offset: l1 * clusterSize,
    refcountTableOffset: clusterSize,
    refcountTableClusters: shape.tableClusters,
  });
  return concat([
    padTo(ofMemory(header), clusterSize),
    ofMemory(encodeRefcountTable(shape, blocks * clusterSize, clusterSize)),
    ofMemory(encodeRefcountBlocks(shape, base + assignment.clusters, shared, clusterSize)),
    ofMemory(l1Table.data),
    ...clusterParts(disk, clusterSize, assignment, base, shared),
  ]);
}

/** Where each run goes. A run is cut where the L2 table changes, and that table comes before its first cluster. */
function assignClusters(runs: readonly BlockRun[], entriesPerTable: number, shareClusters: boolean): Assignment {
  const mappings: Mapping[] = [];
  const tables: L2Place[] = [];
  /** References to the mapping at a place of the file: never less than those to one of its clusters. */
  const references = new Map<number, number>();
  let clusters = 0;
  let mappedUntil = 0;
  for (const { first, count, sameAs } of runs) {
    for (let done = 0; done < count; ) {
      const guest = first + done;
      if (guest >= mappedUntil) {
        const index = Math.floor(guest / entriesPerTable);
        tables.push({ index, host: clusters++ });
        mappedUntil = (index + 1) * entriesPerTable;
      }
      const most = Math.min(count - done, mappedUntil - guest);
      const again =
        sameAs === undefined || !shareClusters ? undefined : repeat(mappings, references, guest, most, sameAs + done);
      const mapping = again ?? { guest, count: most, host: clusters, repeated: false };
      mappings.push(mapping);
      if (again === undefined) clusters += most;
      done += mapping.count;
    }
  }
  return { mappings, tables, clusters };
}

/** Up to `most` clusters from `guest` on mapped where `original` is; `undefined` when no more references fit the count there. */
function repeat(
  mappings: readonly Mapping[],
  references: Map<number, number>,
  guest: number,
  most: number,
  original: number,
): Mapping | undefined {
  const known = mappings[mappingAt(mappings, original)]!;
  const uses = (references.get(known.host) ?? 1) + 1;
  if (uses > MAXIMUM_REFCOUNT) return undefined;
  references.set(known.host, uses);
  const into = original - known.guest;
  return { guest, count: Math.min(most, known.count - into), host: known.host + into, repeated: true };
}

/** Index of the mapping that holds cluster `guest` of the disk. */
function mappingAt(mappings: readonly Mapping[], guest: number): number {
  let low = 0;
  let high = mappings.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (mappings[middle]!.guest <= guest) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Counts above 1, by cluster number of the file. */
function sharedClusters(mappings: readonly Mapping[], base: number): ReadonlyMap<number, number> {
  const shared = new Map<number, number>();
  for (const { count, host, repeated } of mappings) {
    if (!repeated) continue;
    for (let cluster = base + host; cluster < base + host + count; cluster++) {
      shared.set(cluster, (shared.get(cluster) ?? 1) + 1);
    }
  }
  return shared;
}

/** What follows the L1 table, in order. */
function* clusterParts(
  disk: Bytes,
  clusterSize: number,
  { mappings, tables }: Assignment,
  base: number,
  shared: ReadonlyMap<number, number>,
): Generator<Bytes> {
  const entries = clusterSize / ENTRY_SIZE;
  let next = 0;
  for (const { index } of tables) {
    const first = index * entries;
    const table = new Uint8Array(clusterSize);
    const view = viewOf(table);
    const data: Bytes[] = [];
    for (; next < mappings.length && mappings[next]!.guest < first + entries; next++) {
      const { guest, count, host, repeated } = mappings[next]!;
      for (let done = 0; done < count; done++) {
        const cluster = base + host + done;
        putEntry(view, guest - first + done, cluster * clusterSize, !shared.has(cluster));
      }
      if (repeated) continue;
      const end = Math.min((guest + count) * clusterSize, disk.size);
      data.push(padToMultiple(slice(disk, guest * clusterSize, end), clusterSize));
    }
    yield ofMemory(table);
    yield* data;
  }
}

/** The tables must be what QEMU opens, and stay so when a machine has filled the disk. */
function checkTables(diskSize: number, l1Size: number, clusterSize: number): void {
  const full = Math.ceil(diskSize / clusterSize) + l1Size + Math.ceil((l1Size * ENTRY_SIZE) / clusterSize) + 1;
  const counts = refcountShape(full, clusterSize).tableClusters * clusterSize;
  if (l1Size * ENTRY_SIZE > MAXIMUM_L1_SIZE || counts > MAXIMUM_REFCOUNT_TABLE_SIZE) {
    throw invalid(`qcow2: disk of ${diskSize} bytes in clusters of ${clusterSize}: its tables exceed what QEMU opens`, {
      hint: 'use a larger cluster_size',
    });
  }
}
