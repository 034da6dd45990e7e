/**
 * Which inode an entry gets, by the rules of the kernel's allocator as mkfs.xfs meets them when it fills a volume: in a directory first
 * what is no directory, then directories each with what it holds, all by name. Directories go to the AGs in turn, the rest to the AG of
 * its directory.
 */
import { crc32c } from '../../bytes/crc32c.ts';
import { putU64, structure } from '../../bytes/field.ts';
import { type DirectoryEntry, type Entry, parentOf, type Tree } from '../../tree/tree.ts';
import { encodeName } from '../volume/directory-entry.ts';
import {
  agLength,
  BLOCKS_PER_CHUNK,
  firstChunk,
  type Geometry,
  INODES_PER_BLOCK,
  INODES_PER_CHUNK,
  inodeNumber,
} from './geometry.ts';
import { reservedBlocks } from './space.ts';

/** An inode and the names that lead to it. */
export interface Node {
  readonly number: number;
  readonly ag: number;
  /** Tells an inode from an earlier one of the same number. */
  readonly generation: number;
  /** What it is; of several names that are one file, the first. */
  readonly entry: Entry;
  /** One per name; none for the root. */
  readonly names: Name[];
  /** Of a directory, in the order of their creation. */
  readonly children: Child[];
}

export interface Name {
  readonly parent: Node;
  readonly name: Uint8Array;
}

export interface Child {
  readonly name: Uint8Array;
  readonly node: Node;
}

export interface Inodes {
  /** In the order of their creation; the root is the first. */
  readonly nodes: readonly Node[];
  /** Names of one file lead to one node. */
  readonly byPath: ReadonlyMap<string, Node>;
  /** Inodes in use, by AG. */
  readonly used: readonly number[];
}

/** The root, and the two inodes of the real-time section behind it. */
const FIXED_INODES = 3;

/** `undefined` when the volume may not have as many inodes. Throws `invalid-input` for names that XFS cannot hold. */
export function assignInodes(tree: Tree, geometry: Geometry, uuid: Uint8Array): Inodes | undefined {
  const held = childrenByDirectory(tree);
  const numbers = new Numbers(geometry);
  const nodes: Node[] = [];
  const byPath = new Map<string, Node>();
  const shared = new Map<symbol, Node>();

  const create = (entry: Entry, ag: number): Node => {
    const place = numbers.next(ag);
    const generation = generationOf(uuid, place.number);
    const node: Node = { ...place, generation, entry, names: [], children: [] };
    nodes.push(node);
    return node;
  };
  const link = (entry: Entry, node: Node, parent: Node): void => {
    const name = encodeName(entry.path, 'XFS');
    node.names.push({ parent, name });
    parent.children.push({ name, node });
  };

  const root = create(tree.byPath.get('')!, 0);
  numbers.skip(FIXED_INODES - 1);
  // Directories that are made but not filled: the next one to fill comes last. A list, not recursion, as trees may be deep.
  const waiting: { entry: DirectoryEntry; parent: Node | undefined }[] = [
    { entry: root.entry as DirectoryEntry, parent: undefined },
  ];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { entry, parent } = next;
    let directory = root;
    if (parent !== undefined) {
      directory = create(entry, numbers.turn());
      link(entry, directory, parent);
    }
    byPath.set(entry.path, directory);
    const directories: DirectoryEntry[] = [];
    for (const child of held.get(entry.path) ?? []) {
      if (child.kind === 'directory') {
        directories.push(child);
        continue;
      }
      const known = child.kind === 'file' && child.inode !== undefined ? shared.get(child.inode) : undefined;
      const node = known ?? create(child, directory.ag);
      if (child.kind === 'file' && child.inode !== undefined) shared.set(child.inode, node);
      byPath.set(child.path, node);
      link(child, node, directory);
    }
    for (const child of directories.reverse()) waiting.push({ entry: child, parent: directory });
  }
  return numbers.exhausted ? undefined : { nodes, byPath, used: numbers.used };
}

function childrenByDirectory(tree: Tree): Map<string, Entry[]> {
  const held = new Map<string, Entry[]>();
  for (const entry of tree.entries) {
    if (entry.path === '') continue;
    const parent = parentOf(entry.path);
    const siblings = held.get(parent);
    if (siblings === undefined) held.set(parent, [entry]);
    else siblings.push(entry);
  }
  return held;
}

/** mkfs.xfs draws generations by lot; ours follow from what the inode is told by. */
export function generationOf(uuid: Uint8Array, number: number): number {
  const { data, view } = structure(8);
  putU64(view, 0, number, false);
  return crc32c(data, crc32c(uuid));
}

class Numbers {
  readonly used: number[];
  readonly #geometry: Geometry;
  readonly #capacity: readonly number[];
  readonly #most: number;
  #total = 0;
  #turn = 0;
  #exhausted = false;

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
    this.used = Array.from({ length: geometry.agCount }, () => 0);
    this.#capacity = this.used.map((_, ag) => inodeCapacity(geometry, ag));
    this.#most = Math.floor((geometry.blocks * geometry.inodePercent) / 100) * INODES_PER_BLOCK;
  }

  /** The AG that a new directory goes to. */
  turn(): number {
    const ag = this.#turn;
    this.#turn = (ag + 1) % this.#geometry.agCount;
    return ag;
  }

  /** Whether there were too few inodes; numbers given since then are not to be used. */
  get exhausted(): boolean {
    return this.#exhausted;
  }

  /** The next inode in `wanted`, or in an AG behind it when that one is full. */
  next(wanted: number): { number: number; ag: number } {
    const { agCount } = this.#geometry;
    for (let step = 0; step < agCount && this.#total < this.#most; step++) {
      const ag = (wanted + step) % agCount;
      const index = this.used[ag]!;
      if (index >= this.#capacity[ag]!) continue;
      this.used[ag] = index + 1;
      this.#total++;
      const agInode = firstChunk(this.#geometry, ag) * INODES_PER_BLOCK + index;
      return { number: inodeNumber(this.#geometry, ag, agInode), ag };
    }
    this.#exhausted = true;
    return { number: 0, ag: 0 };
  }

  /** Leaves out inodes of AG 0. */
  skip(count: number): void {
    this.used[0]! += count;
    this.#total += count;
  }
}

/** Half of an AG at most goes to inodes, so that all of them together have room for the share that the volume allows. */
function inodeCapacity(geometry: Geometry, ag: number): number {
  const blocks = agLength(geometry, ag) - firstChunk(geometry, ag) - reservedBlocks(geometry, ag);
  return Math.max(0, Math.floor(blocks / 2 / BLOCKS_PER_CHUNK)) * INODES_PER_CHUNK;
}
