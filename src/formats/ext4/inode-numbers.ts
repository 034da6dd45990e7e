/** Which inode an entry gets: those of fixed numbers apart, the next one in tree order. */
import { invalid } from '../../errors.ts';
import { type Entry, parentOf, type Tree } from '../../tree/tree.ts';
import { encodeName } from '../volume/directory-entry.ts';
import type { DirectoryItem } from './directory-block.ts';
import { INODE } from './inode.ts';

/** An inode and what leads to it and from it. */
export interface Node {
  readonly number: number;
  /** What it is; of several names that are one file, the first. */
  readonly entry: Entry;
  /** Of the directory that holds it; its own for the root. */
  readonly parent: number;
  /** Of a directory. */
  readonly items: DirectoryItem[];
  /** Names, and for a directory itself and those in it. */
  links: number;
}

/** What e2fsck puts files into that it finds without a name. Always there, as then it may be too late to make one. */
const LOST_AND_FOUND = 'lost+found';

/** In the order of their numbers; the root is the first. Throws `invalid-input` for names that ext4 cannot hold. */
export function assignInodes(tree: Tree, epoch: number): Node[] {
  const byPath = new Map<string, Node>();
  const shared = new Map<symbol, Node>();
  const nodes: Node[] = [];
  let next: number = INODE.orphans + 1;
  for (const entry of withLostAndFound(tree, epoch)) {
    const parent = entry.path === '' ? undefined : byPath.get(parentOf(entry.path))!;
    const link = entry.kind === 'file' ? entry.inode : undefined;
    let node = link === undefined ? undefined : shared.get(link);
    if (node === undefined) {
      const number = fixedNumber(entry.path) ?? next++;
      node = { number, entry, parent: parent?.number ?? number, items: [], links: 0 };
      nodes.push(node);
      if (link !== undefined) shared.set(link, node);
    }
    if (entry.kind === 'directory') byPath.set(entry.path, node);
    node.links += entry.kind === 'directory' ? 2 : 1;
    if (parent === undefined) continue;
    parent.items.push({ name: encodeName(entry.path, 'ext4'), inode: node.number, kind: entry.kind });
    if (entry.kind === 'directory') parent.links++;
  }
  return nodes.sort((a, b) => a.number - b.number);
}

/** All entries, each behind its directory. */
function withLostAndFound({ entries, byPath }: Tree, epoch: number): readonly Entry[] {
  const own = byPath.get(LOST_AND_FOUND);
  if (own?.kind === 'directory') return entries;
  if (own !== undefined) throw invalid(`"${LOST_AND_FOUND}" is a ${own.kind}: want a directory on ext4`);
  const [root, ...rest] = entries;
  const common = { mode: 0o700, uid: 0, gid: 0, mtime: epoch } as const;
  return [root!, { kind: 'directory', path: LOST_AND_FOUND, ...common }, ...rest];
}

function fixedNumber(path: string): number | undefined {
  if (path === '') return INODE.root;
  return path === LOST_AND_FOUND ? INODE.lostAndFound : undefined;
}
