/** An image cache in a directory: blobs first, what names them afterwards, so that it is a right cache of fewer images whenever we are stopped. */
import { writeThenRename } from '../bytes/write.ts';
import { ImagerError } from '../errors.ts';
import { atOnce } from '../oci/at-once.ts';
import { throwIfCanceled } from '../oci/store/receive.ts';
import type { Files, Platform as Machine } from '../platform/types.ts';
import type { CacheContents } from './collect.ts';
import type { WantedBlob } from './collection.ts';
import { fetchBlob } from './fetch-blob.ts';
import { BLOB_DIRECTORY, blobPath, MANIFEST_DIRECTORY } from './names.ts';

/** What is under way; gone when all is done. */
export const PARTIAL_DIRECTORY = '.partial';

export interface WriteCacheOptions {
  readonly signal?: AbortSignal;
  /** Bytes of all blobs that are there, and their sum. */
  readonly onBytes?: (done: number, total: number) => void;
  /** Blobs fetched at once, default 4. */
  readonly concurrency?: number;
}

/**
 * Brings `contents` into `directory`, which is made when it is not there; what is there of it already is compared and stays, what a stopped run left is
 * gone on with. Other images in the directory stay. One process at a time. Throws as the sources do, `verification`, `io`, `canceled`.
 */
export async function writeCache(
  machine: Machine,
  directory: string,
  contents: CacheContents,
  options: WriteCacheOptions = {},
): Promise<void> {
  const { files } = machine;
  const partials = `${directory}/${PARTIAL_DIRECTORY}`;
  for (const path of [partials, `${directory}/${BLOB_DIRECTORY}`, `${directory}/${MANIFEST_DIRECTORY}`]) {
    await files.makeDirectory(path);
  }
  await fetchBlobs(machine, directory, [...contents.blobs.values()], options);
  await files.syncDirectory(`${directory}/${BLOB_DIRECTORY}`);
  for (const documents of [contents.documents, contents.tags]) {
    for (const [path, data] of documents) {
      throwIfCanceled(options.signal);
      await writeDocument(files, `${directory}/${path}`, `${partials}/document`, data);
    }
  }
  await files.remove(partials);
}

/** Several at once; the first failure stops the others, which leave what they have for the next time. */
async function fetchBlobs(
  machine: Machine,
  directory: string,
  blobs: readonly WantedBlob[],
  { signal, onBytes, concurrency = 4 }: WriteCacheOptions,
): Promise<void> {
  const total = blobs.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  const progress = progressOf(total, onBytes);
  await atOnce(blobs, { concurrency, signal, what: directory }, (blob, either) => {
    const name = blobPath(blob.descriptor.digest);
    const file = { path: `${directory}/${name}`, partial: `${directory}/${PARTIAL_DIRECTORY}/${nameOf(name)}` };
    return fetchBlob(machine, blob, file, { signal: either, onBytes: progress() });
  });
}

/** One counter per blob, which may also go back: a download that begins again. */
function progressOf(total: number, onBytes: WriteCacheOptions['onBytes']): () => (done: number) => void {
  let sum = 0;
  return () => {
    let counted = 0;
    return (done) => {
      sum += done - counted;
      counted = done;
      onBytes?.(sum, total);
    };
  };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

async function writeDocument(files: Files, path: string, partial: string, data: Uint8Array): Promise<void> {
  if (await holds(files, path, data)) return;
  await files.makeDirectory(path.slice(0, path.lastIndexOf('/')));
  await files.remove(partial);
  const file = await files.create(partial);
  await writeThenRename(files, file, path, async () => {
    await file.write(0, data);
    await file.sync();
  });
}

async function holds(files: Files, path: string, data: Uint8Array): Promise<boolean> {
  const info = await files.info(path);
  if (info === undefined) return false;
  if (info.kind !== 'file') throw new ImagerError('io', `${path}: a ${info.kind}, want a file or nothing`);
  if (info.size !== data.length) return false;
  const found = await files.read(path, data.length);
  return found.every((byte, index) => byte === data[index]);
}
