import fs, { type BigIntStats, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { ImagerError, invalid } from '../errors.ts';
import type { FileInfo, FileKind, Files, NewFile, Source } from './types.ts';

/**
 * What only looks at or changes names is asked synchronously, and so is content up to this size: that takes microseconds, and a turn through the
 * thread pool twenty times as long. Bytes.
 */
const AT_ONCE = 64 << 10;

/** Open files kept for reading; an image seldom has ranges in more files, and 1024 is a usual process limit. */
const POOL_SIZE = 64;

interface PooledFile {
  readonly descriptor: number;
  /** Reads under way: a file with readers is not closed. */
  readers: number;
}

export class NodeFiles implements Files {
  /** Least recently used first. */
  readonly #pool = new Map<string, PooledFile>();
  #poolSize = POOL_SIZE;

  async source(path: string): Promise<Source> {
    const stats = attempt(path, () => fs.statSync(path, { bigint: true }));
    if (!stats.isFile()) throw new ImagerError('io', `${path}: want a regular file`);
    const identity = identityOf(stats);
    const size = Number(stats.size);
    return {
      key: identity,
      label: path,
      size,
      read: (position, into) => this.#read(path, identity, position, into),
    };
  }

  async info(path: string, options: { readonly noFollow?: boolean } = {}): Promise<FileInfo | undefined> {
    const look = options.noFollow === true ? fs.lstatSync : fs.statSync;
    const stats = attempt(path, () => look(path, { throwIfNoEntry: false }));
    return stats === undefined ? undefined : infoOf(stats);
  }

  async list(path: string): Promise<string[]> {
    const names = attempt(path, () => fs.readdirSync(path, { encoding: 'buffer' }));
    return names.sort(Buffer.compare).map((name) => textOf(name, path));
  }

  async read(path: string, limit: number): Promise<Uint8Array> {
    const stats = attempt(path, () => fs.statSync(path));
    if (stats.size > limit) throw invalid(`${path}: ${stats.size} bytes, want at most ${limit}`);
    // A pipe may have its reader wait, and neither it nor a device nor a file the kernel makes up says how much it has.
    const isSmall = stats.isFile() && stats.size > 0 && stats.size <= AT_ONCE;
    const data = isSmall ? attempt(path, () => fs.readFileSync(path)) : await readUpTo(path, limit + 1);
    if (data.length > limit) throw invalid(`${path}: more than ${limit} bytes`);
    return new Uint8Array(data.buffer, data.byteOffset, data.length);
  }

  async readLink(path: string): Promise<string> {
    return textOf(
      attempt(path, () => fs.readlinkSync(path, { encoding: 'buffer' })),
      path,
    );
  }

  async create(path: string, mode = 0o644): Promise<NewFile> {
    return newFile(
      path,
      attempt(path, () => fs.openSync(path, 'wx', mode)),
    );
  }

  async append(path: string): Promise<NewFile> {
    return newFile(
      path,
      attempt(path, () => fs.openSync(path, fs.constants.O_WRONLY)),
    );
  }

  async makeDirectory(path: string, mode = 0o755): Promise<void> {
    // Not Node's own recursion: it never ends where a parent refuses new entries with ENOENT, as below /proc.
    for (let refused = false; ; ) {
      // Most are there already, and to ask is cheaper than to be refused.
      if ((await this.info(path))?.kind === 'directory') return;
      try {
        fs.mkdirSync(path, { mode });
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
    return completed(to, (done) => fs.rename(from, to, done));
  }

  async remove(path: string): Promise<void> {
    if (attempt(path, () => fs.lstatSync(path, { throwIfNoEntry: false })) === undefined) return;
    await completed(path, (done) => fs.rm(path, { recursive: true, force: true }, done));
  }

  async syncDirectory(path: string): Promise<void> {
    const descriptor = attempt(path, () => fs.openSync(path, 'r'));
    try {
      await completed(path, (done) => fs.fsync(descriptor, done));
    } finally {
      fs.closeSync(descriptor);
    }
  }

  async touch(path: string): Promise<void> {
    const now = new Date();
    attempt(path, () => fs.utimesSync(path, now, now));
  }

  async freeSpace(path: string): Promise<number> {
    const { bavail, bsize } = await completed<fs.StatsFs>(path, (done) => fs.statfs(path, done));
    return bavail * bsize;
  }

  /** Files with readers are closed behind the last one. */
  async close(): Promise<void> {
    this.#poolSize = 0;
    this.#evict();
  }

  async #read(path: string, identity: string, position: number, into: Uint8Array): Promise<void> {
    const pooled = this.#acquire(path, identity);
    pooled.readers++;
    try {
      for (let done = 0; done < into.length; ) {
        const count = await readSome(path, pooled.descriptor, into.subarray(done), position + done);
        if (count === 0) {
          throw new ImagerError('io', `${path}: ends at ${position + done}, want ${into.length - done} more bytes`);
        }
        done += count;
      }
    } finally {
      pooled.readers--;
      this.#evict();
    }
  }

  #acquire(path: string, identity: string): PooledFile {
    const known = this.#pool.get(identity);
    // One call of a microsecond for a read that takes more: a file that somebody writes to keeps its descriptor.
    if (known !== undefined && known.readers === 0) checkUnchanged(path, known.descriptor, identity);
    const pooled = known ?? { descriptor: openUnchanged(path, identity), readers: 0 };
    this.#pool.delete(identity);
    this.#pool.set(identity, pooled);
    return pooled;
  }

  #evict(): void {
    for (const [identity, { descriptor, readers }] of this.#pool) {
      if (this.#pool.size <= this.#poolSize) return;
      if (readers > 0) continue;
      this.#pool.delete(identity);
      fs.closeSync(descriptor);
    }
  }
}

/** Opens `path` and checks that it is still the file its source was made of. */
function openUnchanged(path: string, identity: string): number {
  const descriptor = attempt(path, () => fs.openSync(path, 'r'));
  try {
    checkUnchanged(path, descriptor, identity);
  } catch (error) {
    fs.closeSync(descriptor);
    throw error;
  }
  return descriptor;
}

function checkUnchanged(path: string, descriptor: number, identity: string): void {
  const stats = attempt(path, () => fs.fstatSync(descriptor, { bigint: true }));
  if (identityOf(stats) !== identity) throw new ImagerError('io', `${path}: changed while it was in use`);
}

function identityOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}`;
}

async function readSome(path: string, descriptor: number, into: Uint8Array, position: number): Promise<number> {
  if (into.length <= AT_ONCE) return attempt(path, () => fs.readSync(descriptor, into, 0, into.length, position));
  return completed<number>(path, (done) => fs.read(descriptor, into, 0, into.length, position, done));
}

/** To the end or until there are `limit` bytes. */
async function readUpTo(path: string, limit: number): Promise<Buffer> {
  const descriptor = await completed<number>(path, (done) => fs.open(path, 'r', done));
  try {
    const parts: Buffer[] = [];
    for (let size = 0; size < limit; ) {
      const part = Buffer.allocUnsafeSlow(Math.min(PART, limit - size));
      const count = await completed<number>(path, (done) => fs.read(descriptor, part, 0, part.length, null, done));
      if (count === 0) break;
      parts.push(part.subarray(0, count));
      size += count;
    }
    return Buffer.concat(parts);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Bytes. */
const PART = 1 << 20;

function newFile(path: string, descriptor: number): NewFile {
  return {
    path,
    async write(position, data) {
      for (let done = 0; done < data.length; ) {
        done += await completed<number>(path, (callback) =>
          fs.write(descriptor, data, done, data.length - done, position + done, callback),
        );
      }
    },
    truncate: (size) => completed(path, (done) => fs.ftruncate(descriptor, size, done)),
    sync: () => completed(path, (done) => fs.fsync(descriptor, done)),
    close: () => completed(path, (done) => fs.close(descriptor, done)),
  };
}

/** What is not UTF-8 would come back as another name, under which there is nothing. */
function textOf(name: Buffer, path: string): string {
  const text = name.toString('utf8');
  if (Buffer.from(text).equals(name)) return text;
  throw invalid(`${path}: the name ${JSON.stringify(name.toString('latin1'))} in it is not UTF-8`, {
    hint: 'rename it, or leave it out',
  });
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

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw ioError(path, error);
  }
}

/** Node's callbacks as a promise; `node:fs/promises` takes longer to load than most of our calls together. */
function completed<T = void>(
  path: string,
  start: (done: (error: Error | null, value?: T) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error === null ? resolve(value as T) : reject(ioError(path, error))));
  });
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
