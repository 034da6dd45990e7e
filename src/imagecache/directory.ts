/** An image cache that lies in a directory. */
import { invalid } from '../errors.ts';
import type { Files } from '../platform/types.ts';
import { treeOfDirectory } from '../tree/directory.ts';
import { type Tree, treeOf } from '../tree/tree.ts';
import { BLOB_DIRECTORY, MANIFEST_DIRECTORY } from './names.ts';
import { PARTIAL_DIRECTORY } from './write.ts';

const OWN: readonly string[] = [BLOB_DIRECTORY, MANIFEST_DIRECTORY, PARTIAL_DIRECTORY];

/** Whether `directory` looks like that of a cache. Reading it looks closer. Throws `io`. */
export async function isCacheDirectory(files: Files, directory: string): Promise<boolean> {
  for (const name of [BLOB_DIRECTORY, MANIFEST_DIRECTORY]) {
    if ((await files.info(`${directory}/${name}`))?.kind === 'directory') return true;
  }
  return false;
}

/** Throws `invalid-input` when `directory` is there and has what is no part of a cache: whoever named it meant another. */
export async function checkCacheDirectory(files: Files, directory: string): Promise<void> {
  if ((await files.info(directory)) === undefined) return;
  const foreign = (await files.list(directory)).find((name) => !OWN.includes(name));
  if (foreign === undefined) return;
  throw invalid(`${directory}: it has ${foreign} in it, want the directory of an image cache, an empty one or none`);
}

/**
 * The cache in `directory`, with the modes that a cache in an image has, whatever the umask was. Throws `invalid-input` for one that was not
 * finished and for what is no file, directory or link; `io`.
 */
export async function readCacheDirectory(files: Files, directory: string): Promise<Tree> {
  const tree = await treeOfDirectory(files, directory);
  if (tree.byPath.has(PARTIAL_DIRECTORY)) {
    throw invalid(`image cache ${directory}: not finished, it has a directory ${PARTIAL_DIRECTORY}`, {
      hint: 'run imager cache create again: it goes on where it was stopped',
    });
  }
  return treeOf(
    tree.entries.map((entry) => {
      if (entry.kind === 'symlink') return entry;
      return { ...entry, mode: entry.kind === 'directory' ? 0o755 : 0o644 };
    }),
  );
}
