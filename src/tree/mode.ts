/** Modes of entries as Linux numbers them (`stat.h`): file types above twelve bits of permissions. File systems keep them so. */
export const MODE = {
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
} as const;

/** The file type of a mode: one of `MODE`, or of something a Tree has not. */
export function typeOfMode(mode: number): number {
  return mode & 0o170000;
}
