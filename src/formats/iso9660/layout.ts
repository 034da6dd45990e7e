/**
 * ISO 9660 volumes (level 3, Rock Ridge 1.10) from Trees. A file may be said to lie somewhere else in the image: in a file system that is
 * appended to the volume, or in another file. Then its record points there and nothing is stored twice.
 * Source: ECMA-119, spec boot-and-images 5.5; places as libisofs orders them, with addresses of our own.
 */
import { alignUp, type Bytes, ofMemory, type Placement, place, zeros } from '../../bytes/bytes.ts';
import { identityOf } from '../../bytes/identity.ts';
import { invalid } from '../../errors.ts';
import { type Entry, type FileEntry, type Tree, treeOf } from '../../tree/tree.ts';
import { BLOCK_SIZE, blocksOf } from './block.ts';
import { SELF } from './directory-record.ts';
import {
  type Addresses,
  type ContentPlace,
  contentOrder,
  encodeDirectory,
  encodePathTables,
  placeDirectories,
  planDirectories,
} from './directory-tree.ts';
import { type BootPlatform, encodeBootCatalog } from './el-torito.ts';
import { encodeBootRecord, encodePrimaryDescriptor, encodeTerminator } from './volume-descriptor.ts';

/** Blocks before the first descriptor, for boot code and partition tables. */
export const SYSTEM_AREA_BLOCKS = 16;

/** Where a partition that shows the volume begins. Its descriptors follow behind a system area of its own. */
export const PARTITION_OFFSET = 16;

/** Where a file lies whose content is not stored on its own. Offsets are in bytes, and the place must begin at a block. */
export type SharedPlace =
  | { readonly in: 'appended'; readonly offset: number }
  | { readonly in: 'file'; readonly path: string; readonly offset: number };

export interface BootReference {
  readonly platform: BootPlatform;
  /** 512-byte sectors to load. */
  readonly sectors: number;
  /** What to start: the appended bytes, or a file of the tree. */
  readonly image: { readonly in: 'appended' } | { readonly in: 'file'; readonly path: string };
}

export interface IsoOptions {
  /** At most 32 characters. */
  readonly volumeId: string;
  /** At most 128 characters. */
  readonly volumeSetId: string;
  /** The program that made the volume; at most 128 characters. */
  readonly preparerId: string;
  /** Seconds since 1970: of the volume. Files have their own. */
  readonly time: number;
  /** Files with a lower rank are stored first; all 0 unless given. Among equals the order of the directories holds. */
  readonly rank?: (path: string) => number;
  /** Files that lie elsewhere, by path. */
  readonly shared?: ReadonlyMap<string, SharedPlace>;
  /** What follows the volume, from a multiple of `alignment` bytes on and padded to one. It belongs to the volume's size. */
  readonly appended?: { readonly bytes: Bytes; readonly alignment: number };
  /** Bytes at the end of the image that are left zero but belong to the volume's size. */
  readonly tail?: number;
  /** A boot catalog, which becomes a file too. */
  readonly boot?: { readonly catalogPath: string; readonly images: readonly BootReference[] };
  /**
   * A second set of descriptors and directories, by which the partition that begins at block 16 is a volume too. It ends where the
   * appended bytes begin and lists no file that lies there.
   */
  readonly partitionView?: boolean;
}

/** Bytes from the start of the image. */
export interface IsoRange {
  readonly offset: number;
  readonly size: number;
}

export interface IsoLayout {
  /** Whole blocks; the system area is zero. */
  readonly bytes: Bytes;
  /** Where each file lies, by path. Empty files are not listed. */
  readonly files: ReadonlyMap<string, IsoRange>;
  /** With the padding at its end. */
  readonly appended: IsoRange | undefined;
  /** Where the tail begins. */
  readonly end: number;
}

/**
 * The image of a volume. Modes, owners and times are the entries' own; extended attributes have no place here and are dropped.
 * Throws `invalid-input` for identifiers, names and link targets that do not fit, for a shared place that does not begin at a block or
 * lies outside what it is said to lie in, for more than 65535 directories with content and for images above 8 TiB.
 */
export function layoutIso9660(tree: Tree, options: IsoOptions): IsoLayout {
  const { appended, partitionView = false, tail = 0, shared = new Map() } = options;
  const whole = withCatalog(tree, options);
  const isStored = ({ path }: Entry): boolean => shared.get(path)?.in !== 'appended';
  const views = planDirectories(whole, partitionView ? [() => true, isStored] : [() => true]);
  const complete = views[0]!;

  const descriptorEnd = SYSTEM_AREA_BLOCKS + (options.boot === undefined ? 2 : 3);
  let next = partitionView ? PARTITION_OFFSET + SYSTEM_AREA_BLOCKS + 2 : descriptorEnd;
  const placed = views.map((plan) => {
    const directories = placeDirectories(plan, next);
    next = directories.end;
    return directories;
  });
  const content = placeContent(whole, contentOrder(complete), next, options);

  const dataEnd = content.end * BLOCK_SIZE;
  const appendedStart = appended === undefined ? dataEnd : alignUp(dataEnd, appended.alignment);
  const appendedSize = appended === undefined ? 0 : alignUp(appended.bytes.size, appended.alignment);
  const end = appendedStart + appendedSize;
  const size = alignUp(end + tail, BLOCK_SIZE);
  if (blocksOf(size) > 0xffffffff) throw invalid(`ISO 9660 volume of ${size} bytes: want at most 8 TiB`);

  const files = locateFiles(whole, content, shared, { offset: appendedStart, size: appended?.bytes.size ?? 0 });
  const placeOf = (entry: Entry): ContentPlace => {
    const range = files.get(entry.path);
    return range === undefined
      ? { block: content.emptyBlock, size: 0 }
      : { block: range.offset / BLOCK_SIZE, size: range.size };
  };
  const placements: Placement[] = [...content.placements];
  for (const [index, directories] of placed.entries()) {
    const base = index * PARTITION_OFFSET;
    const blocks = index === 0 ? blocksOf(size) : appendedStart / BLOCK_SIZE - base;
    placements.push(...encodeView({ base, directories, placeOf }, blocks, options, files));
  }
  if (options.boot !== undefined) {
    const { offset } = files.get(options.boot.catalogPath)!;
    placements.push({ at: offset, bytes: ofMemory(encodeCatalog(options.boot.images, files, appendedStart)) });
  }
  if (appended !== undefined) placements.push({ at: appendedStart, bytes: appended.bytes });
  return {
    bytes: place(size, placements),
    files,
    appended: appended === undefined ? undefined : { offset: appendedStart, size: appendedSize },
    end,
  };
}

/** The tree with the catalog as a file; its content comes when all addresses are known. */
function withCatalog(tree: Tree, { boot, time }: IsoOptions): Tree {
  if (boot === undefined) return tree;
  const catalog: FileEntry = {
    kind: 'file',
    path: boot.catalogPath,
    content: zeros(BLOCK_SIZE),
    mode: 0o444,
    uid: 0,
    gid: 0,
    mtime: time,
  };
  return treeOf([...tree.entries.filter(({ path }) => path !== catalog.path), catalog]);
}

interface PlacedContent {
  readonly ranges: ReadonlyMap<string, IsoRange>;
  readonly placements: readonly Placement[];
  /** A zero block for all that has no content: an address must lie inside the volume. */
  readonly emptyBlock: number;
  /** The block behind all content. */
  readonly end: number;
}

function placeContent(tree: Tree, order: readonly string[], start: number, options: IsoOptions): PlacedContent {
  const { rank = () => 0, shared, boot } = options;
  const ranges = new Map<string, IsoRange>();
  const placements: Placement[] = [];
  const stored = new Map<string, IsoRange>();
  const needsEmpty = tree.entries.some((entry) => entry.kind !== 'directory' && !hasContent(entry));
  let next = start + (needsEmpty ? 1 : 0);
  const rankOf = (path: string): number => (path === boot?.catalogPath ? Number.NEGATIVE_INFINITY : rank(path));
  // The sort is stable, so that the order of the directories remains within a rank.
  for (const path of [...order].sort((a, b) => compareRanks(rankOf(a), rankOf(b)))) {
    const entry = tree.byPath.get(path)!;
    if (!hasContent(entry) || shared?.has(path) === true) continue;
    // The catalog is written over its zeros: nobody else's zeros may lie there.
    const key = path === boot?.catalogPath ? undefined : identityOf(entry.content);
    const known = key === undefined ? undefined : stored.get(key);
    const range = known ?? { offset: next * BLOCK_SIZE, size: entry.content.size };
    ranges.set(path, range);
    if (known !== undefined) continue;
    if (key !== undefined) stored.set(key, range);
    if (path !== boot?.catalogPath) placements.push({ at: range.offset, bytes: entry.content });
    next += blocksOf(range.size);
  }
  return { ranges, placements, emptyBlock: start, end: next };
}

function compareRanks(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function hasContent(entry: Entry): entry is FileEntry {
  return entry.kind === 'file' && entry.content.size > 0;
}

function locateFiles(
  tree: Tree,
  content: PlacedContent,
  shared: ReadonlyMap<string, SharedPlace>,
  appended: IsoRange,
): Map<string, IsoRange> {
  const files = new Map(content.ranges);
  for (const [path, sharedPlace] of shared) {
    const entry = tree.byPath.get(path);
    if (entry === undefined || !hasContent(entry)) {
      throw invalid(`shared file "${path}": the tree has no file with content there`);
    }
    const within = sharedPlace.in === 'appended' ? appended : content.ranges.get(sharedPlace.path);
    const offset = (within?.offset ?? 0) + sharedPlace.offset;
    const size = entry.content.size;
    if (within === undefined || sharedPlace.offset < 0 || sharedPlace.offset + size > within.size) {
      throw invalid(`shared file "${path}": ${sharedPlace.offset}+${size} lies outside what holds it`);
    }
    if (offset % BLOCK_SIZE !== 0) throw invalid(`shared file "${path}": offset ${offset} is not the start of a block`);
    files.set(path, { offset, size });
  }
  return files;
}

/** Descriptors, directories and path tables of one view. */
function encodeView(
  addresses: Addresses,
  blocks: number,
  options: IsoOptions,
  files: ReadonlyMap<string, IsoRange>,
): Placement[] {
  const { base, directories } = addresses;
  const isPartition = base !== 0;
  const descriptors = [encodePrimary(addresses, blocks, options)];
  if (options.boot !== undefined && !isPartition) {
    descriptors.push(encodeBootRecord(files.get(options.boot.catalogPath)!.offset / BLOCK_SIZE));
  }
  descriptors.push(encodeTerminator());
  const tables = encodePathTables(addresses);
  return [
    ...descriptors.map((descriptor, index) => atBlock(base + SYSTEM_AREA_BLOCKS + index, descriptor)),
    ...[...directories.plan].map(([path, directory]) =>
      atBlock(directories.blocks.get(path)!, encodeDirectory(directory, addresses)),
    ),
    atBlock(directories.littlePathTable, tables.little),
    atBlock(directories.bigPathTable, tables.big),
  ];
}

function atBlock(block: number, data: Uint8Array): Placement {
  return { at: block * BLOCK_SIZE, bytes: ofMemory(data) };
}

function encodePrimary({ base, directories }: Addresses, blocks: number, options: IsoOptions): Uint8Array {
  const root = directories.plan.get('')!;
  return encodePrimaryDescriptor(
    {
      systemId: '',
      volumeId: options.volumeId,
      volumeSetId: options.volumeSetId,
      publisherId: '',
      preparerId: options.preparerId,
      applicationId: '',
      blocks,
      pathTableSize: directories.pathTableSize,
      littlePathTable: directories.littlePathTable - base,
      bigPathTable: directories.bigPathTable - base,
      root: {
        identifier: SELF,
        block: directories.blocks.get('')! - base,
        size: root.recordBlocks * BLOCK_SIZE,
        flags: 2,
        time: root.entry.mtime,
        systemUse: new Uint8Array(),
      },
    },
    { time: options.time },
  );
}

function encodeCatalog(
  images: readonly BootReference[],
  files: ReadonlyMap<string, IsoRange>,
  appendedStart: number,
): Uint8Array {
  return encodeBootCatalog(
    images.map(({ platform, sectors, image }) => {
      const offset = image.in === 'appended' ? appendedStart : files.get(image.path)?.offset;
      if (offset === undefined) throw invalid('boot catalog: the image to start is not in the tree');
      return { platform, sectors, block: offset / BLOCK_SIZE };
    }),
  );
}
