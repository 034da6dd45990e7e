/**
 * Firmware of extensions (spec profiles-and-inputs 7.3 step 2): drivers ask for it before extensions are mounted, so that it moves into the
 * initramfs itself. There is no second place that a link could lead to: links become what they lead to.
 */
import { invalid } from '../errors.ts';
import {
  children,
  type DirectoryEntry,
  type Entry,
  filter,
  nameOf,
  parentOf,
  resolve,
  type Tree,
  treeOf,
} from '../tree/tree.ts';

export interface TakenFirmware {
  /** Files and directories below the root of the initramfs, parents of the firmware directory included; none where there is no firmware. */
  readonly firmware: readonly Entry[];
  readonly rest: Tree;
}

/** Links can make a small tree large. */
const MAX_ENTRIES = 200_000;
const MAX_DEPTH = 64;

/**
 * `firmwarePath` without a leading `/`. Throws `invalid-input` for links that lead to nothing, round in circles or to what is neither file nor
 * directory, naming the first, and for a firmware directory that is none.
 */
export function takeFirmware(rootfs: Tree, firmwarePath: string): TakenFirmware {
  const top = rootfs.byPath.get(firmwarePath);
  if (top === undefined) return { firmware: [], rest: rootfs };
  if (top.kind !== 'directory') throw invalid(`/${firmwarePath}: a ${top.kind}, want a directory`);
  const firmware: Entry[] = parentsOf(firmwarePath).map((path) => ({ ...top, path }));
  copyDirectory(rootfs, top, firmwarePath, [firmwarePath], firmware);
  return { firmware, rest: filter(rootfs, ({ path }) => path !== firmwarePath) };
}

/** As upstream makes them: with the mode of the firmware directory. */
function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let parent = parentOf(path); parent !== ''; parent = parentOf(parent)) parents.unshift(parent);
  return parents;
}

/** `ancestors` are the places the directories above really have: one of them again is a circle. */
function copyDirectory(
  tree: Tree,
  directory: DirectoryEntry,
  path: string,
  ancestors: readonly string[],
  copied: Entry[],
): void {
  if (ancestors.length > MAX_DEPTH) throw invalid(`/${path}: more than ${MAX_DEPTH} directories deep`);
  copied.push({ ...directory, path });
  for (const child of children(tree, directory.path)) {
    if (copied.length > MAX_ENTRIES) throw invalid(`/${path}: more than ${MAX_ENTRIES} files, links followed`);
    const at = `${path}/${nameOf(child.path)}`;
    const entry = followed(tree, child);
    if (entry.kind === 'directory') {
      if (ancestors.includes(entry.path)) throw invalid(`/${child.path}: a link to a directory it lies in`);
      copyDirectory(tree, entry, at, [...ancestors, entry.path], copied);
    } else {
      copied.push({ ...entry, path: at });
    }
  }
}

function followed(tree: Tree, entry: Entry): Exclude<Entry, { readonly kind: 'symlink' }> {
  if (entry.kind !== 'symlink') return entry;
  const found = resolve(tree, entry.path);
  if (found?.kind === 'file') {
    // A copy, not one more name.
    const { inode: _, ...file } = found;
    return file;
  }
  if (found?.kind === 'directory') return found;
  const what = found === undefined ? 'leads to nothing in the extension' : `leads to a ${found.kind}`;
  throw invalid(`/${entry.path}: link to ${JSON.stringify(entry.target)} ${what}`);
}

/**
 * Firmware of several extensions as one tree: files of later ones replace those of earlier ones, directories keep what the first said of them.
 * Throws `invalid-input` where one has a file and another a directory.
 */
export function mergeFirmware(all: readonly (readonly Entry[])[]): Tree {
  const merged = new Map<string, Entry>();
  for (const entry of all.flat()) {
    const known = merged.get(entry.path);
    if (known !== undefined && (known.kind === 'directory') !== (entry.kind === 'directory')) {
      throw invalid(`/${entry.path}: a ${known.kind} in one extension, a ${entry.kind} in another`);
    }
    if (known?.kind !== 'directory') merged.set(entry.path, entry);
  }
  return treeOf(merged.values());
}
