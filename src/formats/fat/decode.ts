/** Reading FAT12, FAT16 and FAT32 volumes, hostile ones included: nothing is trusted before it is checked, and every loop is bounded. */
import { type Bytes, concat, slice } from '../../bytes/bytes.ts';
import { read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import { type Entry, type Tree, treeOf } from '../../tree/tree.ts';
import { type Run, type TableReader, tableReader } from './allocation-table.ts';
import { type BootSector, decodeBootSector } from './boot-sector.ts';
import { ATTRIBUTE, type DecodedEntry, decodeDirectory, SLOT_SIZE } from './directory-entry.ts';
import type { FileRange } from './layout.ts';
import { secondsOf } from './timestamp.ts';
import { clusterCount, clusterOffset, clusterSize, rootOffset } from './volume.ts';

export interface FatContent {
  readonly bootSector: BootSector;
  /** Of the label entry in the root directory, which wins over that of the boot sector where they differ. */
  readonly label: string | undefined;
  /** Modes are 0755 and 0644, without write bits where the read-only attribute is set; owners are 0; the root has no time. */
  readonly tree: Tree;
  /** The pieces each non-empty file lies in, by path; one piece when it is contiguous. */
  readonly files: ReadonlyMap<string, readonly FileRange[]>;
  /** Clusters that no file or directory reaches. */
  readonly freeClusters: number;
}

/** No driver takes a directory of more slots. */
const MAXIMUM_SLOTS = 65536;

/** In a whole volume; boot volumes have dozens. */
const MAXIMUM_ENTRIES = 100_000;

/** Longest path of FAT drivers is 260 characters, so nothing real is deeper. */
const MAXIMUM_DEPTH = 128;

/** Throws `invalid-input` for anything that is no sound FAT volume. */
export async function decodeFat(bytes: Bytes): Promise<FatContent> {
  const bootSector = decodeBootSector(await read(bytes, 0, Math.min(512, bytes.size)));
  const size = bootSector.totalSectors * bootSector.bytesPerSector;
  if (size > bytes.size) throw invalid(`FAT volume of ${size} bytes: only ${bytes.size} are there`);
  const table = tableReader(bytes, bootSector);
  const walk: Walk = { bytes, bootSector, table, entries: [], files: new Map() };
  const root = decodeDirectory(await readRoot(walk));
  await visit(walk, root, '', 0);
  return {
    bootSector,
    label: root.find(({ attributes }) => (attributes & ATTRIBUTE.label) !== 0)?.short.replace(/ +$/, ''),
    tree: treeOf(walk.entries),
    files: walk.files,
    freeClusters: clusterCount(bootSector) - table.used(),
  };
}

interface Walk {
  readonly bytes: Bytes;
  readonly bootSector: BootSector;
  readonly table: TableReader;
  readonly entries: Entry[];
  readonly files: Map<string, readonly FileRange[]>;
}

async function readRoot(walk: Walk): Promise<Uint8Array> {
  const { bytes, bootSector } = walk;
  if (bootSector.rootCluster !== 0) return readDirectory(walk, bootSector.rootCluster);
  return read(bytes, rootOffset(bootSector), bootSector.rootEntries * SLOT_SIZE);
}

async function readDirectory(walk: Walk, firstCluster: number): Promise<Uint8Array> {
  const { bytes, bootSector, table } = walk;
  const size = clusterSize(bootSector);
  const runs = await table.chain(firstCluster, Math.ceil((MAXIMUM_SLOTS * SLOT_SIZE) / size));
  const content = concat(
    rangesOf(bootSector, runs).map((range) => slice(bytes, range.offset, range.offset + range.size)),
  );
  return read(content);
}

async function visit(walk: Walk, entries: readonly DecodedEntry[], path: string, depth: number): Promise<void> {
  if (depth > MAXIMUM_DEPTH) throw invalid(`FAT directory "${path}": deeper than ${MAXIMUM_DEPTH}`);
  for (const entry of entries) {
    if ((entry.attributes & ATTRIBUTE.label) !== 0 || /^\.{1,2} +$/.test(entry.short)) continue;
    const name = path === '' ? entry.name : `${path}/${entry.name}`;
    if (walk.entries.length === MAXIMUM_ENTRIES) throw invalid(`FAT volume: more than ${MAXIMUM_ENTRIES} entries`);
    if (entry.name.includes('/')) throw invalid(`FAT name ${JSON.stringify(entry.name)}: "/" is not allowed`);
    const readOnly = (entry.attributes & ATTRIBUTE.readOnly) !== 0;
    const common = { path: name, uid: 0, gid: 0, mtime: secondsOf(entry.modified) };
    if ((entry.attributes & ATTRIBUTE.directory) !== 0) {
      walk.entries.push({ kind: 'directory', ...common, mode: readOnly ? 0o555 : 0o755 });
      const inside = decodeDirectory(await readDirectory(walk, entry.firstCluster));
      await visit(walk, inside, name, depth + 1);
    } else {
      const content = await readFile(walk, entry, name);
      walk.entries.push({ kind: 'file', ...common, mode: readOnly ? 0o444 : 0o644, content });
    }
  }
}

async function readFile(walk: Walk, entry: DecodedEntry, path: string): Promise<Bytes> {
  if (entry.size === 0) return slice(walk.bytes, 0, 0);
  const size = clusterSize(walk.bootSector);
  const count = Math.ceil(entry.size / size);
  const runs = await walk.table.chain(entry.firstCluster, count);
  const held = runs.reduce((sum, run) => sum + run.count, 0);
  if (held < count) throw invalid(`FAT file "${path}": ${held} clusters, want ${count} for its ${entry.size} bytes`);
  const ranges = rangesOf(walk.bootSector, runs);
  const last = ranges.pop()!;
  ranges.push({ offset: last.offset, size: last.size - (count * size - entry.size) });
  walk.files.set(path, ranges);
  return concat(ranges.map((range) => slice(walk.bytes, range.offset, range.offset + range.size)));
}

function rangesOf(bootSector: BootSector, runs: readonly Run[]): FileRange[] {
  const size = clusterSize(bootSector);
  return runs.map(({ first, count }) => ({ offset: clusterOffset(bootSector, first), size: count * size }));
}
