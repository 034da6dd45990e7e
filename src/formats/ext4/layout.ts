/**
 * ext4 volumes from Trees, with the dimensions and features of mke2fs 1.47.2 (spec boot-and-images 6.8). Contents stay where they are; only
 * metadata is made in memory, of what is in use.
 */
import { type Bytes, ofMemory, type Placement as Place, padTo, place, slice } from '../../bytes/bytes.ts';
import { joinMemory } from '../../bytes/field.ts';
import { MIB } from '../../bytes/units.ts';
import { invalid } from '../../errors.ts';
import type { Tree } from '../../tree/tree.ts';
import type { Guid } from '../gpt/guid.ts';
import { volumeSeed } from './checksum.ts';
import { encodeEntryInode } from './entry-inode.ts';
import { encodeFixedInodes } from './fixed-inodes.ts';
import { geometryOf, groupStart, hasCopy, maximumSize, minimumSize } from './geometry.ts';
import { type EncodedGroup, encodeGroups } from './group.ts';
import { encodeGroupDescriptor } from './group-descriptor.ts';
import { INODE } from './inode.ts';
import { atBlocks, type Written } from './inode-encoding.ts';
import { assignInodes } from './inode-numbers.ts';
import { type PlannedInode, planInode } from './inode-plan.ts';
import { encodeInodeTables } from './inode-table.ts';
import { encodeCleanJournal } from './journal.ts';
import { overheadOf, type PlacedInode, type Placement, placeAll } from './placement.ts';
import { type Counters, encodeSuperblock, SUPERBLOCK_OFFSET, uuidBytes } from './superblock.ts';
import { encodeTime } from './timestamp.ts';

export interface Ext4Options {
  /** Bytes. */
  readonly size: number;
  /** At most 16 bytes of UTF-8; none unless given. */
  readonly label?: string;
  readonly uuid: Guid;
  /** What the hashes of large directories begin with. */
  readonly hashSeed: Guid;
  /** Seconds since 1970: when inodes were made and changed. Modification times are the entries' own. */
  readonly epoch: number;
  /** Bytes: 4096, unless given, 2048 or 1024. */
  readonly blockSize?: number;
}

const DEFAULT_BLOCK_SIZE = 4096;

/**
 * A volume of exactly `options.size` bytes that holds the tree, and a directory `lost+found` unless the tree has one. Throws `invalid-input`
 * when the size is below 2048 blocks or too small for the tree, and for names, targets, owners, times and devices that ext4 cannot hold;
 * `unsupported` for extended attributes other than of user, trusted and security.
 */
export function layoutExt4(tree: Tree, options: Ext4Options): Bytes {
  const { size } = options;
  const planned = planAll(tree, options);
  const placement = placedIn(planned, size, options);
  if (placement === undefined) {
    const least = leastSize(planned, options);
    throw invalid(`ext4 volume of ${size} bytes: ${describe(tree, planned)} do not fit, want at least ${least}`);
  }
  return encodeVolume(placement, options);
}

/** The least size in bytes, a whole number of MiB, of a volume that holds the tree with these options. */
export function minimumExt4Size(tree: Tree, options: Omit<Ext4Options, 'size'>): number {
  return leastSize(planAll(tree, options), options);
}

type VolumeOptions = Omit<Ext4Options, 'size'>;

function planAll(tree: Tree, { epoch, hashSeed, blockSize = DEFAULT_BLOCK_SIZE }: VolumeOptions): PlannedInode[] {
  minimumSize(blockSize);
  const options = { blockSize, hashSeed: uuidBytes(hashSeed) };
  return assignInodes(tree, epoch).map((node) => planInode(node, options));
}

function placedIn(planned: readonly PlannedInode[], size: number, options: VolumeOptions): Placement | undefined {
  const geometry = geometryOf(size, options.blockSize ?? DEFAULT_BLOCK_SIZE, planned.at(-1)!.number);
  return geometry === undefined ? undefined : placeAll(geometry, planned);
}

/** What takes the room, for an error. */
function describe(tree: Tree, planned: readonly PlannedInode[]): string {
  const contents = planned.reduce((sum, { data }) => sum + (data.kind === 'file' ? data.content.size : 0), 0);
  return `${tree.entries.length} entries with ${contents} bytes, inode tables and a journal`;
}

function leastSize(planned: readonly PlannedInode[], options: VolumeOptions): number {
  const { blockSize = DEFAULT_BLOCK_SIZE } = options;
  const fits = (mebibytes: number): boolean => placedIn(planned, mebibytes * MIB, options) !== undefined;
  const most = Math.floor(maximumSize(blockSize) / MIB);
  const data = planned.reduce((sum, { blocks }) => sum + blocks, 0) * blockSize;
  let low = Math.max(minimumSize(blockSize) / MIB, Math.floor(data / MIB));
  if (low <= most && fits(low)) return low * MIB;
  let high = low;
  while (high < most && !fits(high)) {
    low = high;
    high = Math.min(most, Math.ceil(high * 1.25));
  }
  if (low >= most || !fits(high)) {
    throw invalid(`files of ${data} bytes: want what fits an ext4 volume of ${maximumSize(blockSize)}`);
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) high = middle;
    else low = middle;
  }
  return high * MIB;
}

function encodeVolume(placement: Placement, options: Ext4Options): Bytes {
  const { geometry, journal } = placement;
  const { blockSize } = geometry;
  const uuid = uuidBytes(options.uuid);
  const seed = volumeSeed(uuid);
  const made = encodeTime(options.epoch, 'ext4 volume');
  const groups = encodeGroups(placement, seed);
  const fixed = encodeFixedInodes(placement, seed, made);
  const inodes = [...fixed, ...placement.inodes.map((inode) => encodeEntryInode(inode, blockSize, seed))];
  const written: Written[] = [
    ...encodeHeaders(placement, groups, fixed.find(({ number }) => number === INODE.journal)!.fields.block, options),
    ...groups.flatMap(({ bitmaps }) => atBlocks(bitmaps, blockSize)),
    ...encodeInodeTables(placement, inodes, seed, made),
    ...inodes.flatMap((inode) => inode.written),
    { at: journal.extents[0]!.start * blockSize, data: encodeCleanJournal(geometry, uuid) },
  ];
  const places: Place[] = [
    ...written.map(({ at, data }) => ({ at, bytes: ofMemory(data) })),
    ...placement.inodes.flatMap((inode) => contentPlaces(inode, blockSize)),
  ];
  return padTo(place(geometry.blocks * blockSize, places), options.size);
}

/** Super blocks and descriptors of all groups that have them. */
function encodeHeaders(
  { geometry }: Placement,
  groups: readonly EncodedGroup[],
  journalRoot: Uint8Array,
  options: Ext4Options,
): Written[] {
  const { blockSize } = geometry;
  const seed = volumeSeed(uuidBytes(options.uuid));
  const identity = { ...options, label: options.label ?? '' };
  const counters: Counters = {
    freeBlocks: groups.reduce((sum, { state }) => sum + state.freeBlocks, 0),
    freeInodes: groups.reduce((sum, { state }) => sum + state.freeInodes, 0),
    overhead: overheadOf(geometry),
  };
  const descriptors = joinMemory(groups.map(({ state }, group) => encodeGroupDescriptor(group, state, seed)));
  const written: Written[] = [];
  for (let group = 0; group < groups.length; group++) {
    if (!hasCopy(group)) continue;
    const start = groupStart(geometry, group) * blockSize;
    const superblock = encodeSuperblock(geometry, identity, counters, journalRoot, group);
    // The first has its own place whatever the block size: with blocks of 1024 bytes the boot sector's is not in the group.
    written.push({ at: group === 0 ? SUPERBLOCK_OFFSET : start, data: superblock });
    written.push({ at: start + blockSize, data: descriptors });
  }
  return written;
}

function contentPlaces({ planned, extents }: PlacedInode, blockSize: number): Place[] {
  const { data } = planned;
  if (data.kind !== 'file') return [];
  return extents.map(({ offset, start, count }) => {
    const from = offset * blockSize;
    const to = Math.min(data.content.size, from + count * blockSize);
    return { at: start * blockSize, bytes: slice(data.content, from, to) };
  });
}
