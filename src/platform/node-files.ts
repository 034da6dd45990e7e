import { constants, type Stats } from 'node:fs';
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  statfs,
  utimes,
} from 'node:fs/promises';
import { dirname } from 'node:path';
import { ImagerError, invalid } from '../errors.ts';
import type { FileInfo, FileKind, Files, NewFile, Source } from './types.ts';

/** Open handles kept for reading; an image seldom has ranges in more files, and 1024 is a usual process limit. */
const POOL_SIZE = 64;

interface PooledHandle {
  readonly handle: Promise<FileHandle>;
  /** Reads under way: a handle with readers is not closed. */
  readers: number;
}

export class NodeFiles implements Files {
  /** Least recently used first. */
  readonly #pool = new Map<string, PooledHandle>();

  async source(path: string): Promise<Source> {
    const stats = await attempt(path, () => stat(path, { bigint: true }));
    if (!stats.isFile()) throw new ImagerError('io', `${path}: want a regular file`);
    const identity = `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}`;
    const size = Number(stats.size);
    return {
      key: identity,
      label: path,
      size,
      read: (position, into) => this.#read(path, identity, position, into),
    };
  }

  async info(path: string, options: { readonly noFollow?: boolean } = {}): Promise<FileInfo | undefined> {
    try {
      return infoOf(await (options.noFollow === true ? lstat(path) : stat(path)));
    } catch (error) {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw ioError(path, error);
    }
  }

  async list(path: string): Promise<string[]> {
    const names = await attempt(path, () => readdir(path, { encoding: 'buffer' }));
    return names.sort(Buffer.compare).map((name) => name.toString('utf8'));
  }

  async read(path: string, limit: number): Promise<Uint8Array> {
    const size = (await attempt(path, () => stat(path))).size;
    if (size > limit) throw invalid(`${path}: ${size} bytes, want at most ${limit}`);
    const data = await attempt(path, () => readFile(path));
    if (data.length > limit) throw invalid(`${path}: more than ${limit} bytes`);
    return new Uint8Array(data.buffer, data.byteOffset, data.length);
  }

  readLink(path: string): Promise<string> {
    return attempt(path, () => readlink(path));
  }

  async create(path: string, mode = 0o644): Promise<NewFile> {
    return newFile(path, await attempt(path, () => open(path, 'wx', mode)));
  }

  async append(path: string): Promise<NewFile> {
    return newFile(path, await attempt(path, () => open(path, constants.O_WRONLY)));
  }

  async makeDirectory(path: string, mode = 0o755): Promise<void> {
    // Not Node's own recursion: it never ends where a parent refuses new entries with ENOENT, as below /proc.
    for (let refused = false; ; ) {
      try {
        await mkdir(path, { mode });
        return;
      } catch (error) {
        if (isCode(error, 'EEXIST') && (await this.info(path))?.kind === 'directory') return;
        const parent = dirname(path);
        if (!isCode(error, 'ENOENT') || parent === path || refused) throw ioError(path, error);
        // A parent that is there now may have been made by somebody else a moment ago: only a second refusal counts.
        if ((await this.info(parent)) === undefined) await this.makeDirectory(parent, mode);
        else refused = true;
      }
    }
  }

  rename(from: string, to: string): Promise<void> {
    return attempt(to, () => rename(from, to));
  }

  remove(path: string): Promise<void> {
    return attempt(path, () => rm(path, { recursive: true, force: true }));
  }

  async syncDirectory(path: string): Promise<void> {
    const handle = await attempt(path, () => open(path, 'r'));
    try {
      await attempt(path, () => handle.sync());
    } finally {
      await handle.close();
    }
  }

  async touch(path: string): Promise<void> {
    const now = new Date();
    await attempt(path, () => utimes(path, now, now));
  }

  async freeSpace(path: string): Promise<number> {
    const { bavail, bsize } = await attempt(path, () => statfs(path));
    return bavail * bsize;
  }

  async close(): Promise<void> {
    const handles = [...this.#pool.values()];
    this.#pool.clear();
    await Promise.all(handles.map(async ({ handle }) => (await handle.catch(() => undefined))?.close()));
  }

  async #read(path: string, identity: string, position: number, into: Uint8Array): Promise<void> {
    const pooled = this.#acquire(path, identity);
    pooled.readers++;
    try {
      const handle = await pooled.handle;
      for (let done = 0; done < into.length; ) {
        const { bytesRead } = await attempt(path, () => handle.read(into, done, into.length - done, position + done));
        if (bytesRead === 0) {
          throw new ImagerError('io', `${path}: ends at ${position + done}, want ${into.length - done} more bytes`);
        }
        done += bytesRead;
      }
    } finally {
      pooled.readers--;
      this.#evict();
    }
  }

  #acquire(path: string, identity: string): PooledHandle {
    const known = this.#pool.get(identity);
    if (known !== undefined) {
      this.#pool.delete(identity);
      this.#pool.set(identity, known);
      return known;
    }
    const pooled: PooledHandle = { handle: openUnchanged(path, identity), readers: 0 };
    pooled.handle.catch(() => this.#pool.delete(identity));
    this.#pool.set(identity, pooled);
    return pooled;
  }

  #evict(): void {
    for (const [identity, { handle, readers }] of this.#pool) {
      if (this.#pool.size <= POOL_SIZE) return;
      if (readers > 0) continue;
      this.#pool.delete(identity);
      handle.then(
        (open) => open.close(),
        () => undefined,
      );
    }
  }
}

/** Opens `path` and checks that it is still the file its source was made of. */
async function openUnchanged(path: string, identity: string): Promise<FileHandle> {
  const handle = await attempt(path, () => open(path, 'r'));
  const stats = await handle.stat({ bigint: true });
  if (`${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}` !== identity) {
    await handle.close();
    throw new ImagerError('io', `${path}: changed while it was in use`);
  }
  return handle;
}

function newFile(path: string, handle: FileHandle): NewFile {
  return {
    path,
    async write(position, data) {
      for (let done = 0; done < data.length; ) {
        const { bytesWritten } = await attempt(path, () =>
          handle.write(data, done, data.length - done, position + done),
        );
        done += bytesWritten;
      }
    },
    truncate: (size) => attempt(path, () => handle.truncate(size)),
    sync: () => attempt(path, () => handle.sync()),
    close: () => attempt(path, () => handle.close()),
  };
}

function infoOf(stats: Stats): FileInfo {
  return {
    kind: kindOf(stats),
    size: stats.size,
    mode: stats.mode & 0o7777,
    mtime: stats.mtimeMs / 1000,
    allocated: stats.blocks * 512,
  };
}

function kindOf(stats: Stats): FileKind {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'symlink' : 'other';
}

async function attempt<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw ioError(path, error);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'disk quota exceeded',
  EROFS: 'read-only file system',
  EEXIST: 'exists already',
  EISDIR: 'is a directory',
  ENOTDIR: 'a parent is no directory',
  EMFILE: 'too many open files',
  EFBIG: 'larger than the file system allows',
};

function ioError(path: string, error: unknown): ImagerError {
  if (error instanceof ImagerError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const reason = REASONS[code] ?? (error instanceof Error ? error.message : String(error));
  return new ImagerError('io', `${path}: ${reason}`, { cause: error });
}

function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
