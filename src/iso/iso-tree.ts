/** Trees as they go onto an ISO: one time for all, and owners and modes as the generator sets them. Source: spec boot-and-images 5.5. */
import { type Attributes, below, EMPTY_TREE, type Entry, overlay, type Tree, withAttributes } from '../tree/tree.ts';

/** Where Talos looks for images that need not be pulled. */
const IMAGE_CACHE_DIRECTORY = 'imagecache';

export interface IsoTreeOptions {
  /** Seconds since 1970, of every file and directory. */
  readonly time: number;
  /** Owner and group 0, nobody may write, everybody may read, and execute where anybody may. Otherwise modes are kept. */
  readonly normalized: boolean;
}

/** All trees as one, and the image cache, if there is one. */
export function isoTree(trees: readonly Tree[], imageCache: Tree | undefined, options: IsoTreeOptions): Tree {
  const cache = imageCache === undefined ? EMPTY_TREE : below(imageCache, IMAGE_CACHE_DIRECTORY);
  const merged = [...trees, cache].reduce(overlay);
  return withAttributes(merged, (entry) => attributesOnIso(entry, options));
}

function attributesOnIso(entry: Entry, { time, normalized }: IsoTreeOptions): Partial<Attributes> {
  const mode = normalized && entry.kind !== 'symlink' ? normalizedMode(entry) : entry.mode;
  return { mode, uid: 0, gid: 0, mtime: time };
}

function normalizedMode({ kind, mode }: Entry): number {
  return kind === 'directory' || (mode & 0o111) !== 0 ? 0o555 : 0o444;
}
