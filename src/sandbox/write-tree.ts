/** A `Tree` as files on this machine, for programs that want them as such. */
import { chunks } from '../bytes/read.ts';
import { ImagerError } from '../errors.ts';
import type { Files } from '../platform/types.ts';
import { type FileEntry, resolve, type Tree } from '../tree/tree.ts';

/** What somebody unpacks for one program has no more. */
const MAX_ENTRIES = 100_000;

/**
 * Writes the tree below `directory`, which is made. Links become copies of the files they lead to, those that lead nowhere or to directories are left out: nothing
 * in there can lead out of it. Throws `dependency` for a tree that is too large, `io`.
 */
export async function writeTree(files: Files, tree: Tree, directory: string): Promise<void> {
  if (tree.entries.length > MAX_ENTRIES) {
    throw new ImagerError('dependency', `${tree.entries.length} files and directories: want at most ${MAX_ENTRIES}`);
  }
  for (const entry of tree.entries) {
    const path = entry.path === '' ? directory : `${directory}/${entry.path}`;
    if (entry.kind === 'directory') await files.makeDirectory(path);
    const file = resolve(tree, entry.path);
    if (entry.kind !== 'directory' && file?.kind === 'file') await writeFile(files, path, file);
  }
}

/** A new file with the content and the permission bits of `entry`. Throws `io`. */
export async function writeFile(files: Files, path: string, { content, mode }: FileEntry): Promise<void> {
  const file = await files.create(path, (mode & 0o777) | 0o400);
  try {
    let position = 0;
    for await (const chunk of chunks(content)) {
      await file.write(position, chunk);
      position += chunk.length;
    }
  } finally {
    await file.close();
  }
}
