/** Inodes of file systems that keep what `stat` tells, and names as Linux has them, as entries of a Tree. */
import type { Bytes } from '../../bytes/bytes.ts';
import { MIB } from '../../bytes/units.ts';
import { decodeUtf8 } from '../../bytes/utf8.ts';
import { invalid } from '../../errors.ts';
import { MODE, typeOfMode } from '../../tree/mode.ts';
import type { Entry } from '../../tree/tree.ts';

export interface StatFields {
  readonly number: number;
  /** With the file type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  /** Bytes. */
  readonly size: number;
  /** Whole seconds since 1970. */
  readonly modified: number;
}

/** What lies outside the fields; asked for only what the type of the inode has. */
export interface InodeParts {
  readAttributes(): Promise<ReadonlyMap<string, Uint8Array>>;
  readContent(): Promise<Bytes>;
  readTarget(): Promise<string>;
  decodeDevice(): { readonly major: number; readonly minor: number };
}

/** All blocks of directories together. */
export const MAXIMUM_DIRECTORY_BLOCKS = 1_000_000;

/** All attributes of a volume together: several inodes, or names, may share what is stored once. Bytes. */
export const MAXIMUM_ATTRIBUTE_BYTES: number = 64 * MIB;

/** Throws `invalid-input` for a type that a Tree has not, and what `parts` throws. */
export async function entryOfInode(format: string, inode: StatFields, path: string, parts: InodeParts): Promise<Entry> {
  const xattrs = await parts.readAttributes();
  const common = {
    path,
    mode: inode.mode & 0o7777,
    uid: inode.uid,
    gid: inode.gid,
    mtime: inode.modified,
    ...(xattrs.size > 0 ? { xattrs } : {}),
  };
  switch (typeOfMode(inode.mode)) {
    case MODE.directory:
      return { kind: 'directory', ...common };
    case MODE.file: {
      const link = inode.links > 1 ? { inode: Symbol(`inode ${inode.number}`) } : {};
      return { kind: 'file', ...common, content: await parts.readContent(), ...link };
    }
    case MODE.symlink:
      return { kind: 'symlink', ...common, target: await parts.readTarget() };
    case MODE.fifo:
      return { kind: 'fifo', ...common };
    case MODE.character:
      return { kind: 'character', ...common, ...parts.decodeDevice() };
    case MODE.block:
      return { kind: 'block', ...common, ...parts.decodeDevice() };
    default:
      throw invalid(`${format} inode ${inode.number}: "${path}" has mode 0${inode.mode.toString(8)}`);
  }
}

/** `undefined` for `.` and `..`, which are stored. Throws `invalid-input` for what is no UTF-8 and for names with a slash. */
export function decodeName(format: string, name: Uint8Array, directory: StatFields): string | undefined {
  const text = decodeUtf8(name, `${format} directory ${directory.number}: a name`);
  if (text.includes('/')) throw invalid(`${format} name ${JSON.stringify(text)}: "/" is not allowed`);
  return text === '.' || text === '..' ? undefined : text;
}
