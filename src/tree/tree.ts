/**
 * `Tree`: an immutable file tree whose file contents are `Bytes`. Layers, directories and object literals become Trees;
 * formats are functions from Trees to `Bytes`. Nothing is ever unpacked.
 *
 * Order: a directory comes before what it holds, and names within one directory are in byte order of their UTF-8,
 * so every writer meets the same entries in the same order on every machine.
 */
import { type Bytes, ofMemory, ofText } from '../bytes/bytes.ts';
import { invalid } from '../errors.ts';

export interface Attributes {
  /** Permission bits with setuid, setgid and sticky: 0..0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since 1970, may be negative. */
  readonly mtime: number;
  /** Extended attributes by full name (`security.selinux`), raw values. Absent means none. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
}

export interface FileEntry extends Attributes {
  readonly kind: 'file';
  /** Relative, `/`-separated, without `.`, `..` or empty segments. */
  readonly path: string;
  readonly content: Bytes;
  /** Entries with the same symbol are one file under several names (hard links). */
  readonly inode?: symbol;
}

export interface DirectoryEntry extends Attributes {
  readonly kind: 'directory';
  /** `''` for the root. */
  readonly path: string;
}

export interface SymlinkEntry extends Attributes {
  readonly kind: 'symlink';
  readonly path: string;
  readonly target: string;
}

export interface DeviceEntry extends Attributes {
  readonly kind: 'character' | 'block';
  readonly path: string;
  readonly major: number;
  readonly minor: number;
}

export interface FifoEntry extends Attributes {
  readonly kind: 'fifo';
  readonly path: string;
}

export type Entry = FileEntry | DirectoryEntry | SymlinkEntry | DeviceEntry | FifoEntry;

export interface Tree {
  /** In tree order; the root directory is the first entry, with path `''`. */
  readonly entries: readonly Entry[];
  readonly byPath: ReadonlyMap<string, Entry>;
}

const ROOT: DirectoryEntry = { kind: 'directory', path: '', mode: 0o755, uid: 0, gid: 0, mtime: 0 };

/** What a directory gets that nobody described: root's, 0755, at the epoch. */
export const DEFAULT_DIRECTORY: Attributes = { mode: 0o755, uid: 0, gid: 0, mtime: 0 };

export const EMPTY_TREE: Tree = treeOf([]);

/**
 * A tree from entries in any order. Missing parents become default directories. Throws `invalid-input` for a path that is
 * not normalised, a path given twice, and an entry below something that is no directory.
 */
export function treeOf(entries: Iterable<Entry>): Tree {
  const byPath = new Map<string, Entry>();
  for (const entry of entries) {
    checkPath(entry.path);
    if (entry.path === '' && entry.kind !== 'directory')
      throw invalid(`the root of a tree is a ${entry.kind}: want a directory`);
    if (byPath.has(entry.path)) throw invalid(`path "${entry.path}" is in the tree twice`);
    byPath.set(entry.path, entry);
  }
  if (!byPath.has('')) byPath.set('', ROOT);
  for (const path of [...byPath.keys()]) {
    for (let parent = parentOf(path); path !== ''; parent = parentOf(parent)) {
      const found = byPath.get(parent);
      if (found === undefined) byPath.set(parent, { kind: 'directory', path: parent, ...DEFAULT_DIRECTORY });
      else if (found.kind !== 'directory')
        throw invalid(`path "${path}" lies below "${parent}", which is a ${found.kind}`);
      else break;
    }
  }
  return treeInOrder([...byPath.values()].sort((a, b) => comparePaths(a.path, b.path)));
}

/** For entries that come out of trees in order, root first and parents included: neither checked nor sorted again. */
function treeInOrder(entries: readonly Entry[]): Tree {
  const byPath = new Map<string, Entry>();
  for (const entry of entries) byPath.set(entry.path, entry);
  return { entries, byPath };
}

/** A literal: text, memory or `Bytes` is a file, `null` a directory, `{ link }` a symbolic link, anything else a full entry without path. */
export type Literal = string | Uint8Array | Bytes | null | { readonly link: string };

/** A tree from an object of paths, all with the given attributes (files lose the execute bits of `mode`). */
export function treeOfLiterals(
  literals: Readonly<Record<string, Literal>>,
  attributes: Partial<Attributes> = {},
): Tree {
  const common: Attributes = { ...DEFAULT_DIRECTORY, ...attributes };
  const file: Attributes = { ...common, mode: common.mode & ~0o111 };
  return treeOf(
    Object.entries(literals).map(([path, literal]): Entry => {
      if (literal === null) return { kind: 'directory', path, ...common };
      if (typeof literal === 'string') return { kind: 'file', path, content: ofText(literal), ...file };
      if (literal instanceof Uint8Array) return { kind: 'file', path, content: ofMemory(literal), ...file };
      if ('link' in literal) return { kind: 'symlink', path, target: literal.link, ...common, mode: 0o777 };
      return { kind: 'file', path, content: literal, ...file };
    }),
  );
}

/** `upper` over `lower`: an entry replaces the one at its path; a directory over a directory keeps what is below. */
export function overlay(lower: Tree, upper: Tree): Tree {
  const entries: Entry[] = [];
  /** What begins like this lies in a directory that is none any more. */
  let gone: string | undefined;
  for (let at = 0, over = 0; at < lower.entries.length || over < upper.entries.length; ) {
    const below = lower.entries[at];
    const above = upper.entries[over];
    const order = below === undefined ? 1 : above === undefined ? -1 : comparePaths(below.path, above.path);
    if (order <= 0) at++;
    if (order >= 0) over++;
    if (order < 0) {
      if (gone === undefined || !below!.path.startsWith(gone)) entries.push(below!);
      continue;
    }
    if (order === 0 && below!.kind === 'directory' && above!.kind !== 'directory') gone = `${above!.path}/`;
    // A root that nobody described describes nothing.
    entries.push(order === 0 && above === ROOT ? below! : above!);
  }
  return treeInOrder(entries);
}

/** The same tree with other attributes. */
export function withAttributes(tree: Tree, attributesOf: (entry: Entry) => Partial<Attributes>): Tree {
  return treeInOrder(tree.entries.map((entry) => ({ ...entry, ...attributesOf(entry) })));
}

/** Entries for which `keep` is true; a directory that goes takes its content along. */
export function filter(tree: Tree, keep: (entry: Entry) => boolean): Tree {
  const kept: Entry[] = [];
  let dropped: string | undefined;
  for (const entry of tree.entries) {
    if (dropped !== undefined && (entry.path === dropped || entry.path.startsWith(`${dropped}/`))) continue;
    if (entry.path === '' || keep(entry)) kept.push(entry);
    else dropped = entry.path;
  }
  return treeInOrder(kept);
}

/** What lies below the directory `path`, as a tree of its own. Throws `invalid-input` when it is no directory of the tree. */
export function subtree(tree: Tree, path: string): Tree {
  const top = tree.byPath.get(path);
  if (top?.kind !== 'directory')
    throw invalid(`"${path}" is ${top === undefined ? 'not in the tree' : `a ${top.kind}`}: want a directory`);
  if (path === '') return tree;
  const below = `${path}/`;
  const entries: Entry[] = [{ ...top, path: '' }];
  for (let index = indexAfter(tree, path); index < tree.entries.length; index++) {
    const entry = tree.entries[index]!;
    if (!entry.path.startsWith(below)) break;
    entries.push({ ...entry, path: entry.path.slice(below.length) });
  }
  return treeInOrder(entries);
}

/** The whole tree moved below the directory `path`, which takes the root's attributes. */
export function below(tree: Tree, path: string): Tree {
  checkPath(path);
  if (path === '') return tree;
  return treeOf(tree.entries.map((entry) => ({ ...entry, path: entry.path === '' ? path : `${path}/${entry.path}` })));
}

/** Direct content of the directory `path`, in byte order. Looks at what lies below it only, so that walking a tree is not quadratic. */
export function children(tree: Tree, path: string): Entry[] {
  const found: Entry[] = [];
  const prefix = path === '' ? '' : `${path}/`;
  for (let index = indexAfter(tree, path); index < tree.entries.length; index++) {
    const entry = tree.entries[index]!;
    if (!entry.path.startsWith(prefix)) break;
    if (!entry.path.includes('/', prefix.length)) found.push(entry);
  }
  return found;
}

/** Index of the first entry that comes after `path` in tree order. */
function indexAfter(tree: Tree, path: string): number {
  let low = 0;
  let high = tree.entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (comparePaths(tree.entries[middle]!.path, path) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** As many links as Linux follows before it says ELOOP. */
const MAX_LINKS = 40;

/**
 * The entry that `path` leads to when symbolic links are followed as if the tree were the root file system: absolute targets start
 * at its root and `..` stops there. `undefined` when nothing is there or the links go round.
 */
export function resolve(tree: Tree, path: string): Entry | undefined {
  const pending = segmentsOf(path).reverse();
  let at: string[] = [];
  for (let links = 0; ; ) {
    const name = pending.pop();
    if (name === undefined) return tree.byPath.get(at.join('/'));
    if (name === '..') {
      at = at.slice(0, -1);
      continue;
    }
    const here = [...at, name];
    const entry = tree.byPath.get(here.join('/'));
    if (entry === undefined) return undefined;
    if (entry.kind !== 'symlink') {
      at = here;
      continue;
    }
    links++;
    if (links > MAX_LINKS) return undefined;
    if (entry.target.startsWith('/')) at = [];
    pending.push(...segmentsOf(entry.target).reverse());
  }
}

/** Content of the file at `path`, symbolic links followed; `undefined` when there is no file. */
export function fileAt(tree: Tree, path: string): Bytes | undefined {
  const entry = resolve(tree, path);
  return entry?.kind === 'file' ? entry.content : undefined;
}

export function parentOf(path: string): string {
  const cut = path.lastIndexOf('/');
  return cut < 0 ? '' : path.slice(0, cut);
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Tree order: segment by segment, in byte order of UTF-8, a directory before its content. */
export function comparePaths(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left === right) continue;
    // A segment that ends comes before one that goes on.
    if (left === SLASH) return -1;
    return right === SLASH ? 1 : liftSurrogate(left) - liftSurrogate(right);
  }
  return a.length - b.length;
}

const SLASH = 0x2f;

/** Byte order of UTF-8, which is code point order; UTF-16 order differs above U+FFFF, so surrogates are lifted. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return liftSurrogate(left) - liftSurrogate(right);
  }
  return a.length - b.length;
}

function liftSurrogate(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** Segments of a path or link target, `.` and empty ones dropped, `..` kept. */
export function segmentsOf(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '' && segment !== '.');
}

/** Throws `invalid-input` unless `path` is relative and normalised; `''` is the root. */
export function checkPath(path: string): void {
  if (path === '' || !UNSAFE_PATH.test(path)) return;
  throw invalid(`path ${JSON.stringify(path)}: want relative segments without ".", ".." or NUL`);
}

const UNSAFE_PATH = /(?:^|\/)\.{0,2}(?:\/|$)|\0/;
