/**
 * B+trees as XFS has them, built at once from sorted records: the shape (how many records and children each block holds) follows from
 * the number of records alone, so space can be planned before any address is known.
 * Source: XFS Algorithms and Data Structures, "Fixed Length Record B+trees".
 */
import { structure } from '../../bytes/field.ts';
import { NULL_32 } from './agi.ts';
import { seal } from './checksum.ts';
import { agBlockOf, BLOCK_SIZE, diskAddress, fileSystemBlock, type Geometry } from './geometry.ts';

/** What a tree holds. Records must come in the order of their keys. */
export interface TreeKind<R> {
  readonly magic: number;
  /** Bytes. */
  readonly recordSize: number;
  /** Bytes that stand for a block in its parent. */
  readonly keySize: number;
  encodeRecord(view: DataView, at: number, record: R): void;
  /** The key of a block, by all records in it and below it, of which there is at least one. */
  encodeKey(view: DataView, at: number, records: readonly R[]): void;
}

/** What the shape of a tree depends on, in bytes. */
export interface TreeSizes {
  readonly headerSize: number;
  readonly pointerSize: number;
}

/** Trees within an AG, and trees that inodes own. */
export const SHORT: TreeSizes = { headerSize: 0x38, pointerSize: 4 };
export const LONG: TreeSizes = { headerSize: 0x48, pointerSize: 8 };

/** How a block begins and names its neighbours: within an AG by 32 bits, anywhere by 64. */
export interface TreeForm extends TreeSizes {
  readonly checksumOffset: number;
  encodeHeader(view: DataView, header: BlockHeader): void;
  encodePointer(view: DataView, at: number, block: number): void;
}

export interface BlockHeader {
  readonly magic: number;
  /** 0 for a leaf. */
  readonly level: number;
  readonly count: number;
  /** Volume blocks. */
  readonly self: number;
  readonly left: number | undefined;
  readonly right: number | undefined;
}

/** A run of items: from `first`, `count` of them. */
interface Run {
  readonly first: number;
  readonly count: number;
}

/** Per level from the leaves up, per block: which records, or which blocks of the level below, it holds. */
export type TreeShape = readonly (readonly Run[])[];

/** The shape of a tree with one block at its top: a leaf at least, even for no records. */
export function shapeOf<R>(records: number, kind: TreeKind<R>, sizes: TreeSizes): TreeShape {
  const levels = [split(records, leafCapacity(kind, sizes))];
  while (levels.at(-1)!.length > 1) levels.push(split(levels.at(-1)!.length, nodeCapacity(kind, sizes)));
  return levels;
}

/** The shape of what lies below a root that is elsewhere and has room for `rootCapacity` pointers. */
export function shapeBelowRoot<R>(
  records: number,
  kind: TreeKind<R>,
  sizes: TreeSizes,
  rootCapacity: number,
): TreeShape {
  const levels = [split(records, leafCapacity(kind, sizes))];
  while (levels.at(-1)!.length > rootCapacity) levels.push(split(levels.at(-1)!.length, nodeCapacity(kind, sizes)));
  return levels;
}

export function blockCount(shape: TreeShape): number {
  return shape.reduce((sum, level) => sum + level.length, 0);
}

function leafCapacity<R>(kind: TreeKind<R>, sizes: TreeSizes): number {
  return Math.floor((BLOCK_SIZE - sizes.headerSize) / kind.recordSize);
}

function nodeCapacity<R>(kind: TreeKind<R>, sizes: TreeSizes): number {
  return Math.floor((BLOCK_SIZE - sizes.headerSize) / (kind.keySize + sizes.pointerSize));
}

/** As few runs of at most `capacity` as it takes, as even as can be: no block is less than half full, which the format demands. */
export function split(items: number, capacity: number): Run[] {
  const runs = Math.max(1, Math.ceil(items / capacity));
  const small = Math.floor(items / runs);
  const large = items - small * runs;
  return Array.from({ length: runs }, (_, index) => ({
    first: index * small + Math.min(index, large),
    count: small + (index < large ? 1 : 0),
  }));
}

export interface TreeBlock {
  /** Volume block. */
  readonly block: number;
  readonly data: Uint8Array;
}

/** `blocks` are volume blocks: the top level's first, then level by level down to the leaves. */
export function encodeTree<R>(
  records: readonly R[],
  shape: TreeShape,
  blocks: readonly number[],
  kind: TreeKind<R>,
  form: TreeForm,
): TreeBlock[] {
  const places = placesOf(shape, blocks);
  const below = recordRuns(shape);
  return shape.flatMap((runs, level) =>
    runs.map((run, index) => {
      const { data, view } = structure(BLOCK_SIZE);
      const self = places[level]![index]!;
      const [left, right] = [places[level]![index - 1], places[level]![index + 1]];
      form.encodeHeader(view, { magic: kind.magic, level, count: run.count, self, left, right });
      if (level === 0) {
        for (let item = 0; item < run.count; item++) {
          kind.encodeRecord(view, form.headerSize + item * kind.recordSize, records[run.first + item]!);
        }
      } else {
        const pointers = form.headerSize + nodeCapacity(kind, form) * kind.keySize;
        for (let item = 0; item < run.count; item++) {
          const { first, count } = below[level - 1]![run.first + item]!;
          kind.encodeKey(view, form.headerSize + item * kind.keySize, records.slice(first, first + count));
          form.encodePointer(view, pointers + item * form.pointerSize, places[level - 1]![run.first + item]!);
        }
      }
      seal(data, form.checksumOffset);
      return { block: self, data };
    }),
  );
}

/** Per level, the volume block of each block of the shape. */
export function placesOf(shape: TreeShape, blocks: readonly number[]): readonly (readonly number[])[] {
  const places: number[][] = [];
  let taken = 0;
  for (let level = shape.length - 1; level >= 0; level--) {
    places[level] = blocks.slice(taken, taken + shape[level]!.length);
    taken += shape[level]!.length;
  }
  return places;
}

/** Per level, the records at or below each block. */
export function recordRuns(shape: TreeShape): readonly (readonly Run[])[] {
  const found: Run[][] = [];
  for (const [level, runs] of shape.entries()) {
    if (level === 0) found.push([...runs]);
    else {
      const below = found[level - 1]!;
      found.push(
        runs.map(({ first, count }) => {
          const last = below[first + count - 1]!;
          return { first: below[first]!.first, count: last.first + last.count - below[first]!.first };
        }),
      );
    }
  }
  return found;
}

/** Blocks of an AG's own trees: `owner` is the AG, pointers are AG blocks. */
export function shortForm(geometry: Geometry, uuid: Uint8Array, ag: number): TreeForm {
  const pointer = (block: number | undefined): number => (block === undefined ? NULL_32 : agBlockOf(geometry, block));
  return {
    ...SHORT,
    checksumOffset: 0x34,
    encodeHeader(view, header): void {
      encodeCommon(view, header);
      view.setUint32(0x08, pointer(header.left));
      view.setUint32(0x0c, pointer(header.right));
      view.setBigUint64(0x10, BigInt(diskAddress(header.self)));
      new Uint8Array(view.buffer).set(uuid, 0x20);
      view.setUint32(0x30, ag);
    },
    encodePointer(view, at, block): void {
      view.setUint32(at, pointer(block));
    },
  };
}

/** Blocks of a tree that an inode owns: pointers are file system blocks. */
export function longForm(geometry: Geometry, uuid: Uint8Array, inode: number): TreeForm {
  const pointer = (block: number | undefined): bigint =>
    block === undefined ? 0xffffffffffffffffn : BigInt(fileSystemBlock(geometry, block));
  return {
    ...LONG,
    checksumOffset: 0x40,
    encodeHeader(view, header): void {
      encodeCommon(view, header);
      view.setBigUint64(0x08, pointer(header.left));
      view.setBigUint64(0x10, pointer(header.right));
      view.setBigUint64(0x18, BigInt(diskAddress(header.self)));
      new Uint8Array(view.buffer).set(uuid, 0x28);
      view.setBigUint64(0x38, BigInt(inode));
    },
    encodePointer(view, at, block): void {
      view.setBigUint64(at, pointer(block));
    },
  };
}

function encodeCommon(view: DataView, { magic, level, count }: BlockHeader): void {
  view.setUint32(0x00, magic);
  view.setUint16(0x04, level);
  view.setUint16(0x06, count);
}
