/** What has to be written for each inode, as far as it follows from the tree, before any block is given out. */
import type { Bytes } from '../../bytes/bytes.ts';
import { viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { MODE } from '../../tree/mode.ts';
import type { Entry } from '../../tree/tree.ts';
import { type AttributePlan, attributeOf, planAttributes } from './attribute.ts';
import { type DirectoryPlan, planDirectory } from './directory.ts';
import { ROOT_SIZE } from './extent-tree.ts';
import { ATTRIBUTE_ROOM, INODE, INODE_FLAGS } from './inode.ts';
import type { Node } from './inode-numbers.ts';
import { encodeTime, type Timestamp } from './timestamp.ts';

export type PlannedData =
  | { readonly kind: 'file'; readonly content: Bytes }
  | { readonly kind: 'directory'; readonly plan: DirectoryPlan }
  | { readonly kind: 'target'; readonly target: Uint8Array }
  /** A short target or a device number: it takes the place of extents. `size` in bytes. */
  | { readonly kind: 'inline'; readonly root: Uint8Array; readonly size: number };

export interface PlannedInode {
  readonly number: number;
  /** Type and permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly flags: number;
  readonly modified: Timestamp;
  readonly data: PlannedData;
  /** Blocks for the data. */
  readonly blocks: number;
  readonly attributes: AttributePlan;
}

export interface PlanOptions {
  readonly blockSize: number;
  /** 16 bytes. */
  readonly hashSeed: Uint8Array;
}

const MAXIMUM_LINKS = 65000;

/** With a NUL behind it a target has to fit a page. */
const MAXIMUM_TARGET = 4095;

/** Linux gives majors 12 bits and minors 20. */
const MAJOR_LIMIT = 2 ** 12;
const MINOR_LIMIT = 2 ** 20;

const MAXIMUM_ID = 0xfffffffe;

/** What lost+found has at once: nothing may have to be given out when it is needed, and its blocks must have an inode's room. */
const LOST_AND_FOUND_SIZE = 16384;
const LOST_AND_FOUND_BLOCKS = 12;

/** Throws `invalid-input` for what an inode cannot hold, `unsupported` for foreign attributes. */
export function planInode(node: Node, options: PlanOptions): PlannedInode {
  const { number, entry } = node;
  checkOwner(entry);
  const data = planData(node, options);
  const attributes = [...(entry.xattrs ?? [])].map(([name, value]) => attributeOf(name, value, entry.path));
  const indexed = data.kind === 'directory' && data.plan.form === 'indexed';
  return {
    number,
    mode: MODE[entry.kind] | entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    links: linksOf(node),
    flags: (data.kind === 'inline' ? 0 : INODE_FLAGS.extents) | (indexed ? INODE_FLAGS.indexed : 0),
    modified: encodeTime(entry.mtime, entry.path),
    data,
    blocks: blocksOf(data, options.blockSize),
    attributes: planAttributes(attributes, ATTRIBUTE_ROOM, options.blockSize, entry.path),
  };
}

function planData({ number, parent, items, entry }: Node, { blockSize, hashSeed }: PlanOptions): PlannedData {
  switch (entry.kind) {
    case 'file':
      return { kind: 'file', content: entry.content };
    case 'directory': {
      const leastBlocks =
        number === INODE.lostAndFound ? Math.min(LOST_AND_FOUND_SIZE / blockSize, LOST_AND_FOUND_BLOCKS) : 1;
      const plan = planDirectory({ self: number, parent, items }, { blockSize, hashSeed, leastBlocks });
      if (plan === undefined) {
        throw invalid(
          `directory "${entry.path}" of ${items.length} entries: want what two levels of hashes hold, on ext4`,
        );
      }
      return { kind: 'directory', plan };
    }
    case 'symlink':
      return planTarget(entry.target, entry.path, blockSize);
    case 'fifo':
      return { kind: 'inline', root: new Uint8Array(ROOT_SIZE), size: 0 };
    case 'character':
    case 'block':
      return { kind: 'inline', root: encodeDevice(entry.major, entry.minor, entry.path), size: 0 };
  }
}

function planTarget(text: string, path: string, blockSize: number): PlannedData {
  const target = new TextEncoder().encode(text);
  const most = Math.min(MAXIMUM_TARGET, blockSize - 1);
  if (target.length < 1 || target.length > most || !text.isWellFormed()) {
    throw invalid(`target of "${path}": ${target.length} bytes of UTF-8, want 1 to ${most}, well-formed, on ext4`);
  }
  if (target.length >= ROOT_SIZE) return { kind: 'target', target };
  const root = new Uint8Array(ROOT_SIZE);
  root.set(target);
  return { kind: 'inline', root, size: target.length };
}

/** In the first word where both numbers have 8 bits, as in ext2, else in the second. */
function encodeDevice(major: number, minor: number, path: string): Uint8Array {
  if (!isBelow(major, MAJOR_LIMIT) || !isBelow(minor, MINOR_LIMIT)) {
    throw invalid(`device "${path}" ${major}:${minor}: want at most ${MAJOR_LIMIT - 1}:${MINOR_LIMIT - 1} on ext4`);
  }
  const root = new Uint8Array(ROOT_SIZE);
  const view = viewOf(root);
  if (major < 256 && minor < 256) view.setUint16(0, (major << 8) | minor, true);
  else view.setUint32(4, (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12), true);
  return root;
}

/** The numbers of a device; the reverse of what an inode has in the place of extents. */
export function decodeDevice(root: Uint8Array): { readonly major: number; readonly minor: number } {
  const view = viewOf(root);
  const old = view.getUint32(0, true);
  if (old !== 0) return { major: (old >>> 8) & 0xff, minor: old & 0xff };
  const device = view.getUint32(4, true);
  return { major: (device >>> 8) & 0xfff, minor: (device & 0xff) | ((device >>> 12) & 0xfff00) };
}

/** A directory with more than can be counted says 1 (dir_nlink). */
function linksOf({ links, entry }: Node): number {
  if (links <= MAXIMUM_LINKS) return links;
  if (entry.kind === 'directory') return 1;
  throw invalid(`"${entry.path}": a file of ${links} names, want at most ${MAXIMUM_LINKS} on ext4`);
}

function blocksOf(data: PlannedData, blockSize: number): number {
  switch (data.kind) {
    case 'file':
      return Math.ceil(data.content.size / blockSize);
    case 'directory':
      return data.plan.blocks;
    case 'target':
      return 1;
    case 'inline':
      return 0;
  }
}

function checkOwner({ uid, gid, mode, path }: Entry): void {
  if (!isBelow(uid, MAXIMUM_ID + 1) || !isBelow(gid, MAXIMUM_ID + 1)) {
    throw invalid(`owner ${uid}:${gid} of "${path}": want numbers up to ${MAXIMUM_ID}`);
  }
  if (!isBelow(mode, 0o10000)) {
    throw invalid(`mode 0${mode.toString(8)} of "${path}": want permissions up to 07777`);
  }
}

function isBelow(value: number, limit: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value < limit;
}
