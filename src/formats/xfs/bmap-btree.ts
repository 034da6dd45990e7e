/**
 * The B+tree of a fork's extents, for forks that have more than the inode holds. Its root lies in the inode.
 * Source: XFS Algorithms and Data Structures, "B+tree Extent List".
 */
import { getU64, viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { LONG, placesOf, recordRuns, shapeBelowRoot, type TreeForm, type TreeKind, type TreeShape } from './btree.ts';
import { isSealed } from './checksum.ts';
import { decodeExtent, EXTENT_SIZE, type Extent, encodeExtent } from './extent.ts';

export const EXTENT_TREE: TreeKind<Extent> = {
  magic: 0x424d4133,
  recordSize: EXTENT_SIZE,
  keySize: 8,
  encodeRecord: encodeExtent,
  encodeKey: (view, at, records) => view.setBigUint64(at, BigInt(records[0]!.offset)),
};

const HEADER_SIZE = 0x48;
const CHECKSUM_OFFSET = 0x40;
const ROOT_HEADER_SIZE = 4;
const KEY_SIZE = 8;
const POINTER_SIZE = 8;

/** Pointers that a root of `size` bytes has room for. */
export function rootCapacity(size: number): number {
  return Math.floor((size - ROOT_HEADER_SIZE) / (KEY_SIZE + POINTER_SIZE));
}

/** The tree's blocks below a root of `rootSize` bytes. */
export function extentTreeShape(extents: number, rootSize: number): TreeShape {
  return shapeBelowRoot(extents, EXTENT_TREE, LONG, rootCapacity(rootSize));
}

/** The root, `rootSize` bytes: level and count, keys, and from the middle on pointers. `blocks` as `encodeTree` takes them. */
export function encodeExtentRoot(
  extents: readonly Extent[],
  shape: TreeShape,
  blocks: readonly number[],
  rootSize: number,
  form: TreeForm,
): Uint8Array {
  const root = new Uint8Array(rootSize);
  const view = viewOf(root);
  const top = placesOf(shape, blocks).at(-1)!;
  const runs = recordRuns(shape).at(-1)!;
  const pointers = ROOT_HEADER_SIZE + rootCapacity(rootSize) * KEY_SIZE;
  view.setUint16(0, shape.length);
  view.setUint16(2, top.length);
  for (const [index, { first }] of runs.entries()) {
    view.setBigUint64(ROOT_HEADER_SIZE + index * KEY_SIZE, BigInt(extents[first]!.offset));
    form.encodePointer(view, pointers + index * POINTER_SIZE, top[index]!);
  }
  return root;
}

export interface ExtentRoot {
  /** Levels below the root. */
  readonly level: number;
  /** File system blocks. */
  readonly children: readonly number[];
}

/** Throws `invalid-input` when the root is not sound. */
export function decodeExtentRoot(literal: Uint8Array, inode: number): ExtentRoot {
  const view = viewOf(literal);
  const capacity = rootCapacity(literal.length);
  const level = view.getUint16(0);
  const count = view.getUint16(2);
  // 54 bits of offset and as few as two children a block: no tree is deeper.
  if (level < 1 || level > 54 || count < 1 || count > capacity) {
    throw invalid(`XFS inode ${inode}: root of extents with level ${level} and ${count} pointers`);
  }
  const pointers = ROOT_HEADER_SIZE + capacity * KEY_SIZE;
  const children = Array.from({ length: count }, (_, index) => getU64(view, pointers + index * POINTER_SIZE, false));
  return { level, children };
}

export type ExtentBlock =
  | { readonly kind: 'leaf'; readonly extents: readonly Extent[] }
  | { readonly kind: 'node'; readonly children: readonly number[] };

/** A block that is expected at `level`. Throws `invalid-input` when it is something else. */
export function decodeExtentBlock(
  data: Uint8Array,
  inode: number,
  level: number,
  { checksums }: { readonly checksums: boolean },
): ExtentBlock {
  const view = viewOf(data);
  const count = view.getUint16(0x06);
  const width = level === 0 ? EXTENT_SIZE : KEY_SIZE + POINTER_SIZE;
  const capacity = Math.floor((data.length - HEADER_SIZE) / width);
  if (
    view.getUint32(0) !== EXTENT_TREE.magic ||
    view.getUint16(0x04) !== level ||
    count < 1 ||
    count > capacity ||
    view.getBigUint64(0x38) !== BigInt(inode) ||
    (checksums && !isSealed(data, CHECKSUM_OFFSET))
  ) {
    throw invalid(`XFS inode ${inode}: what should be level ${level} of its extents is something else`);
  }
  const items = Array.from({ length: count }, (_, index) => index);
  if (level === 0) {
    return { kind: 'leaf', extents: items.map((index) => decodeExtent(view, HEADER_SIZE + index * EXTENT_SIZE)) };
  }
  const pointers = HEADER_SIZE + capacity * KEY_SIZE;
  return { kind: 'node', children: items.map((index) => getU64(view, pointers + index * POINTER_SIZE, false)) };
}
