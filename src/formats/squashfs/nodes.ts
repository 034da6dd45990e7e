/** The inodes of a tree: one for each entry, hard links apart, with their numbers. */
import { invalid } from '../../errors.ts';
import { type DirectoryEntry, type Entry, nameOf, parentOf, type Tree } from '../../tree/tree.ts';

export interface Node {
  /** The first of its names. */
  readonly entry: Entry;
  /** From 1, in tree order; the root has the last one, as mksquashfs gives them. */
  number: number;
  names: number;
}

export interface DirectoryNode extends Node {
  readonly entry: DirectoryEntry;
  /** `undefined` for the root. */
  readonly parent: DirectoryNode | undefined;
  /** In byte order of the names. */
  readonly children: Child[];
}

export interface Child {
  readonly name: string;
  readonly node: Node;
}

export interface Nodes {
  readonly root: DirectoryNode;
  /** In the order of their numbers. */
  readonly all: readonly Node[];
}

export function isDirectory(node: Node): node is DirectoryNode {
  return node.entry.kind === 'directory';
}

/** Files with the same symbol are one inode. Throws `invalid-input` when their modes, owners or times differ. */
export function nodesOf(tree: Tree): Nodes {
  const below: Node[] = [];
  const directories = new Map<string, DirectoryNode>();
  const linked = new Map<symbol, Node>();
  for (const entry of tree.entries) {
    const parent = entry.path === '' ? undefined : directories.get(parentOf(entry.path))!;
    const symbol = entry.kind === 'file' ? entry.inode : undefined;
    let node = symbol === undefined ? undefined : linked.get(symbol);
    if (node === undefined) {
      node = makeNode(entry, below.length + 1, parent);
      if (parent !== undefined) below.push(node);
      if (symbol !== undefined) linked.set(symbol, node);
      if (isDirectory(node)) directories.set(entry.path, node);
    } else {
      checkSame(node.entry, entry);
      node.names++;
    }
    parent?.children.push({ name: nameOf(entry.path), node });
  }
  const root = directories.get('')!;
  root.number = below.length + 1;
  return { root, all: [...below, root] };
}

function makeNode(entry: Entry, number: number, parent: DirectoryNode | undefined): Node {
  const node = { entry, number, names: 1 };
  return entry.kind === 'directory' ? ({ ...node, parent, children: [] } as DirectoryNode) : node;
}

function checkSame(first: Entry, other: Entry): void {
  const same =
    first.mode === other.mode && first.uid === other.uid && first.gid === other.gid && first.mtime === other.mtime;
  if (!same) throw invalid(`hard links "${first.path}" and "${other.path}": want the same mode, owner and time`);
}
