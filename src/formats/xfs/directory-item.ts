/** What a directory holds, before it is decided in which of its forms. */
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
