/**
 * Blocks given out, group by group: each group fills from its front, and what is skipped stays free. The list of who got what is all there
 * is; free space and reverse mappings both follow from it.
 */

import type { FreeExtent } from './free-space-btree.ts';
import { agLength, BLOCK_SIZE, blockOf, type Geometry, INODES_PER_BLOCK, INODES_PER_CHUNK } from './geometry.ts';
import { continues, type Fork, type ReverseMapping } from './reverse-map-btree.ts';

/** Who gets blocks, and for which part of the fork. */
export interface Use {
  readonly owner: number;
  readonly fork: Fork;
  /** Block within the fork. */
  readonly offset: number;
}

/** Blocks that lie together: `block` is a volume block, `offset` a block within the fork. */
export interface Piece {
  readonly offset: number;
  readonly block: number;
  readonly count: number;
}

/** The first block from `block` on where content may start. */
export type Alignment = (block: number) => number;

export const UNALIGNED: Alignment = (block) => block;

interface AgSpace {
  readonly mappings: ReverseMapping[];
  /** AG block from which on nothing is taken. */
  next: number;
  /** AG block to which space may be given out. */
  readonly end: number;
}

export class Space {
  readonly #geometry: Geometry;
  readonly #ags: readonly AgSpace[];
  #exhausted = false;

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
    this.#ags = Array.from({ length: geometry.agCount }, (_, ag) => ({
      mappings: [],
      next: 0,
      end: agLength(geometry, ag) - reservedBlocks(geometry, ag),
    }));
  }

  /** Whether something was asked for that could not be had; what came instead is not to be used. */
  get exhausted(): boolean {
    return this.#exhausted;
  }

  /** Takes blocks of an AG at a place that the format prescribes, behind all that is taken already. */
  claim(ag: number, agBlock: number, count: number, owner: number): void {
    this.#take(this.#ags[ag]!, agBlock, count, { owner, fork: 'data', offset: 0 });
  }

  /** The next blocks of this AG. Gives the first one's AG block. */
  claimNext(ag: number, count: number, owner: number): number {
    const start = this.#ags[ag]!.next;
    this.claim(ag, start, count, owner);
    return start;
  }

  /** Blocks that lie together, in `ag` if it has as many, else in another. Gives the first one's volume block. */
  allocate(count: number, ag: number, use: Use): number {
    const { agCount } = this.#geometry;
    for (let step = 0; step < agCount; step++) {
      const found = this.#tryIn((ag + step) % agCount, count, UNALIGNED, use);
      if (found !== undefined) return found;
    }
    this.#exhausted = true;
    return 0;
  }

  /** Blocks for a file's content: together in the first AG that has as many, else in as few pieces as can be. */
  allocateContent(count: number, inode: number, alignment: Alignment): Piece[] {
    const use: Use = { owner: inode, fork: 'data', offset: 0 };
    for (let ag = 0; ag < this.#ags.length; ag++) {
      const block = this.#tryIn(ag, count, alignment, use);
      if (block !== undefined) return [{ offset: 0, block, count }];
    }
    const pieces: Piece[] = [];
    let offset = 0;
    for (const { ag, room } of this.#roomiest(count, alignment)) {
      const length = Math.min(room, count - offset);
      const block = this.#tryIn(ag, length, alignment, { ...use, offset })!;
      pieces.push({ offset, block, count: length });
      offset += length;
    }
    if (offset < count) this.#exhausted = true;
    return pieces;
  }

  /** As few AGs as have `count` blocks together, in the order of their numbers. */
  #roomiest(count: number, alignment: Alignment): { ag: number; room: number }[] {
    const rooms = this.#ags
      .map(({ end }, ag) => ({ ag, room: end - this.#startIn(ag, alignment) }))
      .filter(({ room }) => room > 0)
      .sort((a, b) => b.room - a.room);
    let sum = 0;
    const enough = rooms.findIndex(({ room }) => {
      sum += room;
      return sum >= count;
    });
    return rooms.slice(0, enough + 1 || rooms.length).sort((a, b) => a.ag - b.ag);
  }

  #startIn(ag: number, alignment: Alignment): number {
    const first = blockOf(this.#geometry, ag, 0);
    return alignment(first + this.#ags[ag]!.next) - first;
  }

  #tryIn(ag: number, count: number, alignment: Alignment, use: Use): number | undefined {
    const space = this.#ags[ag]!;
    const start = this.#startIn(ag, alignment);
    if (start + count > space.end) return undefined;
    this.#take(space, start, count, use);
    return blockOf(this.#geometry, ag, start);
  }

  #take(space: AgSpace, start: number, count: number, use: Use): void {
    if (start < space.next) throw new Error(`AG block ${start} is given out twice`);
    space.next = start + count;
    if (start + count > space.end) this.#exhausted = true;
    if (count === 0) return;
    const mapping: ReverseMapping = { start, count, ...use };
    const last = space.mappings.at(-1);
    if (last !== undefined && continues(last, mapping)) {
      space.mappings[space.mappings.length - 1] = { ...last, count: last.count + count };
    } else space.mappings.push(mapping);
  }

  /** In the order of their blocks, as long as can be. */
  mappings(ag: number): readonly ReverseMapping[] {
    return this.#ags[ag]!.mappings;
  }

  /** In the order of their blocks. */
  freeExtents(ag: number): FreeExtent[] {
    const free: FreeExtent[] = [];
    let end = 0;
    for (const { start, count } of this.#ags[ag]!.mappings) {
      if (start > end) free.push({ start: end, count: start - end });
      end = start + count;
    }
    const length = agLength(this.#geometry, ag);
    if (length > end) free.push({ start: end, count: length - end });
    return free;
  }
}

/** Records and children that blocks of these trees have at least: half of what fits. */
const LEAST = {
  reverseMap: { records: 84, children: 45 },
  referenceCount: { records: 168, children: 252 },
  freeInode: { records: 126, children: 252 },
} as const;

/**
 * Blocks of an AG that stay free: the kernel sets them aside at mount, for what its trees may come to, and complains when they are missing.
 * Source: Linux `xfs_ag_resv.c` and what it asks.
 */
export function reservedBlocks(geometry: Geometry, ag: number): number {
  const blocks = agLength(geometry, ag) - (ag === geometry.logAg ? geometry.logBlocks : 0);
  const chunks = Math.floor((agLength(geometry, ag) * INODES_PER_BLOCK) / INODES_PER_CHUNK);
  const reverseMap = geometry.features.rmapbt
    ? Math.max(Math.floor(blocks / 100), largestTree(blocks, LEAST.reverseMap))
    : 0;
  return reverseMap + largestTree(blocks, LEAST.referenceCount) + largestTree(chunks, LEAST.freeInode);
}

function largestTree(count: number, least: { readonly records: number; readonly children: number }): number {
  let level = Math.ceil(count / least.records);
  let blocks = level;
  while (level > 1) {
    level = Math.ceil(level / least.children);
    blocks += level;
  }
  return blocks;
}

/**
 * Content starts where `base`, the place of the volume on its medium, plus its offset in the volume is a multiple of `alignment`: bytes.
 * `undefined` when no block of the volume lies so.
 */
export function alignmentOf(alignment: number, base: number): Alignment | undefined {
  const period = alignment / greatestCommonDivisor(alignment, BLOCK_SIZE);
  let origin = 0;
  while (origin < period && (base + origin * BLOCK_SIZE) % alignment !== 0) origin++;
  if (origin === period) return undefined;
  return (block) => origin + Math.max(0, Math.ceil((block - origin) / period)) * period;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
