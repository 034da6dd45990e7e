/**
 * The directories of a volume with the size of everything in them, before any address is known; and their encoding once addresses are.
 * Order is that of identifiers, as ECMA-119 section 9.3 asks; directories follow each other depth first, as xorriso puts them.
 */
import { joinMemory } from '../../bytes/field.ts';
import { type DirectoryEntry, type Entry, nameOf, parentOf, type Tree } from '../../tree/tree.ts';
import { BLOCK_SIZE, blocksOf } from './block.ts';
import {
  encodeDirectoryRecord,
  FLAG,
  MAXIMUM_RECORD_SIZE,
  PARENT,
  packedSize,
  packRecords,
  recordSize,
  SELF,
  systemUseOffset,
} from './directory-record.ts';
import { assignIdentifiers } from './identifier.ts';
import { encodePathTable, type PathTableRecord, pathTableSize } from './path-table.ts';
import { encodeAttributes, encodeEntry, encodeExtensionReference } from './rock-ridge.ts';
import {
  type AreaAllocator,
  areaAllocator,
  areaSize,
  encodeContinuation,
  encodeIndicator,
  inRecordSize,
  type SplitFields,
  splitFields,
} from './system-use.ts';

/** Larger files take several records: a section's size is 32 bits, and all but the last are whole blocks. */
const MAXIMUM_SECTION = 0xffffffff - 0x7ff;

/** Where an entry's content lies: blocks from the start of the image, bytes. */
export interface ContentPlace {
  readonly block: number;
  readonly size: number;
}

/** A record but for what depends on which others there are. */
interface DescribedRecord {
  readonly entry: Entry;
  readonly identifier: string;
  readonly fields: SplitFields;
}

interface DescribedDirectory {
  readonly entry: DirectoryEntry;
  /** `\0` for the root. */
  readonly identifier: string;
  readonly self: DescribedRecord;
  readonly parent: DescribedRecord;
  /** In identifier order. */
  readonly records: readonly DescribedRecord[];
}

interface PlannedRecord extends DescribedRecord {
  /** Bytes from the start of the directory's continuation blocks, one per area. */
  readonly areas: readonly number[];
}

export interface PlannedDirectory {
  readonly entry: DirectoryEntry;
  /** `\0` for the root. */
  readonly identifier: string;
  readonly self: PlannedRecord;
  readonly parent: PlannedRecord;
  /** In identifier order. */
  readonly records: readonly PlannedRecord[];
  /** Of the records. */
  readonly recordBlocks: number;
  /** Behind them: fields that do not fit their records. */
  readonly continuationBlocks: number;
}

/** By path, depth first. */
export type DirectoryPlan = ReadonlyMap<string, PlannedDirectory>;

/** A plan for each view, a function that tells which files it lists; directories always are. What the views have in common is worked out once. */
export function planDirectories(tree: Tree, views: readonly ((entry: Entry) => boolean)[]): DirectoryPlan[] {
  const directories = describeDirectories(tree);
  return views.map(
    (visible) => new Map(directories.map((directory) => [directory.entry.path, planDirectory(directory, visible)])),
  );
}

/** Depth first. */
function describeDirectories(tree: Tree): DescribedDirectory[] {
  const children = Map.groupBy(
    tree.entries.filter((entry) => entry.path !== ''),
    (entry) => parentOf(entry.path),
  );
  const attributesOf = attributeEncoder();
  const record = (entry: Entry, identifier: string, fields: readonly Uint8Array[]): DescribedRecord => ({
    entry,
    identifier,
    fields: splitFields(fields, MAXIMUM_RECORD_SIZE - systemUseOffset(identifier)),
  });
  const described: DescribedDirectory[] = [];
  const visit = (entry: DirectoryEntry, identifier: string, parent: DirectoryEntry): void => {
    const content = children.get(entry.path) ?? [];
    // Those of all entries, so that a file has the same one in every view.
    const identifiers = assignIdentifiers(content.map(({ path, kind }) => ({ name: nameOf(path), kind })));
    const records = content.map((one) => {
      const name = nameOf(one.path);
      return record(one, identifiers.get(name)!, encodeEntry(one, name, attributesOf(one)));
    });
    records.sort((a, b) => (a.identifier < b.identifier ? -1 : 1));
    const attributes = attributesOf(entry);
    const isRoot = entry.path === '';
    described.push({
      entry,
      identifier,
      self: record(entry, SELF, isRoot ? [encodeIndicator(), ...attributes, encodeExtensionReference()] : attributes),
      parent: record(parent, PARENT, attributesOf(parent)),
      records,
    });
    for (const child of records) if (child.entry.kind === 'directory') visit(child.entry, child.identifier, entry);
  };
  const root = tree.entries[0] as DirectoryEntry;
  visit(root, SELF, root);
  return described;
}

/** Thousands of files share a few combinations. */
function attributeEncoder(): (entry: Entry) => readonly Uint8Array[] {
  const known = new Map<string, readonly Uint8Array[]>();
  return (entry) => {
    const key = `${entry.kind} ${entry.mode} ${entry.uid} ${entry.gid} ${entry.mtime}`;
    let fields = known.get(key);
    if (fields === undefined) {
      fields = encodeAttributes(entry);
      known.set(key, fields);
    }
    return fields;
  };
}

function planDirectory(directory: DescribedDirectory, visible: (entry: Entry) => boolean): PlannedDirectory {
  const { entry, identifier } = directory;
  const allocator = areaAllocator();
  const planned = (record: DescribedRecord): PlannedRecord => ({
    ...record,
    areas: allocateAreas(record.fields, allocator),
  });
  const self = planned(directory.self);
  const parent = planned(directory.parent);
  const records = directory.records
    .filter((record) => record.entry.kind === 'directory' || visible(record.entry))
    .map(planned);
  const sizes: number[] = [];
  for (const record of [self, parent, ...records]) {
    const size = recordSize(record.identifier, inRecordSize(record.fields));
    for (let count = sectionCount(record.entry); count > 0; count--) sizes.push(size);
  }
  return {
    entry,
    identifier,
    self,
    parent,
    records,
    recordBlocks: blocksOf(packedSize(sizes, BLOCK_SIZE)),
    continuationBlocks: allocator.blocks(),
  };
}

function allocateAreas(split: SplitFields, allocator: AreaAllocator): number[] {
  return split.continued.map((_, index) => allocator.allocate(areaSize(split, index)));
}

function sectionCount(entry: Entry): number {
  return entry.kind === 'file' ? Math.max(1, Math.ceil(entry.content.size / MAXIMUM_SECTION)) : 1;
}

/** Paths of all that is no directory, in the order they are met depth first. */
export function contentOrder(plan: DirectoryPlan): string[] {
  const order: string[] = [];
  const visit = (path: string): void => {
    for (const { entry } of plan.get(path)!.records) {
      if (entry.kind === 'directory') visit(entry.path);
      else order.push(entry.path);
    }
  };
  visit('');
  return order;
}

/** Directories with their first blocks. Blocks are counted from the start of the image. */
export interface PlacedDirectories {
  readonly plan: DirectoryPlan;
  readonly blocks: ReadonlyMap<string, number>;
  /** First blocks of the two path tables. */
  readonly littlePathTable: number;
  readonly bigPathTable: number;
  readonly pathTableSize: number;
  /** The block behind all of it. */
  readonly end: number;
}

export function placeDirectories(plan: DirectoryPlan, start: number): PlacedDirectories {
  const blocks = new Map<string, number>();
  let next = start;
  for (const [path, directory] of plan) {
    blocks.set(path, next);
    next += directory.recordBlocks + directory.continuationBlocks;
  }
  const size = pathTableSize([...plan.values()].map(({ identifier }) => identifier));
  const littlePathTable = next;
  const bigPathTable = littlePathTable + blocksOf(size);
  return { plan, blocks, littlePathTable, bigPathTable, pathTableSize: size, end: bigPathTable + blocksOf(size) };
}

/** What the encoding of a directory asks for. */
export interface Addresses {
  /** Blocks before the volume, which addresses leave out. */
  readonly base: number;
  readonly directories: PlacedDirectories;
  readonly placeOf: (entry: Entry) => ContentPlace;
}

/** Records and continued fields of one directory: whole blocks. */
export function encodeDirectory(directory: PlannedDirectory, addresses: Addresses): Uint8Array {
  const { base, directories } = addresses;
  const continuation = directories.blocks.get(directory.entry.path)! - base + directory.recordBlocks;
  const planned = [directory.self, directory.parent, ...directory.records];
  const records: Uint8Array[] = [];
  for (const record of planned) {
    const { entry, identifier, fields } = record;
    const systemUse = joinMemory([...fields.inRecord, ...continuationTo(record, 0, continuation)]);
    for (const { block, size, flags } of sectionsOf(entry, addresses)) {
      const time = entry.mtime;
      records.push(encodeDirectoryRecord({ identifier, block: block - base, size, flags, time, systemUse }));
    }
  }
  const areas = new Uint8Array(directory.continuationBlocks * BLOCK_SIZE);
  for (const record of planned) {
    for (const [index, area] of record.fields.continued.entries()) {
      areas.set(joinMemory([...area, ...continuationTo(record, index + 1, continuation)]), record.areas[index]!);
    }
  }
  return joinMemory([packRecords(records, BLOCK_SIZE), areas]);
}

/** The `CE` that leads to area `index`; none when there is no such area. */
function continuationTo({ fields, areas }: PlannedRecord, index: number, firstBlock: number): Uint8Array[] {
  const at = areas[index];
  if (at === undefined) return [];
  const block = firstBlock + Math.floor(at / BLOCK_SIZE);
  return [encodeContinuation({ block, offset: at % BLOCK_SIZE, size: areaSize(fields, index) })];
}

interface Section extends ContentPlace {
  readonly flags: number;
}

function sectionsOf(entry: Entry, { directories, placeOf }: Addresses): Section[] {
  if (entry.kind === 'directory') {
    const size = directories.plan.get(entry.path)!.recordBlocks * BLOCK_SIZE;
    return [{ block: directories.blocks.get(entry.path)!, size, flags: FLAG.directory }];
  }
  const { block, size } = placeOf(entry);
  const sections: Section[] = [];
  for (let at = 0; at === 0 || at < size; at += MAXIMUM_SECTION) {
    const isLast = at + MAXIMUM_SECTION >= size;
    sections.push({
      block: block + at / BLOCK_SIZE,
      size: Math.min(MAXIMUM_SECTION, size - at),
      flags: isLast ? 0 : FLAG.multiExtent,
    });
  }
  return sections;
}

/** The path table in both byte orders. */
export function encodePathTables({ base, directories }: Addresses): {
  readonly little: Uint8Array;
  readonly big: Uint8Array;
} {
  const numbers = new Map<string, number>([['', 1]]);
  const records: PathTableRecord[] = [];
  for (let level: readonly PlannedDirectory[] = [directories.plan.get('')!]; level.length > 0; ) {
    for (const { entry, identifier } of level) {
      const block = directories.blocks.get(entry.path)! - base;
      records.push({ identifier, block, parent: numbers.get(parentOf(entry.path))! });
      numbers.set(entry.path, records.length);
    }
    level = level.flatMap(({ records: content }) =>
      content.flatMap(({ entry }) => (entry.kind === 'directory' ? [directories.plan.get(entry.path)!] : [])),
    );
  }
  return { little: encodePathTable(records, 'little'), big: encodePathTable(records, 'big') };
}
