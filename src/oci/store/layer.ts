/** A layer into the store: received, hashed, unpacked, hashed again, indexed and written in one pass. */
import { type Digest, hexOf } from '../../bytes/units.ts';
import { ImagerError, withContext } from '../../errors.ts';
import { tarIndexer } from '../../formats/tar/tar-index.ts';
import type { Chunks, Hash, Platform as Machine, NewFile } from '../../platform/types.ts';
import { checkDigest, finishDigest, fromAnyPlace, sizeError } from '../digest-check.ts';
import type { BlobSource } from '../image-source.ts';
import { type ImageLayer, UNPACK_LIMITS, type UnpackLimits, unpackLayer } from '../layer/layer.ts';
import { decodeLayerIndex, encodeLayerIndex, INDEX_LIMIT, type LayerIndex } from '../layer/layer-index.ts';
import {
  Appender,
  blobPath,
  createTemporary,
  fileChunks,
  joined,
  layerIndexPath,
  plainPath,
  replaceFile,
  type StorePaths,
} from './files.ts';
import { receive, throwIfCanceled } from './receive.ts';

export interface LayerOptions {
  readonly signal?: AbortSignal;
  /** Bytes of the blob that are in. */
  readonly onBytes?: (done: number) => void;
  readonly limits?: UnpackLimits;
}

/** The index of a layer that is whole in the store, by its sizes; `undefined` when any part is missing. */
export async function findLayer(
  { files, hash }: Machine,
  paths: StorePaths,
  { descriptor, diffId }: ImageLayer,
): Promise<LayerIndex | undefined> {
  const { digest, size } = descriptor;
  const indexPath = layerIndexPath(paths, digest);
  const [blob, plain, indexInfo] = await Promise.all([
    files.info(blobPath(paths, digest)),
    files.info(plainPath(paths, digest, diffId)),
    files.info(indexPath),
  ]);
  if (blob?.size !== size || plain === undefined || indexInfo === undefined) return undefined;
  const index = decodeLayerIndex({ hash }, await files.read(indexPath, INDEX_LIMIT));
  return index?.size === plain.size && index.diffId === diffId ? index : undefined;
}

/**
 * Brings a layer in from `source`, or makes what is missing beside a blob that is here. Throws `verification` when blob or plain form
 * are not what their digests say, `invalid-input` for a broken layer, and what the source throws.
 */
export async function storeLayer(
  machine: Machine,
  paths: StorePaths,
  source: BlobSource,
  layer: ImageLayer,
  options: LayerOptions = {},
): Promise<void> {
  const path = blobPath(paths, layer.descriptor.digest);
  if ((await machine.files.info(path))?.size === layer.descriptor.size) {
    try {
      await storeFrom(machine, paths, layer, (signal) => localInput(machine, path, signal), options);
      return;
    } catch (error) {
      // A damaged blob is fetched again; a layer that is broken as it should be is not.
      if (!isVerification(error)) throw error;
      await machine.files.remove(path);
    }
  }
  const fetched = (part?: Part): Promise<void> => {
    const input = (signal: AbortSignal): Input =>
      remoteInput(machine, paths, source, layer, part, { ...options, signal });
    return storeFrom(machine, paths, layer, input, options);
  };
  const part = await claimPart(machine, paths, layer);
  if (part !== undefined) {
    try {
      await fetched(part);
      return;
    } catch (error) {
      // What an earlier pull left may be what is wrong: once more from the start.
      if (!isVerification(error)) throw error;
    }
  }
  await fromAnyPlace(source, layer.descriptor.digest, fetched);
}

function isVerification(error: unknown): boolean {
  return error instanceof ImagerError && error.code === 'verification';
}

/** Whether another pull may go on from there. On a disk without room the beginning of a blob would only take more of it. */
function isInterruption(error: unknown): boolean {
  return !isVerification(error) && !(error instanceof ImagerError && error.code === 'io');
}

/** Where the blob's bytes come from, and what becomes of the file they are written to. */
interface Input {
  /** Hands each chunk over once it is on its way into the blob's file. */
  readonly chunks: Chunks;
  /** Makes the file the blob; called when its digest and size are right. */
  commit(): Promise<void>;
  /** Called in any other case, and when something fails behind `commit`. `reusable`: the bytes may be the right ones, there are only too few, and the rest may come. */
  release(reusable: boolean): Promise<void>;
}

function localInput({ files }: Machine, path: string, signal: AbortSignal): Input {
  const nothing = async (): Promise<void> => undefined;
  return { chunks: fileChunks(files, path, signal), commit: nothing, release: nothing };
}

interface Part {
  readonly file: NewFile;
  readonly size: number;
}

/** What an earlier pull left of the blob, made ours by a rename that only one process can do; `undefined` when there is nothing. */
async function claimPart({ files }: Machine, paths: StorePaths, layer: ImageLayer): Promise<Part | undefined> {
  const { digest, size } = layer.descriptor;
  const left = await files.info(partPath(paths, digest));
  if (left === undefined || left.size === 0) return undefined;
  const own = await createTemporary(files, paths, hexOf(digest));
  await own.close();
  try {
    await files.rename(partPath(paths, digest), own.path);
  } catch {
    await files.remove(own.path);
    return undefined;
  }
  const taken = await files.info(own.path);
  if (taken !== undefined && taken.size <= size) return { file: await files.append(own.path), size: taken.size };
  await files.remove(own.path);
  return undefined;
}

function partPath(paths: StorePaths, digest: Digest): string {
  return `${paths.temporary}/${hexOf(digest)}.part`;
}

function remoteInput(
  { files }: Machine,
  paths: StorePaths,
  source: BlobSource,
  { descriptor }: ImageLayer,
  part: Part | undefined,
  { signal, onBytes }: LayerOptions,
): Input {
  const { digest } = descriptor;
  let blob: Appender | undefined;
  let isCommitted = false;
  const chunks = async function* (): Chunks {
    let done = 0;
    if (part !== undefined) {
      blob = new Appender(part.file, part.size);
      for await (const chunk of fileChunks(files, part.file.path, signal)) {
        done += chunk.length;
        onBytes?.(done);
        yield chunk;
      }
    } else {
      blob = new Appender(await createTemporary(files, paths, hexOf(digest)));
    }
    for await (const chunk of joined(receive(source, descriptor, blob.position, signal))) {
      await blob.append(chunk);
      done += chunk.length;
      onBytes?.(done);
      yield chunk;
    }
  };
  return {
    chunks: chunks(),
    async commit() {
      await blob!.sync();
      await blob!.close();
      await files.rename(blob!.path, blobPath(paths, digest));
      isCommitted = true;
    },
    async release(reusable) {
      // Whole and in its place: what failed is something else, and its temporary name may be another writer's by now.
      if (isCommitted) return;
      if (blob === undefined) {
        if (part === undefined) return;
        await part.file.close();
        if (reusable) await files.rename(part.file.path, partPath(paths, digest));
        else await files.remove(part.file.path);
        return;
      }
      await blob.close();
      if (reusable && blob.position > 0) await files.rename(blob.path, partPath(paths, digest));
      else await files.remove(blob.path);
    },
  };
}

/** The one pass. */
async function storeFrom(
  machine: Machine,
  paths: StorePaths,
  layer: ImageLayer,
  makeInput: (signal: AbortSignal) => Input,
  options: LayerOptions,
): Promise<void> {
  const { files } = machine;
  const { descriptor, diffId } = layer;
  const what = `layer ${descriptor.digest}`;
  const isPlain = descriptor.digest === diffId;
  const failed = new AbortController();
  const signals = options.signal === undefined ? [failed.signal] : [failed.signal, options.signal];
  const input = makeInput(AbortSignal.any(signals));
  const blob = hashed(input.chunks, machine.hash('sha256'));
  let plain: Appender | undefined;
  let complete = false;
  try {
    plain = isPlain ? undefined : new Appender(await createTemporary(files, paths, hexOf(diffId)));
    const unpacked = await unpackInto(machine, layer, blob, plain, options);
    // Also behind a decoder that failed or had enough: only the whole blob tells whether it is the right one.
    while ((await blob.next()) !== undefined);
    complete = true;
    if (blob.size !== descriptor.size) throw sizeError(what, blob.size, descriptor.size);
    checkDigest(blob.digest(), descriptor.digest, what);
    if ('failure' in unpacked) throw withContext(what, unpacked.failure);
    if (plain !== undefined) checkDigest(unpacked.index.diffId, diffId, `${what}, uncompressed`);
    await allDone([input.commit(), plain?.sync()]);
    if (plain !== undefined) {
      await plain.close();
      await files.rename(plain.path, plainPath(paths, descriptor.digest, diffId));
      plain = undefined;
    }
    // Last: an index says that the plain layer is whole.
    const index = encodeLayerIndex(machine, unpacked.index);
    await replaceFile(files, paths, layerIndexPath(paths, descriptor.digest), index);
  } catch (error) {
    // The decoder may have asked for a chunk that is still on its way: it must have come before the file changes hands.
    failed.abort();
    await blob.close();
    const reason = options.signal?.aborted === true ? options.signal.reason : error;
    await input.release(!complete && isInterruption(reason));
    if (plain !== undefined) {
      await plain.close();
      await files.remove(plain.path);
    }
    throwIfCanceled(options.signal);
    throw error;
  }
}

/** As `Promise.all`, but nothing is at work any more when it throws. */
async function allDone(work: readonly (Promise<void> | undefined)[]): Promise<void> {
  const outcomes = await Promise.allSettled(work);
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

type Unpacked = { readonly index: LayerIndex } | { readonly failure: unknown };

/** Unpacks, hashes, indexes and writes. A layer that cannot be read is a value: the blob's digest is more telling. */
async function unpackInto(
  machine: Machine,
  { descriptor }: ImageLayer,
  blob: HashedChunks,
  plain: Appender | undefined,
  { limits = UNPACK_LIMITS }: LayerOptions,
): Promise<Unpacked> {
  const hash = machine.hash('sha256');
  const indexer = tarIndexer();
  let size = 0;
  try {
    for await (const chunk of unpackLayer(machine.compression, blob.iterable(), descriptor.size, limits)) {
      size += chunk.length;
      // The digest of an uncompressed layer is that of its blob.
      if (plain !== undefined) hash.update(chunk);
      indexer.push(chunk);
      await plain?.append(chunk);
    }
    const diffId = plain === undefined ? descriptor.digest : finishDigest(hash);
    return { index: { diffId, size, entries: indexer.finish() } };
  } catch (failure) {
    if (failure instanceof ImagerError && failure.code === 'invalid-input') return { failure };
    throw failure;
  }
}

/** Chunks that are hashed as they pass, whoever takes them, and that outlive a reader that stops. */
interface HashedChunks {
  readonly size: number;
  next(): Promise<Uint8Array | undefined>;
  iterable(): Chunks;
  /** When all have passed. */
  digest(): Digest;
  /** Stops the input; returns when nothing of it is at work any more. */
  close(): Promise<void>;
}

function hashed(input: Chunks, hash: Hash): HashedChunks {
  const iterator = input[Symbol.asyncIterator]();
  let size = 0;
  const next = async (): Promise<Uint8Array | undefined> => {
    const result = await iterator.next();
    if (result.done === true) return undefined;
    hash.update(result.value);
    size += result.value.length;
    return result.value;
  };
  return {
    get size() {
      return size;
    },
    next,
    async *iterable() {
      for (let chunk = await next(); chunk !== undefined; chunk = await next()) yield chunk;
    },
    digest: () => finishDigest(hash),
    async close() {
      await iterator.return?.().catch(() => undefined);
    },
  };
}
