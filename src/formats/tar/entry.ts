/** One entry of a tar archive, its content as a place in the uncompressed stream: nothing is unpacked. */
import type { SparsePart } from './sparse.ts';

export interface TarAttributes {
  /** As written, before any cleaning; UTF-8. */
  readonly name: string;
  /** 0..0o7777; file type bits some writers put there are gone. */
  readonly mode: number;
  /** 0..2^32-1 */
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since 1970, rounded down. */
  readonly mtime: number;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
}

export interface TarFile extends TarAttributes {
  readonly kind: 'file';
  /** Bytes of the file, holes included. */
  readonly size: number;
  /** Where its stored bytes begin in the uncompressed stream. */
  readonly offset: number;
  /** Sparse files only: the parts stored, one after the other from `offset`; all else is zeros. */
  readonly sparse?: readonly SparsePart[];
}

export interface TarLink extends TarAttributes {
  readonly kind: 'symlink' | 'hardlink';
  /** As written. */
  readonly target: string;
}

export interface TarDevice extends TarAttributes {
  readonly kind: 'character' | 'block';
  readonly major: number;
  readonly minor: number;
}

export interface TarPlain extends TarAttributes {
  readonly kind: 'directory' | 'fifo';
}

export type TarEntry = TarFile | TarLink | TarDevice | TarPlain;
