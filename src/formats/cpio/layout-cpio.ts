/** A tree as a cpio archive in the `newc` format, what Linux unpacks as initramfs. Contents are referred to, not copied. */
import { type Bytes, concat, EMPTY, ofMemory, ofText, padToMultiple, zeros } from '../../bytes/bytes.ts';
import { invalid } from '../../errors.ts';
import { MODE } from '../../tree/mode.ts';
import type { Entry, FileEntry, Tree } from '../../tree/tree.ts';
import { ALIGNMENT, encodeHeader, MAX_NAME, TRAILER } from './header.ts';

export interface CpioOptions {
  /** The archive is filled with zeros to a multiple of this, bytes. Default 512, as GNU cpio does. */
  readonly blockSize?: number;
}

/**
 * The archive. The root directory is no member; inode numbers count from 0 in tree order; all names of a file stand together where the
 * last of them is due, the last with the data, in the order of GNU cpio: Linux gives the others the same inode when it gets there.
 * Extended attributes have no place in the format and are left out. Throws `invalid-input` for files of 4 GiB, times and owners outside
 * 32 bits, and names Linux would not read.
 */
export function layoutCpio(tree: Tree, options: CpioOptions = {}): Bytes {
  const { blockSize = 512 } = options;
  const links = new LinkGroups(tree);
  const members: Bytes[] = [];
  for (const entry of tree.entries) {
    if (entry.path === '') continue;
    const group = links.add(entry);
    if (group === undefined) continue;
    for (const { path, ...member } of group) members.push(layoutMember(path, member));
  }
  members.push(layoutMember(TRAILER, { inode: 0, mode: 0, uid: 0, gid: 0, mtime: 0, links: 1, data: EMPTY }));
  return padToMultiple(concat(members), blockSize);
}

interface Member {
  readonly inode: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly links: number;
  readonly major?: number;
  readonly minor?: number;
  readonly data: Bytes;
}

interface NamedMember extends Member {
  readonly path: string;
}

/** Numbers inodes, and keeps back the names of a file until its last. */
class LinkGroups {
  readonly #counts = new Map<symbol, number>();
  readonly #waiting = new Map<symbol, NamedMember[]>();
  #inodes = 0;

  constructor(tree: Tree) {
    for (const entry of tree.entries) {
      if (entry.kind !== 'file' || entry.inode === undefined) continue;
      this.#counts.set(entry.inode, (this.#counts.get(entry.inode) ?? 0) + 1);
    }
  }

  /** The members that are due with this entry, if any. */
  add(entry: Entry): readonly NamedMember[] | undefined {
    if (entry.path === TRAILER) throw invalid(`path "${TRAILER}": it would end the cpio archive; rename the file`);
    if (entry.kind !== 'file' || entry.inode === undefined) return [memberOf(entry, this.#inodes++)];
    const links = this.#counts.get(entry.inode)!;
    if (links === 1) return [memberOf(entry, this.#inodes++)];
    const before = this.#waiting.get(entry.inode) ?? [];
    const member = linkedMember(entry, before[0]?.inode ?? this.#inodes++, links);
    if (before.length + 1 < links) {
      this.#waiting.set(entry.inode, [...before, { ...member, data: EMPTY }]);
      return undefined;
    }
    this.#waiting.delete(entry.inode);
    return [...before.reverse(), member];
  }
}

function linkedMember(entry: FileEntry, inode: number, links: number): NamedMember {
  return { ...memberOf(entry, inode), links };
}

function memberOf(entry: Entry, inode: number): NamedMember {
  const { path, mode, uid, gid, mtime } = entry;
  const common = { path, inode, uid, gid, mtime, links: 1, data: EMPTY };
  switch (entry.kind) {
    case 'file':
      return { ...common, mode: MODE.file | mode, data: entry.content };
    case 'directory':
      // Whatever it holds, as GNU cpio from 2.14 on: so that the archive does not depend on a file system's way of counting.
      return { ...common, mode: MODE.directory | mode, links: 2 };
    case 'symlink': {
      const data = ofText(entry.target);
      if (data.size >= MAX_NAME) {
        throw invalid(`symbolic link "${path}": a target of ${data.size} bytes, want fewer than ${MAX_NAME}`);
      }
      return { ...common, mode: MODE.symlink | mode, data };
    }
    case 'character':
    case 'block': {
      const type = entry.kind === 'character' ? MODE.character : MODE.block;
      return { ...common, mode: type | mode, major: entry.major, minor: entry.minor };
    }
    case 'fifo':
      return { ...common, mode: MODE.fifo | mode };
  }
}

function layoutMember(path: string, { data, major = 0, minor = 0, ...member }: Member): Bytes {
  const name = new TextEncoder().encode(path);
  const nameSize = name.length + 1;
  if (nameSize > MAX_NAME)
    throw invalid(`path "${path.slice(0, 40)}...": ${name.length} bytes, want fewer than ${MAX_NAME}`);
  const rest = { size: data.size, deviceMajor: 0, deviceMinor: 0, major, minor, nameSize, checksum: 0 };
  const header = ofMemory(encodeHeader({ ...member, ...rest }, path));
  // Every member begins aligned, so that padding its own parts is padding within the archive.
  const head = padToMultiple(concat([header, ofMemory(name), zeros(1)]), ALIGNMENT);
  return concat([head, padToMultiple(data, ALIGNMENT)]);
}
