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

interface PlannedFields extends SplitFields {
  /** Bytes from the start of the directory's continuation blocks, one per area. */
  readonly areas: readonly number[];
}

interface PlannedRecord {
  readonly entry: Entry;
  readonly identifier: string;
  readonly fields: PlannedFields;
}

export interface PlannedDirectory {
  readonly entry: DirectoryEntry;
  /** `\0` for the root. */
  readonly identifier: string;
  readonly self: PlannedRecord;
  readonly parent: PlannedRecord;
  /** In identifier order. */
  readonly records: readonly PlannedRecord[];
  /** Blocks of records, and of continued fields right behind them. */
  readonly recordBlocks: number;
  readonly continuationBlocks: number;
}

/** All directories, by path, depth first. */
export type DirectoryPlan = ReadonlyMap<string, PlannedDirectory>;

/** `visible` tells which files are listed; directories always are. */
export function planDirectories(tree: Tree, visible: (entry: Entry) => boolean): DirectoryPlan {
  const children = Map.groupBy(
    tree.entries.filter((entry) => entry.path !== ''),
    (entry) => parentOf(entry.path),
  );
  const plan = new Map<string, PlannedDirectory>();
  const visit = (entry: DirectoryEntry, identifier: string, parent: DirectoryEntry): void => {
    const content = children.get(entry.path) ?? [];
    // Identifiers are those of all entries, so that a file has the same one whatever else is visible.
    const identifiers = assignIdentifiers(content.map(({ path, kind }) => ({ name: nameOf(path), kind })));
    const named = content
      .filter((one) => one.kind === 'directory' || visible(one))
      .map((one) => ({ entry: one, identifier: identifiers.get(nameOf(one.path))! }))
      .sort((a, b) => (a.identifier < b.identifier ? -1 : 1));
    plan.set(entry.path, planDirectory(entry, identifier, parent, named));
    for (const child of named) if (child.entry.kind === 'directory') visit(child.entry, child.identifier, entry);
  };
  const root = tree.entries[0] as DirectoryEntry;
  visit(root, SELF, root);
  return plan;
}

function planDirectory(
  entry: DirectoryEntry,
  identifier: string,
  parent: DirectoryEntry,
  content: readonly { readonly entry: Entry; readonly identifier: string }[],
): PlannedDirectory {
  const allocator = areaAllocator();
  const record = (of: Entry, name: string, fields: readonly Uint8Array[]): PlannedRecord => {
    const split = splitFields(fields, MAXIMUM_RECORD_SIZE - systemUseOffset(name));
    return { entry: of, identifier: name, fields: { ...split, areas: allocateAreas(split, allocator) } };
  };
  const attributes = encodeAttributes(entry);
  const isRoot = entry.path === '';
  const self = record(
    entry,
    SELF,
    isRoot ? [encodeIndicator(), ...attributes, encodeExtensionReference()] : attributes,
  );
  const up = record(parent, PARENT, encodeAttributes(parent));
  const records = content.map((one) =>
    record(one.entry, one.identifier, encodeEntry(one.entry, nameOf(one.entry.path))),
  );
  const sizes = [self, up, ...records].flatMap((one) => {
    const size = recordSize(one.identifier, inRecordSize(one.fields));
    const sections = one.entry.kind === 'file' ? sectionCount(one.entry.content.size) : 1;
    return Array.from({ length: sections }, () => size);
  });
  return {
    entry,
    identifier,
    self,
    parent: up,
    records,
    recordBlocks: blocksOf(packedSize(sizes, BLOCK_SIZE)),
    continuationBlocks: allocator.blocks(),
  };
}

function allocateAreas(split: SplitFields, allocator: AreaAllocator): number[] {
  return split.continued.map((_, index) => allocator.allocate(areaSize(split, index)));
}

function sectionCount(size: number): number {
  return Math.max(1, Math.ceil(size / MAXIMUM_SECTION));
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
  const records = [directory.self, directory.parent, ...directory.records].flatMap((record) => {
    const systemUse = joinMemory([...record.fields.inRecord, ...continuationTo(record.fields, 0, continuation)]);
    return sectionsOf(record.entry, addresses).map(({ block, size, flags }) =>
      encodeDirectoryRecord({
        identifier: record.identifier,
        block: block - base,
        size,
        flags,
        time: record.entry.mtime,
        systemUse,
      }),
    );
  });
  const areas = new Uint8Array(directory.continuationBlocks * BLOCK_SIZE);
  for (const { fields } of [directory.self, directory.parent, ...directory.records]) {
    for (const [index, area] of fields.continued.entries()) {
      areas.set(joinMemory([...area, ...continuationTo(fields, index + 1, continuation)]), fields.areas[index]!);
    }
  }
  return joinMemory([packRecords(records, BLOCK_SIZE), areas]);
}

/** The `CE` that leads to area `index`; none when there is no such area. */
function continuationTo(fields: PlannedFields, index: number, firstBlock: number): Uint8Array[] {
  const at = fields.areas[index];
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
  const count = sectionCount(size);
  return Array.from({ length: count }, (_, index) => ({
    block: block + (index * MAXIMUM_SECTION) / BLOCK_SIZE,
    size: Math.min(MAXIMUM_SECTION, size - index * MAXIMUM_SECTION),
    flags: index + 1 < count ? FLAG.multiExtent : 0,
  }));
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
