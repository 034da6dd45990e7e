/** What directories of Linux file systems keep of each name. */
import { invalid } from '../../errors.ts';
import { type Entry, nameOf } from '../../tree/tree.ts';

/** What kind of inode a name leads to. The numbers are those of Linux `fs_types.h`, `FT_REG_FILE` and others. */
export const FILE_TYPE: Readonly<Record<Entry['kind'], number>> = {
  file: 1,
  directory: 2,
  character: 3,
  block: 4,
  fifo: 5,
  symlink: 7,
};

/** Bytes. */
const MAXIMUM_NAME = 255;

/** The name at the end of `path`. Throws `invalid-input` for one that Linux cannot hold; `format` is for messages. */
export function encodeName(path: string, format: string): Uint8Array {
  const name = nameOf(path);
  const bytes = new TextEncoder().encode(name);
  if (bytes.length > MAXIMUM_NAME || !name.isWellFormed()) {
    throw invalid(
      `name of "${path}": ${bytes.length} bytes of UTF-8, want at most ${MAXIMUM_NAME}, well-formed, on ${format}`,
    );
  }
  return bytes;
}
