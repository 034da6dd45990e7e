/** The walk through a volume whose names lead to inodes, hostile ones included: every directory once, every inode read once. */
import { MIB } from '../../bytes/units.ts';
import { invalid } from '../../errors.ts';
import type { Entry } from '../../tree/tree.ts';

export interface DecodeOptions {
  /** Whether metadata must have its checksum; true unless given. Without, a damaged volume may still be read. */
  readonly checksums?: boolean;
}

/** A name in a directory, and where the inode is that it leads to. */
export interface ListedName<Place> {
  readonly name: Uint8Array;
  readonly inode: Place;
}

/** What a format has to say of its volume. `Place` is how its directories refer to inodes. */
export interface VolumeReader<Place, Inode> {
  /** What messages call the format, as `ext4`, and all of the volume, as `ext4 volume`. */
  readonly format: string;
  readonly whole: string;
  /** The same for the same inode. */
  keyOf(place: Place): number | bigint;
  readInode(place: Place): Promise<Inode>;
  entryOf(inode: Inode, place: Place, path: string): Promise<Entry>;
  /** Of an inode whose entry is a directory. */
  listDirectory(inode: Inode): AsyncIterable<ListedName<Place>> | Promise<Iterable<ListedName<Place>>>;
  /** `undefined` for a name that leads to the directory itself or back. Throws `invalid-input` for one that no file can have. */
  decodeName(name: Uint8Array, directory: Inode): string | undefined;
}

/** In a whole volume. */
const MAXIMUM_ENTRIES = 1_000_000;

const MAXIMUM_DEPTH = 1024;

/** Of all entries together: what lies deep repeats the names above it, which the volume stores once. Characters. */
const MAXIMUM_PATHS: number = 128 * MIB;

/**
 * All that has a name, the root first; a file with several names is one entry under each. Throws `invalid-input` for directories in circles or too deep, for
 * too many entries or too long paths, and what the reader throws.
 */
export async function walkVolume<Place, Inode>(reader: VolumeReader<Place, Inode>, rootPlace: Place): Promise<Entry[]> {
  const { format, whole } = reader;
  const root = await reader.readInode(rootPlace);
  const entries = [await reader.entryOf(root, rootPlace, '')];
  /** What is no directory: a second name costs nothing. */
  const known = new Map<number | bigint, Entry>();
  const directories = new Set([reader.keyOf(rootPlace)]);
  let pathsLeft = MAXIMUM_PATHS;
  const waiting = [{ inode: root, path: '', depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { inode, path, depth } = next;
    if (depth > MAXIMUM_DEPTH) throw invalid(`${format} directory "${path}": deeper than ${MAXIMUM_DEPTH}`);
    for await (const listed of await reader.listDirectory(inode)) {
      const name = reader.decodeName(listed.name, inode);
      if (name === undefined) continue;
      if (entries.length === MAXIMUM_ENTRIES) throw invalid(`${whole}: more than ${MAXIMUM_ENTRIES} entries`);
      const childPath = path === '' ? name : `${path}/${name}`;
      pathsLeft -= childPath.length;
      if (pathsLeft < 0) throw invalid(`${whole}: paths of more than ${MAXIMUM_PATHS} characters`);
      const key = reader.keyOf(listed.inode);
      const same = known.get(key);
      if (same !== undefined) {
        entries.push({ ...same, path: childPath });
        continue;
      }
      const child = await reader.readInode(listed.inode);
      const entry = await reader.entryOf(child, listed.inode, childPath);
      entries.push(entry);
      if (entry.kind !== 'directory') {
        known.set(key, entry);
        continue;
      }
      if (directories.has(key)) throw invalid(`${format} directory "${childPath}": it is in two places`);
      directories.add(key);
      waiting.push({ inode: child, path: childPath, depth: depth + 1 });
    }
  }
  return entries;
}
