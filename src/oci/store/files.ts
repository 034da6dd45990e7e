/**
 * The files of a store and how they come to be: written under a name nobody else has, synced, renamed. There are no locks: every
 * file is either named by what it contains, so that two writers write the same, or replaced whole.
 */
import { ofSource } from '../../bytes/bytes.ts';
import { CHUNK_SIZE, chunks } from '../../bytes/read.ts';
import { type Digest, hexOf, MIB } from '../../bytes/units.ts';
import { writeThenRename } from '../../bytes/write.ts';
import { ImagerError } from '../../errors.ts';
import type { Chunks, Files, NewFile, Source } from '../../platform/types.ts';

/** Where things are, relative to the store's directory. */
export interface StorePaths {
  readonly root: string;
  readonly blobs: string;
  /** Per layer its index, and its plain form unless that is the blob itself. */
  readonly layers: string;
  readonly references: string;
  readonly derived: string;
  /** By the digest of an image what says who signed it. */
  readonly signatures: string;
  /** Whom keyless signatures are believed from, as it was fetched. */
  readonly trustedRoots: string;
  readonly temporary: string;
  readonly index: string;
  readonly marker: string;
}

export function storePaths(root: string): StorePaths {
  return {
    root,
    blobs: `${root}/blobs/sha256`,
    layers: `${root}/layers`,
    references: `${root}/references`,
    derived: `${root}/derived`,
    signatures: `${root}/signatures`,
    trustedRoots: `${root}/trusted-roots`,
    temporary: `${root}/tmp`,
    index: `${root}/index.json`,
    marker: `${root}/oci-layout`,
  };
}

export function blobPath(paths: StorePaths, digest: Digest): string {
  return `${paths.blobs}/${hexOf(digest)}`;
}

/** The plain form of a layer: the blob itself when it is not compressed. */
export function plainPath(paths: StorePaths, digest: Digest, diffId: Digest): string {
  return digest === diffId ? blobPath(paths, digest) : `${paths.layers}/${hexOf(diffId)}.tar`;
}

/** By the blob, not by its plain form: that this blob unpacks to that form is what the index vouches for. */
export function layerIndexPath(paths: StorePaths, digest: Digest): string {
  return `${paths.layers}/${hexOf(digest)}.index`;
}

/** Names tried before giving up; each failed one is a writer at work or one that was killed. */
const MAX_TEMPORARY = 100_000;

/** Failures without a file in the way before they count as real. */
const MAX_UNEXPLAINED = 20;

/**
 * A temporary file that is ours alone: exclusive creation decides, between processes too, so no process number, clock or
 * chance is needed. Throws `io`.
 */
export async function createTemporary(files: Files, paths: StorePaths, name: string): Promise<NewFile> {
  let unexplained = 0;
  for (let count = 0; count < MAX_TEMPORARY; count++) {
    const path = `${paths.temporary}/${name}.${count}`;
    try {
      return await files.create(path);
    } catch (error) {
      // Nothing there: another writer has just moved it to its place, or the directory takes no files at all.
      if ((await files.info(path, { noFollow: true })) === undefined) unexplained++;
      if (unexplained > MAX_UNEXPLAINED) throw error;
    }
  }
  throw new ImagerError('io', `${paths.temporary}: too many files named ${name}`, { hint: 'prune the store' });
}

/** Replaces `path` by `data` in one step; without `sync` for what may be lost with the power. Throws `io`. */
export async function replaceFile(
  files: Files,
  paths: StorePaths,
  path: string,
  data: Uint8Array,
  { sync = true }: { readonly sync?: boolean } = {},
): Promise<void> {
  const file = await createTemporary(files, paths, path.slice(path.lastIndexOf('/') + 1));
  await writeThenRename(files, file, path, async () => {
    await file.write(0, data);
    if (sync) await file.sync();
  });
}

/** Bytes after which a file goes to the disk while more is written, so that the sync at the end does not wait for all of it. */
const SYNC_STEP: number = 32 * MIB;

/** Appends chunks to a file with one write under way while the next chunk is made. */
export class Appender {
  readonly #file: NewFile;
  #position: number;
  #writing: Promise<void> = Promise.resolve();
  /** The sync under way, and up to where one was started. */
  #syncing: Promise<void> | undefined;
  #synced: number;
  /** Linux tells a failed sync once, so it is kept. */
  #failure: { readonly error: unknown } | undefined;
  #isClosed = false;

  constructor(file: NewFile, position = 0) {
    this.#file = file;
    this.#position = position;
    this.#synced = position;
  }

  get path(): string {
    return this.#file.path;
  }

  /** Bytes handed over so far; all before them are in the file when `settle` returns. */
  get position(): number {
    return this.#position;
  }

  /** `chunk` must not change afterwards. */
  async append(chunk: Uint8Array): Promise<void> {
    await this.#writing;
    this.#writing = this.#file.write(this.#position, chunk);
    // Reported by the next call; without this it would count as unhandled until then.
    this.#writing.catch(() => undefined);
    this.#position += chunk.length;
    if (this.#syncing === undefined && this.#position - this.#synced >= SYNC_STEP) this.#startSync();
  }

  /** Returns when all that was appended is in the file, not yet on the disk. */
  async settle(): Promise<void> {
    await this.#writing;
  }

  async sync(): Promise<void> {
    await this.#writing;
    await this.#syncing;
    if (this.#failure !== undefined) throw this.#failure.error;
    await this.#file.sync();
  }

  /** Closes the file, once; whatever failed before is not reported again. */
  async close(): Promise<void> {
    // A second time it could be somebody else's descriptor.
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#writing.catch(() => undefined);
    await this.#syncing;
    await this.#file.close();
  }

  #startSync(): void {
    this.#synced = this.#position;
    this.#syncing = this.#file.sync().then(
      () => {
        this.#syncing = undefined;
      },
      (error: unknown) => {
        this.#failure = { error };
      },
    );
  }
}

/**
 * A file of the store as a `Source` whose key is the digest of its content, so that equal content is known as equal across runs.
 * The file may be replaced by an equal one, or its times change, while it is in use: then it is opened again.
 */
export function storedSource(files: Files, path: string, digest: Digest, size: number): Source {
  let opened: Promise<Source> | undefined;
  const open = async (): Promise<Source> => {
    const source = await files.source(path);
    if (source.size === size) return source;
    throw new ImagerError('io', `${path}: ${source.size} bytes, want ${size}`, { hint: 'verify the store' });
  };
  return {
    key: digest,
    label: path,
    size,
    async read(position, into) {
      opened ??= open();
      const first = opened;
      try {
        await (await first).read(position, into);
      } catch {
        if (opened === first) opened = open();
        await (await opened!).read(position, into);
      }
    },
  };
}

/** All of a file, in order. */
export async function* fileChunks(files: Files, path: string, signal?: AbortSignal): Chunks {
  yield* chunks(ofSource(await files.source(path)), signal === undefined ? {} : { signal });
}

/**
 * Small chunks joined to about 1 MiB, so that hashing, decoding and writing have few and large steps. What came before a failure comes first.
 * Two blocks take turns: a chunk holds until the one after the next is asked for, which suits one write behind, as of `Appender`.
 */
export async function* joined(input: Chunks): Chunks {
  let [block, other] = [new Uint8Array(CHUNK_SIZE), new Uint8Array(CHUNK_SIZE)];
  let filled = 0;
  try {
    for await (const chunk of input) {
      for (let taken = 0; taken < chunk.length; ) {
        const length = Math.min(chunk.length - taken, CHUNK_SIZE - filled);
        block.set(chunk.subarray(taken, taken + length), filled);
        filled += length;
        taken += length;
        if (filled < CHUNK_SIZE) continue;
        yield block;
        [block, other] = [other, block];
        filled = 0;
      }
    }
  } catch (error) {
    if (filled > 0) yield block.subarray(0, filled);
    throw error;
  }
  if (filled > 0) yield block.subarray(0, filled);
}
