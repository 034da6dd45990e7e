/** A `Tree` as files on this machine, for programs that want them as such. */
import { isZero } from '../bytes/blocks.ts';
import { type Bytes, slice } from '../bytes/bytes.ts';
import { chunks } from '../bytes/read.ts';
import { KIB } from '../bytes/units.ts';
import { ImagerError, stopIfAborted } from '../errors.ts';
import type { Files, NewFile } from '../platform/types.ts';
import { type FileEntry, resolve, type Tree } from '../tree/tree.ts';

/** What somebody unpacks for one program has no more. */
const MAX_ENTRIES = 100_000;

export interface WriteTreeOptions {
  /** Bytes of content, each file counted as often as links make it; holes are free. */
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes the tree below `directory`, which is made. Links become copies of the files they lead to, those that lead nowhere or to directories are left out: nothing
 * in there can lead out of it. Throws `dependency` for a tree that is too large before anything of it is written, `io`.
 */
export async function writeTree(files: Files, tree: Tree, directory: string, options: WriteTreeOptions): Promise<void> {
  if (tree.entries.length > MAX_ENTRIES) {
    throw new ImagerError('dependency', `${tree.entries.length} files and directories: want at most ${MAX_ENTRIES}`);
  }
  const { limit, signal } = options;
  const written = new Map(
    tree.entries.flatMap(({ path }) => {
      const file = resolve(tree, path);
      return file?.kind === 'file' ? [[path, file] as const] : [];
    }),
  );
  const size = [...written.values()].reduce((sum, file) => sum + contentSize(file), 0);
  if (size > limit) {
    throw new ImagerError(
      'dependency',
      `files of ${size} bytes, links counted as what they lead to: want at most ${limit}`,
    );
  }
  for (const entry of tree.entries) {
    stopIfAborted(signal, directory);
    const path = entry.path === '' ? directory : `${directory}/${entry.path}`;
    if (entry.kind === 'directory') await files.makeDirectory(path);
    const file = written.get(entry.path);
    if (file !== undefined) await writeFile(files, path, file, signal);
  }
}

function contentSize({ content }: FileEntry): number {
  return content.extents.reduce((sum, { kind, length }) => sum + (kind === 'zeros' ? 0 : length), 0);
}

/** Zeros of this size and place stay holes. */
const PIECE: number = 64 * KIB;

/** A new file with the content and the permission bits of `entry`; zeros stay holes. Throws `io`. */
export async function writeFile(
  files: Files,
  path: string,
  { content, mode }: FileEntry,
  signal?: AbortSignal,
): Promise<void> {
  const file = await files.create(path, (mode & 0o777) | 0o400);
  try {
    await file.truncate(content.size);
    for (const [index, { kind, length }] of content.extents.entries()) {
      const start = content.starts[index]!;
      if (kind !== 'zeros') await writePieces(file, start, slice(content, start, start + length), signal);
    }
  } finally {
    await file.close();
  }
}

async function writePieces(file: NewFile, start: number, content: Bytes, signal?: AbortSignal): Promise<void> {
  let position = start;
  for await (const chunk of chunks(content, { chunkSize: PIECE, isTransient: true })) {
    stopIfAborted(signal, file.path);
    if (!isZero(chunk)) await file.write(position, chunk);
    position += chunk.length;
  }
}
