/** A directory on disk as a `Tree`. File contents stay on disk, as ranges. */
import { ofSource } from '../bytes/bytes.ts';
import { invalid } from '../errors.ts';
import type { Files } from '../platform/types.ts';
import { type Entry, type Tree, treeOf } from './tree.ts';

/** Deeper trees are refused: nothing we read is, and a loop of mounts would be. */
const MAX_DEPTH = 64;

/**
 * Everything below `directory`. Owners are 0:0 whoever owns the files, so that the same content gives the same tree on every
 * machine; sockets, devices and pipes are refused. Throws `io` and `invalid-input`.
 */
export async function treeOfDirectory(files: Files, directory: string): Promise<Tree> {
  const entries: Entry[] = [];
  await walk(files, directory, '', entries, 0);
  return treeOf(entries);
}

async function walk(files: Files, directory: string, prefix: string, into: Entry[], depth: number): Promise<void> {
  if (depth > MAX_DEPTH) throw invalid(`${directory}: more than ${MAX_DEPTH} directories deep`);
  for (const name of await files.list(directory)) {
    const at = `${directory}/${name}`;
    const path = prefix === '' ? name : `${prefix}/${name}`;
    const info = await files.info(at, { noFollow: true });
    if (info === undefined) continue;
    const attributes = { mode: info.mode, uid: 0, gid: 0, mtime: Math.floor(info.mtime) };
    switch (info.kind) {
      case 'directory':
        into.push({ kind: 'directory', path, ...attributes });
        await walk(files, at, path, into, depth + 1);
        break;
      case 'symlink':
        into.push({ kind: 'symlink', path, target: await files.readLink(at), ...attributes, mode: 0o777 });
        break;
      case 'file':
        into.push({ kind: 'file', path, content: ofSource(await files.source(at)), ...attributes });
        break;
      case 'other':
        throw invalid(`${at}: a device, pipe or socket; want files, directories and symbolic links`);
    }
  }
}
