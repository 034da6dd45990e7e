/**
 * FAT volumes from Trees. Every file and directory lies in one piece, in tree order, so a file of the volume is a range of it.
 * Fields as mkfs.fat and mtools write them (spec boot-and-images 5.7, 6.6).
 */
import { alignUp, type Bytes, ofMemory, type Placement, padTo, place } from '../../bytes/bytes.ts';
import { joinMemory } from '../../bytes/field.ts';
import { ImagerError, invalid } from '../../errors.ts';
import { type DirectoryEntry, type Entry, type FileEntry, nameOf, parentOf, type Tree } from '../../tree/tree.ts';
import { encodeFat12Table, encodeFat32Table, type Run } from './allocation-table.ts';
import {
  BACKUP_BOOT_SECTOR,
  encodeBootSector,
  encodeFsInfo,
  FSINFO_SECTOR,
  ROOT_CLUSTER,
  type VolumeIdentity,
} from './boot-sector.ts';
import { ATTRIBUTE, encodeLongName, encodeShortEntry, labelEntry, SLOT_SIZE, slotsOf } from './directory-entry.ts';
import { type NamedEntry, nameEntries } from './short-name.ts';
import { timestampOf } from './timestamp.ts';
import {
  clusterCount,
  clusterOffset,
  clusterSize,
  dataOffset,
  type Fat32Dimensions,
  FLOPPY_2880,
  fat32Volume,
  fatOffset,
  MINIMUM_FAT32_CLUSTERS,
  rootOffset,
  smallestFat32,
  type Volume,
} from './volume.ts';

/** Where the files that another structure will share lie. */
export interface LargeFiles {
  /** Bytes: files from this size on. */
  readonly from: number;
  /** Bytes; `base` plus the file's offset in the volume is a multiple of it. Skipped clusters stay free. */
  readonly alignment: number;
  /** Bytes from the start of the medium to the start of the volume; 0 unless given. */
  readonly base?: number;
  /** `next` (unless given): where tree order comes to them. `end`: as far back in the volume as they go, the last one last. */
  readonly at?: 'next' | 'end';
}

export interface Fat32Options extends Fat32Dimensions {
  /** Upper case, at most 11 characters; `EFI` unless given. */
  readonly label?: string;
  /** 32 bits; 0x1234ABCD, that of `mkfs.fat --invariant`, unless given. */
  readonly serial?: number;
  readonly largeFiles?: LargeFiles;
}

/** A file's place in its volume, in bytes. */
export interface FileRange {
  readonly offset: number;
  readonly size: number;
}

export interface FatLayout {
  readonly bytes: Bytes;
  /** By tree path. Empty files have no place and are not listed. */
  readonly files: ReadonlyMap<string, FileRange>;
}

/** A file's size is a 32-bit field. */
const MAXIMUM_FILE_SIZE = 0xffffffff;

/** No driver takes a directory of more slots. */
const MAXIMUM_SLOTS = 65536;

/**
 * A FAT32 volume of exactly `size` bytes. Times are the entries' mtimes in UTC; files that nobody may write get the read-only attribute;
 * owners and extended attributes have no place here and are dropped.
 * Throws `invalid-input` when the volume would be no valid FAT32 (fewer than 65525 clusters), when the tree does not fit, for names FAT
 * cannot hold and for entries that are neither file nor directory.
 */
export function layoutFat32(tree: Tree, size: number, options: Fat32Options = {}): FatLayout {
  const volume = fat32Volume(size, options);
  const identity = checkIdentity({
    oem: 'mkfs.fat',
    serial: options.serial ?? 0x1234abcd,
    label: options.label ?? 'EFI',
  });
  const directories = planDirectories(tree, { label: true });
  const allocation = allocate(tree, directories, volume, options.largeFiles);
  const sector = volume.bytesPerSector;
  const boot = ofMemory(encodeBootSector(volume, identity));
  const info = ofMemory(encodeFsInfo(volume, clusterCount(volume) - allocation.used, allocation.last));
  const table = encodeFat32Table(volume, [...allocation.runs.values()]);
  const placements: Placement[] = [
    { at: 0, bytes: boot },
    { at: FSINFO_SECTOR * sector, bytes: info },
    { at: BACKUP_BOOT_SECTOR * sector, bytes: boot },
    { at: (BACKUP_BOOT_SECTOR + FSINFO_SECTOR) * sector, bytes: info },
    { at: fatOffset(volume, 0), bytes: table },
    { at: fatOffset(volume, 1), bytes: table },
  ];
  for (const directory of directories.values()) {
    const run = allocation.runs.get(directory.entry.path)!;
    const bytes = encodeDirectory(directory, allocation.runs, identity.label);
    placements.push({ at: clusterOffset(volume, run.first), bytes: ofMemory(bytes) });
  }
  return withContent(size, placements, tree, volume, allocation);
}

export interface FloppyOptions {
  /** 32 bits. */
  readonly serial: number;
}

/**
 * The FAT12 image of a 2880 KiB floppy, as mformat makes it for the EFI image of a GRUB ISO. Throws `invalid-input` as `layoutFat32` does.
 */
export function layoutFat12Floppy(tree: Tree, options: FloppyOptions): FatLayout {
  const volume = FLOPPY_2880;
  const identity = checkIdentity({ oem: 'MTOO4049', serial: options.serial, label: 'NO NAME' });
  const directories = planDirectories(tree, { label: false });
  const allocation = allocate(tree, directories, volume, undefined);
  const table = encodeFat12Table(volume, [...allocation.runs.values()]);
  const placements: Placement[] = [
    { at: 0, bytes: ofMemory(encodeBootSector(volume, identity)) },
    { at: fatOffset(volume, 0), bytes: table },
    { at: fatOffset(volume, 1), bytes: table },
  ];
  for (const directory of directories.values()) {
    const run = allocation.runs.get(directory.entry.path);
    const bytes = encodeDirectory(directory, allocation.runs, undefined);
    const at = run === undefined ? rootOffset(volume) : clusterOffset(volume, run.first);
    placements.push({ at, bytes: ofMemory(bytes) });
  }
  return withContent(volume.totalSectors * volume.bytesPerSector, placements, tree, volume, allocation);
}

/**
 * The least size in bytes, a whole number of sectors, of a FAT32 volume that holds the tree with these options and is valid. With `largeFiles`
 * it may be up to one alignment per large file above the least.
 */
export function fat32SizeFor(tree: Tree, options: Fat32Options = {}): number {
  const perCluster = options.sectorsPerCluster ?? 1;
  const cluster = perCluster * (options.sectorSize ?? 512);
  const { from = 0, alignment = 0 } = options.largeFiles ?? {};
  let clusters = 0;
  for (const directory of planDirectories(tree, { label: true }).values()) {
    clusters += Math.max(1, Math.ceil((directory.slots * SLOT_SIZE) / cluster));
  }
  for (const entry of tree.entries) {
    if (entry.kind !== 'file') continue;
    clusters += Math.ceil(entry.content.size / cluster);
    if (options.largeFiles !== undefined && entry.content.size >= from) clusters += Math.ceil(alignment / cluster);
  }
  return smallestFat32({ ...options, sectorsPerCluster: perCluster }, Math.max(clusters, MINIMUM_FAT32_CLUSTERS));
}

interface PlannedDirectory {
  readonly entry: DirectoryEntry;
  readonly children: readonly (DirectoryEntry | FileEntry)[];
  readonly names: ReadonlyMap<string, NamedEntry>;
  /** 32-byte slots, the label or `.` and `..` included. */
  readonly slots: number;
}

function planDirectories(tree: Tree, { label }: { readonly label: boolean }): Map<string, PlannedDirectory> {
  const children = new Map<string, (DirectoryEntry | FileEntry)[]>();
  for (const entry of tree.entries) {
    const held = checkEntry(entry);
    if (held.kind === 'directory') children.set(held.path, []);
    if (held.path !== '') children.get(parentOf(held.path))!.push(held);
  }
  const planned = new Map<string, PlannedDirectory>();
  for (const entry of tree.entries) {
    if (entry.kind !== 'directory') continue;
    const held = children.get(entry.path)!;
    const names = nameEntries(held.map(({ path }) => nameOf(path)));
    const own = entry.path === '' ? (label ? 1 : 0) : 2;
    const slots = held.reduce((sum, { path }) => sum + slotsOf(nameOf(path), names.get(nameOf(path))!), own);
    if (slots > MAXIMUM_SLOTS) {
      throw invalid(`directory "${entry.path}": ${slots} FAT directory slots, want at most ${MAXIMUM_SLOTS}`);
    }
    planned.set(entry.path, { entry, children: held, names, slots });
  }
  return planned;
}

function checkEntry(entry: Entry): DirectoryEntry | FileEntry {
  if (entry.kind !== 'directory' && entry.kind !== 'file') {
    throw new ImagerError('unsupported', `"${entry.path}" is a ${entry.kind}: FAT holds files and directories only`);
  }
  if (entry.kind === 'file' && entry.content.size > MAXIMUM_FILE_SIZE) {
    throw invalid(`"${entry.path}": ${entry.content.size} bytes, want at most ${MAXIMUM_FILE_SIZE} on FAT`);
  }
  return entry;
}

interface Allocation {
  /** By path. Empty files, and a root directory that has a fixed place, have none. */
  readonly runs: ReadonlyMap<string, Run>;
  /** Clusters. */
  readonly used: number;
  /** The cluster allocated last, which is where drivers go on. */
  readonly last: number;
}

function allocate(
  tree: Tree,
  directories: ReadonlyMap<string, PlannedDirectory>,
  volume: Volume,
  largeFiles: LargeFiles | undefined,
): Allocation {
  const runs = new Map<string, Run>();
  const size = clusterSize(volume);
  const limit = clusterCount(volume) + ROOT_CLUSTER;
  const step = largeFiles === undefined ? undefined : alignmentStep(volume, largeFiles);
  const atEnd: FileEntry[] = [];
  let next = ROOT_CLUSTER;
  let last = ROOT_CLUSTER;
  let used = 0;

  const take = (path: string, first: number, count: number): void => {
    runs.set(path, { first, count });
    used += count;
    last = first + count - 1;
    next = first + count;
  };

  for (const entry of tree.entries) {
    if (entry.kind === 'directory') {
      const slots = directories.get(entry.path)!.slots;
      if (entry.path === '' && volume.rootEntries > 0) {
        if (slots > volume.rootEntries) {
          throw invalid(`FAT root directory: ${slots} slots, want at most ${volume.rootEntries}`);
        }
      } else take(entry.path, next, Math.max(1, Math.ceil((slots * SLOT_SIZE) / size)));
    } else if (entry.kind === 'file' && entry.content.size > 0) {
      const count = Math.ceil(entry.content.size / size);
      if (step === undefined || entry.content.size < largeFiles!.from) take(entry.path, next, count);
      else if (largeFiles!.at === 'end') atEnd.push(entry);
      else take(entry.path, step.above(next), count);
    }
  }
  const low = { next, last };
  let ceiling = limit;
  for (const entry of atEnd.reverse()) {
    const count = Math.ceil(entry.content.size / size);
    const first = step!.below(ceiling - count);
    take(entry.path, first, count);
    ceiling = first;
  }
  if (low.next > ceiling || (atEnd.length === 0 && next > limit)) {
    throw invalid(
      `FAT volume of ${volume.totalSectors * volume.bytesPerSector} bytes: the files need more clusters than its ${limit - ROOT_CLUSTER}`,
      {
        hint: `they take ${used * size} bytes, tables and alignment not counted`,
      },
    );
  }
  return { runs, used, last: low.last };
}

interface AlignmentStep {
  /** The first aligned cluster from `cluster` on. */
  above(cluster: number): number;
  /** The last aligned cluster up to `cluster`; below 2 when there is none. */
  below(cluster: number): number;
}

/** Aligned clusters come at a fixed distance, or never: throws `invalid-input` then. */
function alignmentStep(volume: Volume, { alignment, base = 0 }: LargeFiles): AlignmentStep {
  if (!Number.isSafeInteger(alignment) || alignment < 1 || !Number.isSafeInteger(base) || base < 0) {
    throw invalid(`FAT file alignment ${alignment} from ${base}: want whole numbers, the first 1 or more`);
  }
  const size = clusterSize(volume);
  const period = alignment / gcd(alignment, size);
  const start = base + dataOffset(volume);
  let first = 0;
  while (first < period && (start + first * size) % alignment !== 0) first++;
  if (first === period) {
    throw invalid(`FAT volume at ${base}: no cluster of ${size} bytes lies at a multiple of ${alignment}`);
  }
  const origin = ROOT_CLUSTER + first;
  return {
    above: (cluster) => (cluster <= origin ? origin : origin + alignUp(cluster - origin, period)),
    below: (cluster) => origin + Math.floor((cluster - origin) / period) * period,
  };
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

function encodeDirectory(
  directory: PlannedDirectory,
  runs: ReadonlyMap<string, Run>,
  label: string | undefined,
): Uint8Array {
  const { entry, children, names } = directory;
  const slots: Uint8Array[] = [];
  if (entry.path !== '') {
    // A parent that is the root is written as cluster 0, on FAT32 too.
    const parent = parentOf(entry.path);
    slots.push(directorySlot('.', entry.mtime, runs.get(entry.path)!.first));
    slots.push(directorySlot('..', entry.mtime, parent === '' ? 0 : runs.get(parent)!.first));
  } else if (label !== undefined) slots.push(labelEntry(label));
  for (const child of children) {
    const name = nameOf(child.path);
    const { short, caseBits, long } = names.get(name)!;
    if (long) slots.push(...encodeLongName(name, short));
    slots.push(
      encodeShortEntry({
        short,
        caseBits,
        attributes: attributesOf(child),
        modified: timestampOf(child.mtime),
        firstCluster: runs.get(child.path)?.first ?? 0,
        size: child.kind === 'file' ? child.content.size : 0,
      }),
    );
  }
  return joinMemory(slots);
}

function directorySlot(name: '.' | '..', mtime: number, firstCluster: number): Uint8Array {
  return encodeShortEntry({
    short: name.padEnd(11),
    caseBits: 0,
    attributes: ATTRIBUTE.directory,
    modified: timestampOf(mtime),
    firstCluster,
    size: 0,
  });
}

function attributesOf(entry: DirectoryEntry | FileEntry): number {
  if (entry.kind === 'directory') return ATTRIBUTE.directory;
  return ATTRIBUTE.archive | ((entry.mode & 0o222) === 0 ? ATTRIBUTE.readOnly : 0);
}

function withContent(
  size: number,
  placements: readonly Placement[],
  tree: Tree,
  volume: Volume,
  { runs }: Allocation,
): FatLayout {
  const files = new Map<string, FileRange>();
  const content: Placement[] = [];
  for (const entry of tree.entries) {
    const run = runs.get(entry.path);
    if (entry.kind !== 'file' || run === undefined) continue;
    const offset = clusterOffset(volume, run.first);
    files.set(entry.path, { offset, size: entry.content.size });
    content.push({ at: offset, bytes: entry.content });
  }
  const whole = volume.totalSectors * volume.bytesPerSector;
  return { bytes: padTo(place(whole, [...placements, ...content]), size), files };
}

function checkIdentity(identity: VolumeIdentity): VolumeIdentity {
  const { label, serial } = identity;
  if (!/^[A-Z0-9 !#$%&'()@^_`{}~-]{1,11}$/.test(label)) {
    throw invalid(`FAT label "${label}": want 1 to 11 upper-case letters, digits, blanks or signs FAT allows`);
  }
  if (!Number.isInteger(serial) || serial < 0 || serial > 0xffffffff) {
    throw invalid(`FAT serial ${serial}: want 32 bits`);
  }
  return identity;
}
