/**
 * XFS volumes of version 5 from Trees, as mkfs.xfs would make them for the same kernel: its dimensions, features, log and inode numbers
 * (spec boot-and-images 6.8). Contents stay where they are; only metadata is made in memory.
 */
import { type Bytes, ofMemory, type Placement as Place, padTo, place, slice } from '../../bytes/bytes.ts';
import { MIB } from '../../bytes/units.ts';
import { type ImagerError, invalid } from '../../errors.ts';
import type { Tree } from '../../tree/tree.ts';
import type { Guid } from '../gpt/guid.ts';
import type { TreeBlock } from './btree.ts';
import { FEATURE_SETS, type FeatureSet } from './features.ts';
import { BLOCK_SIZE, blockOf, type Geometry, geometryOf, logStart, MAXIMUM_SIZE, MINIMUM_SIZE } from './geometry.ts';
import { encodeGroup } from './group.ts';
import { assignInodes, type Inodes, type Node } from './inode-numbers.ts';
import { planInode } from './inode-plan.ts';
import { encodeInodes } from './inode-table.ts';
import { encodeCleanLog } from './log.ts';
import { type Placement, placeAll } from './placement.ts';
import { type Alignment, alignmentOf, UNALIGNED } from './space.ts';
import { type Counters, encodeSuperblock, uuidBytes } from './superblock.ts';
import { encodeBigTime } from './timestamp.ts';

/** Where the files that another structure will share lie. */
export interface LargeFiles {
  /** Bytes: files from this size on. */
  readonly from: number;
  /** Bytes; `base` plus the file's offset in the volume is a multiple of it. Skipped blocks stay free. */
  readonly alignment: number;
  /** Bytes from the start of the medium to the start of the volume; 0 unless given. */
  readonly base?: number;
}

export interface XfsOptions {
  /** At most 12 bytes of UTF-8; none unless given. */
  readonly label?: string;
  readonly uuid: Guid;
  readonly features: FeatureSet;
  /** Seconds since 1970: when inodes were made and changed. Modification times are the entries' own. */
  readonly epoch: number;
  /** Bytes: 512, unless given, or 4096. */
  readonly sectorSize?: number;
  /** Paths of files whose content comes before that of all others, in this order; the rest follows in tree order. */
  readonly contentFirst?: readonly string[];
  readonly largeFiles?: LargeFiles;
}

/** A file's place in its volume, in bytes. */
export interface FileRange {
  readonly offset: number;
  readonly size: number;
}

export interface XfsLayout {
  readonly bytes: Bytes;
  /** By tree path, every name of it. Empty files, and those in several pieces because no allocation group could hold them, are not listed. */
  readonly files: ReadonlyMap<string, FileRange>;
}

/**
 * A volume of exactly `size` bytes that holds the tree. Throws `invalid-input` when the size is below 300 MiB or too small for the tree, and for
 * names, targets, owners, times and devices that XFS cannot hold; `unsupported` for extended attributes other than of user, trusted and security.
 */
export function layoutXfs(tree: Tree, size: number, options: XfsOptions): XfsLayout {
  const attempt = tryLayout(tree, size, options);
  if (attempt !== undefined) return attempt;
  const least = xfsSizeFor(tree, options);
  throw invalid(`XFS volume of ${size} bytes: the files do not fit, want at least ${least}`);
}

/** The least size in bytes, a whole number of MiB, of a volume that holds the tree with these options. */
export function xfsSizeFor(tree: Tree, options: XfsOptions): number {
  const fits = (mebibytes: number): boolean => placed(tree, mebibytes * MIB, options) !== undefined;
  const contents = tree.entries.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.content.size : 0), 0);
  let low = Math.max(MINIMUM_SIZE, Math.floor(contents / MIB) * MIB) / MIB;
  if (low > MAXIMUM_SIZE / MIB) throw tooLarge(contents);
  if (fits(low)) return low * MIB;
  let high = low;
  while (high < MAXIMUM_SIZE / MIB && !fits(high)) {
    low = high;
    high = Math.min(MAXIMUM_SIZE / MIB, Math.ceil(high * 1.25));
  }
  if (!fits(high)) throw tooLarge(contents);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) high = middle;
    else low = middle;
  }
  return high * MIB;
}

function tooLarge(contents: number): ImagerError {
  return invalid(`files of ${contents} bytes: want what fits an XFS volume of ${MAXIMUM_SIZE}`);
}

interface Placed {
  readonly geometry: Geometry;
  readonly inodes: Inodes;
  readonly placement: Placement;
}

/** `undefined` when the tree does not fit. */
function placed(tree: Tree, size: number, options: XfsOptions): Placed | undefined {
  const features = FEATURE_SETS[options.features];
  const geometry = geometryOf(size, options.sectorSize ?? 512, features);
  const inodes = assignInodes(tree, geometry, uuidBytes(options.uuid));
  if (inodes === undefined) return undefined;
  const planned = new Map(inodes.nodes.map((node) => [node, planInode(node, features)]));
  const placement = placeAll(geometry, {
    planned: [...planned.values()],
    inodesUsed: inodes.used,
    files: contentOrder(tree, inodes, options.contentFirst ?? []).map((node) => planned.get(node)!),
    alignmentOf: alignmentBySize(options.largeFiles),
  });
  return placement === undefined ? undefined : { geometry, inodes, placement };
}

/** Files in the order of their content. */
function contentOrder(tree: Tree, { byPath }: Inodes, first: readonly string[]): Node[] {
  const ordered = new Set<Node>();
  for (const path of first) {
    if (tree.byPath.get(path)?.kind !== 'file')
      throw invalid(`content to come first: "${path}" is no file of the tree`);
    ordered.add(byPath.get(path)!);
  }
  for (const { kind, path } of tree.entries) if (kind === 'file') ordered.add(byPath.get(path)!);
  return [...ordered];
}

function alignmentBySize(largeFiles: LargeFiles | undefined): (size: number) => Alignment {
  if (largeFiles === undefined) return () => UNALIGNED;
  const { from, alignment, base = 0 } = largeFiles;
  if (!Number.isSafeInteger(alignment) || alignment < 1 || !Number.isSafeInteger(base) || base < 0) {
    throw invalid(`XFS file alignment ${alignment} from ${base}: want whole numbers, the first 1 or more`);
  }
  const aligned = alignmentOf(alignment, base);
  if (aligned === undefined) {
    throw invalid(`XFS volume at ${base}: no block of ${BLOCK_SIZE} bytes lies at a multiple of ${alignment}`);
  }
  return (size) => (size >= from ? aligned : UNALIGNED);
}

function tryLayout(tree: Tree, size: number, options: XfsOptions): XfsLayout | undefined {
  const found = placed(tree, size, options);
  if (found === undefined) return undefined;
  const { geometry, inodes, placement } = found;
  const uuid = uuidBytes(options.uuid);
  const places = [
    ...groupPlaces(geometry, placement, { label: options.label ?? '', uuid: options.uuid }),
    ...encodeInodes(geometry, placement, uuid, encodeBigTime(options.epoch, 'XFS volume')).map(atBlock),
    { at: logStart(geometry) * BLOCK_SIZE, bytes: ofMemory(encodeCleanLog(uuid, geometry.sectorSize)) },
    ...contentPlaces(placement),
  ];
  const bytes = padTo(place(geometry.blocks * BLOCK_SIZE, places), size);
  return { bytes, files: rangesOf(inodes, placement) };
}

/** Super blocks, headers and trees of all AGs. */
function groupPlaces(
  geometry: Geometry,
  { groups }: Placement,
  identity: { readonly label: string; readonly uuid: Guid },
): Place[] {
  const encoded = groups.map((group) => encodeGroup(geometry, uuidBytes(identity.uuid), group));
  const sum = (of: (counters: Counters) => number): number =>
    encoded.reduce((total, { counters }) => total + of(counters), 0);
  const counters: Counters = {
    inodes: sum((one) => one.inodes),
    freeInodes: sum((one) => one.freeInodes),
    freeBlocks: sum((one) => one.freeBlocks),
  };
  return encoded.flatMap(({ headers, trees }, ag) => {
    const superblock = encodeSuperblock(geometry, identity, ag === 0 ? counters : undefined);
    const start = blockOf(geometry, ag, 0) * BLOCK_SIZE;
    return [
      ...[superblock, ...headers].map((data, sector) => ({
        at: start + sector * geometry.sectorSize,
        bytes: ofMemory(data),
      })),
      ...trees.map(atBlock),
    ];
  });
}

function atBlock({ block, data }: TreeBlock): Place {
  return { at: block * BLOCK_SIZE, bytes: ofMemory(data) };
}

function contentPlaces({ inodes }: Placement): Place[] {
  return inodes.flatMap(({ planned, pieces }) => {
    const { data } = planned;
    if (data.kind !== 'file') return [];
    return pieces.map(({ offset, block, count }) => {
      const start = offset * BLOCK_SIZE;
      const end = Math.min(data.content.size, start + count * BLOCK_SIZE);
      return { at: block * BLOCK_SIZE, bytes: slice(data.content, start, end) };
    });
  });
}

function rangesOf({ byPath }: Inodes, { inodes }: Placement): Map<string, FileRange> {
  const ranges = new Map<Node, FileRange>();
  for (const { planned, pieces } of inodes) {
    const { data, node } = planned;
    const [only] = pieces;
    if (data.kind !== 'file' || only === undefined || pieces.length > 1) continue;
    ranges.set(node, { offset: only.block * BLOCK_SIZE, size: data.content.size });
  }
  const files = new Map<string, FileRange>();
  for (const [path, node] of byPath) {
    const range = ranges.get(node);
    if (range !== undefined) files.set(path, range);
  }
  return files;
}
