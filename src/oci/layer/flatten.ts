/**
 * Layers to one tree (image-spec layer.md, "Representing Changes"; containerd's result where the text is silent). Contents stay
 * where they are, as ranges of the plain layers. Nothing is followed: a path goes through directories or is refused.
 */
import { type Bytes, EMPTY, ofSource, place, slice } from '../../bytes/bytes.ts';
import { invalid, withContext } from '../../errors.ts';
import type { TarAttributes, TarEntry, TarFile, TarLink } from '../../formats/tar/entry.ts';
import type { Source } from '../../platform/types.ts';
import {
  type Attributes,
  compareNames,
  DEFAULT_DIRECTORY,
  type Entry,
  nameOf,
  parentOf,
  type Tree,
} from '../../tree/tree.ts';

/** A plain layer and what is in it. */
export interface LayerContent {
  /** What messages call it: `layer sha256:...`. */
  readonly label: string;
  readonly entries: readonly TarEntry[];
  /** The plain tar the offsets of `entries` count in. */
  readonly source: Source;
}

const WHITEOUT = '.wh.';
/** Hides what lower layers have in its directory. */
const OPAQUE = '.wh..wh..opq';
/** Bookkeeping of AUFS, which old Docker layers still carry. */
const AUFS = '.wh..wh.';

/** PATH_MAX of Linux counts the NUL. */
const MAX_TARGET = 4095;

/**
 * The tree of all layers, lowest first. Throws `invalid-input` for a name with `..`, an entry below a file or a symbolic link, a
 * hard link to nothing or out of the tree, a device node, a whiteout of nothing in particular.
 */
export function flatten(layers: readonly LayerContent[]): Tree {
  const root: DirectoryNode = { kind: 'directory', attributes: DEFAULT_DIRECTORY, children: new Map() };
  for (const layer of layers) {
    try {
      applyLayer(root, layer);
    } catch (error) {
      throw withContext(layer.label, error);
    }
  }
  // Made directly, not by `treeOf`: entries come out in tree order with all parents, and checking that again would double the time
  // in which a stored image opens. The tests compare with `treeOf`.
  const entries = entriesOf(root);
  return { entries, byPath: new Map(entries.map((entry) => [entry.path, entry])) };
}

interface DirectoryNode {
  readonly kind: 'directory';
  attributes: Attributes;
  readonly children: Map<string, Node>;
}

/** One file, however many names it has. */
interface FileBody {
  attributes: Attributes;
  readonly content: Bytes;
  /** Names met while listing, and the symbol they share when there are several. */
  names: number;
  symbol: symbol | undefined;
}

interface FileNode {
  readonly kind: 'file';
  readonly body: FileBody;
}

interface SymlinkNode {
  readonly kind: 'symlink';
  readonly attributes: Attributes;
  readonly target: string;
}

interface FifoNode {
  readonly kind: 'fifo';
  readonly attributes: Attributes;
}

type Node = DirectoryNode | FileNode | SymlinkNode | FifoNode;

/** What a layer's markers took away, by path: hard links of the same layer may still name it. */
type Hidden = Map<string, Node>;

function applyLayer(root: DirectoryNode, { entries, source }: LayerContent): void {
  const hidden: Hidden = new Map();
  const marked: string[] = [];
  // Markers hide lower layers only, wherever they stand in their own, so they come first.
  for (const entry of entries) {
    const marker = markerOf(entry.name);
    if (marker !== undefined) marked.push(hide(root, marker, hidden));
  }
  for (const entry of entries) {
    const path = cleanPath(entry.name);
    if (isMarked(path)) continue;
    try {
      apply(root, path, entry, source, hidden);
    } catch (error) {
      throw withContext(JSON.stringify(path), error);
    }
  }
  for (const path of marked) refuseBelowLink(root, path);
}

interface Marker {
  /** The directory it stands in. */
  readonly directory: string;
  /** What it hides there; `undefined` everything. */
  readonly name: string | undefined;
}

/** Cheap look first: nearly all names have no marker. */
function markerOf(name: string): Marker | undefined {
  if (!name.includes(WHITEOUT)) return undefined;
  const path = cleanPath(name);
  if (!isMarked(path) || isBookkeeping(path)) return undefined;
  const directory = parentOf(path);
  if (directory.split('/').some((segment) => segment.startsWith(WHITEOUT))) {
    throw invalid(`${JSON.stringify(path)}: lies below a whiteout`);
  }
  const marker = nameOf(path);
  if (marker === OPAQUE) return { directory, name: undefined };
  const hides = marker.slice(WHITEOUT.length);
  if (hides === '' || hides === '.' || hides === '..') {
    throw invalid(`${JSON.stringify(path)}: a whiteout of no name in its directory`);
  }
  return { directory, name: hides };
}

function isMarked(path: string): boolean {
  return path.includes(WHITEOUT) && path.split('/').some((segment) => segment.startsWith(WHITEOUT));
}

function isBookkeeping(path: string): boolean {
  return path.startsWith(AUFS) && path !== OPAQUE;
}

/** Takes away what the marker hides; gives the path that must not lie below a link. */
function hide(root: DirectoryNode, { directory, name }: Marker, hidden: Hidden): string {
  const node = find(root, directory);
  if (node?.kind !== 'directory') return directory;
  for (const child of name === undefined ? [...node.children.keys()] : [name]) {
    const found = node.children.get(child);
    if (found === undefined) continue;
    hidden.set(directory === '' ? child : `${directory}/${child}`, found);
    node.children.delete(child);
  }
  return directory;
}

/** A marker in a directory that is a link meant another directory: what it should have hidden would stay. */
function refuseBelowLink(root: DirectoryNode, directory: string): void {
  for (let path = directory; path !== ''; path = parentOf(path)) {
    if (find(root, path)?.kind === 'symlink') {
      throw invalid(`a whiteout in ${JSON.stringify(directory)}: its parent "${path}" is a link`);
    }
  }
}

function apply(root: DirectoryNode, path: string, entry: TarEntry, source: Source, hidden: Hidden): void {
  if (path === '') {
    if (entry.kind !== 'directory') throw invalid(`the root is a ${entry.kind}: want a directory`);
    root.attributes = attributesOf(entry);
    return;
  }
  const parent = makeParents(root, path);
  const name = nameOf(path);
  const existing = parent.children.get(name);
  switch (entry.kind) {
    case 'directory':
      if (existing?.kind === 'directory') existing.attributes = attributesOf(entry);
      else parent.children.set(name, { kind: 'directory', attributes: attributesOf(entry), children: new Map() });
      return;
    case 'file':
      parent.children.set(name, { kind: 'file', body: bodyOf(entry, source) });
      return;
    case 'symlink':
      parent.children.set(name, symlinkOf(entry));
      return;
    case 'hardlink':
      parent.children.set(name, hardLink(root, path, entry, hidden));
      return;
    case 'fifo':
      parent.children.set(name, { kind: 'fifo', attributes: attributesOf(entry) });
      return;
    case 'character':
    case 'block':
      throw invalid(`a ${entry.kind} device node: want files, directories and links`);
  }
}

/** The directory that holds `path`; missing ones get default attributes. */
function makeParents(root: DirectoryNode, path: string): DirectoryNode {
  let node = root;
  for (let start = 0, cut = path.indexOf('/'); cut >= 0; start = cut + 1, cut = path.indexOf('/', start)) {
    const name = path.slice(start, cut);
    let child = node.children.get(name);
    if (child === undefined) {
      child = { kind: 'directory', attributes: DEFAULT_DIRECTORY, children: new Map() };
      node.children.set(name, child);
    }
    if (child.kind !== 'directory') {
      const kind = child.kind === 'symlink' ? 'link' : child.kind;
      throw invalid(`its parent "${path.slice(0, cut)}" is a ${kind}: want a directory`);
    }
    node = child;
  }
  return node;
}

function bodyOf(entry: TarFile, source: Source): FileBody {
  return { attributes: attributesOf(entry), content: contentOf(entry, source), names: 0, symbol: undefined };
}

function contentOf({ size, offset, sparse }: TarFile, source: Source): Bytes {
  if (size === 0) return EMPTY;
  if (sparse === undefined) return ofSource(source, offset, size);
  const stored = sparse.reduce((sum, { length }) => sum + length, 0);
  const data = ofSource(source, offset, stored);
  let position = 0;
  const parts = sparse.map(({ at, length }) => {
    position += length;
    return { at, bytes: slice(data, position - length, position) };
  });
  return place(size, parts);
}

function symlinkOf(entry: TarLink): SymlinkNode {
  const { target } = entry;
  if (target === '') throw invalid('a symbolic link without target');
  if (new TextEncoder().encode(target).length > MAX_TARGET) {
    throw invalid(`a symbolic link with a target too long: want at most ${MAX_TARGET} bytes`);
  }
  return { kind: 'symlink', attributes: attributesOf(entry), target };
}

/** Another name for a file that is there, or was until this layer hid it. The entry's attributes become those of the file, as in containerd. */
function hardLink(root: DirectoryNode, path: string, entry: TarLink, hidden: Hidden): Node {
  const target = linkPath(entry.target);
  if (target === path) throw invalid('a hard link to itself');
  const found = find(root, target) ?? findHidden(hidden, target);
  if (found === undefined) throw invalid(`a hard link to "${target}", which is not there`);
  switch (found.kind) {
    case 'directory':
      throw invalid(`a hard link to "${target}", which is a directory`);
    case 'file': {
      const { body } = found;
      const { xattrs } = body.attributes;
      const given = attributesOf(entry);
      const merged = xattrs === undefined ? given.xattrs : new Map([...xattrs, ...(given.xattrs ?? [])]);
      body.attributes = { ...given, ...(merged === undefined ? {} : { xattrs: merged }) };
      return { kind: 'file', body };
    }
    case 'symlink':
    case 'fifo':
      return found;
  }
}

/** Targets count from the root, with or without a slash in front. */
function linkPath(target: string): string {
  try {
    return cleanPath(target);
  } catch (cause) {
    throw invalid(`a hard link to ${JSON.stringify(target)}, which leaves the root`, { cause });
  }
}

function find(root: DirectoryNode, path: string): Node | undefined {
  return path === '' ? root : findBelow(root, path.split('/'));
}

function findBelow(start: Node, segments: readonly string[]): Node | undefined {
  let node: Node | undefined = start;
  for (const segment of segments) {
    if (node?.kind !== 'directory') return undefined;
    node = node.children.get(segment);
  }
  return node;
}

function findHidden(hidden: Hidden, path: string): Node | undefined {
  if (hidden.size === 0) return undefined;
  const segments = path.split('/');
  for (let count = 1; count <= segments.length; count++) {
    const top = hidden.get(segments.slice(0, count).join('/'));
    if (top !== undefined) return findBelow(top, segments.slice(count));
  }
  return undefined;
}

/** A relative path without `.` and empty segments; an absolute name counts from the root. Throws for `..`. */
function cleanPath(name: string): string {
  if (!/(^|\/)(\.{0,2})(\/|$)/.test(name)) return name;
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (segments.includes('..')) throw invalid(`${JSON.stringify(name)}: want a name without ".."`);
  return segments.join('/');
}

function attributesOf({ mode, uid, gid, mtime, xattrs }: TarAttributes): Attributes {
  return xattrs === undefined ? { mode, uid, gid, mtime } : { mode, uid, gid, mtime, xattrs };
}

/** All entries in tree order. */
function entriesOf(root: DirectoryNode): Entry[] {
  countNames(root);
  const entries: Entry[] = [{ kind: 'directory', path: '', ...root.attributes }];
  list(root, '', entries);
  return entries;
}

function list(directory: DirectoryNode, prefix: string, into: Entry[]): void {
  for (const name of [...directory.children.keys()].sort(compareNames)) {
    const node = directory.children.get(name)!;
    const path = prefix + name;
    switch (node.kind) {
      case 'directory':
        into.push({ kind: 'directory', path, ...node.attributes });
        list(node, `${path}/`, into);
        break;
      case 'file':
        into.push(fileEntry(path, node.body));
        break;
      case 'symlink':
        into.push({ kind: 'symlink', path, target: node.target, ...node.attributes });
        break;
      case 'fifo':
        into.push({ kind: 'fifo', path, ...node.attributes });
        break;
    }
  }
}

function fileEntry(path: string, body: FileBody): Entry {
  const { attributes, content } = body;
  const { mode, uid, gid, mtime, xattrs } = attributes;
  const inode = inodeOf(body, path);
  // Nearly all files; spreading attributes costs three times as much, and there are thousands.
  if (xattrs === undefined && inode === undefined) return { kind: 'file', path, content, mode, uid, gid, mtime };
  return { kind: 'file', path, content, ...attributes, ...(inode === undefined ? {} : { inode }) };
}

/** A file whose other names are gone is no hard link any more. */
function inodeOf(body: FileBody, path: string): symbol | undefined {
  if (body.names < 2) return undefined;
  body.symbol ??= Symbol(path);
  return body.symbol;
}

function countNames(directory: DirectoryNode): void {
  for (const node of directory.children.values()) {
    if (node.kind === 'directory') countNames(node);
    else if (node.kind === 'file') node.body.names++;
  }
}
