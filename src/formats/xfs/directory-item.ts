/** What a directory holds, before it is decided in which of its forms. */
import type { Entry } from '../../tree/tree.ts';

/** Types as directories note them beside each name. */
const FILE_TYPE: Readonly<Record<Entry['kind'], number>> = {
  file: 1,
  directory: 2,
  character: 3,
  block: 4,
  fifo: 5,
  symlink: 7,
};

export function fileTypeOf(kind: Entry['kind']): number {
  return FILE_TYPE[kind];
}

export interface DirectoryItem {
  /** UTF-8, 1 to 255 bytes. */
  readonly name: Uint8Array;
  readonly inode: number;
  readonly type: number;
}

export interface DirectoryContent {
  readonly self: number;
  readonly parent: number;
  /** In the order of their creation, without `.` and `..`. */
  readonly items: readonly DirectoryItem[];
}
