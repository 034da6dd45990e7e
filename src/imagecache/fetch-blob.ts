/** A blob into a file of its own, which has its name only when it is whole and right: whatever stops us, the next run goes on from there. */
import { ofSource } from '../bytes/bytes.ts';
import { checkDigest, finishDigest } from '../oci/digest-check.ts';
import { Appender, joined } from '../oci/store/files.ts';
import { receive, throwIfCanceled } from '../oci/store/receive.ts';
import type { Hash, Platform as Machine } from '../platform/types.ts';
import { inTurn, newBlocks } from './blocks.ts';
import type { WantedBlob } from './collection.ts';

export interface BlobFile {
  /** Where it belongs. */
  readonly path: string;
  /** Where it is until then. */
  readonly partial: string;
}

export interface FetchOptions {
  readonly signal?: AbortSignal;
  /** Bytes of the blob that are there. */
  readonly onBytes?: (done: number) => void;
}

/**
 * Makes sure that the file is there. What is there already is read and compared; a part of it is gone on with. Only one process may work on a file
 * at a time. Throws `verification` when the source has other bytes, and what it throws; `io`, `canceled`.
 */
export async function fetchBlob(
  machine: Machine,
  wanted: WantedBlob,
  file: BlobFile,
  options: FetchOptions = {},
): Promise<void> {
  if (await isWhole(machine, wanted, file.path, options)) return;
  await machine.files.remove(file.path);
  const begun = (await machine.files.info(file.partial))?.size ?? 0;
  try {
    await download(machine, wanted, file, options);
  } catch (error) {
    // What an earlier run left may be what is wrong: once more from the start.
    if (begun === 0 || (await machine.files.info(file.partial)) !== undefined) throw error;
    await download(machine, wanted, file, options);
  }
}

async function isWhole(
  machine: Machine,
  { descriptor: { digest, size } }: WantedBlob,
  path: string,
  { signal, onBytes }: FetchOptions,
): Promise<boolean> {
  if ((await machine.files.info(path))?.size !== size) return false;
  const hash = machine.hash('sha256');
  await hashFile(machine, path, hash, signal);
  onBytes?.(size);
  return finishDigest(hash) === digest;
}

/** The partial file is gone when its content was wrong, else it stays for the next time. */
async function download(
  machine: Machine,
  { descriptor, source }: WantedBlob,
  { path, partial }: BlobFile,
  { signal, onBytes }: FetchOptions,
): Promise<void> {
  const { files } = machine;
  const { digest, size } = descriptor;
  const hash = machine.hash('sha256');
  const begun = await beginning(machine, partial, size, hash, signal);
  const file = new Appender(begun === 0 ? await files.create(partial) : await files.append(partial), begun);
  try {
    for await (const chunk of joined(receive(source, descriptor, begun, signal))) {
      hash.update(chunk);
      await file.append(chunk);
      onBytes?.(file.position);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    checkDigest(finishDigest(hash), digest, `${source.label}: blob ${digest}`);
  } catch (error) {
    await files.remove(partial);
    throw error;
  }
  await files.rename(partial, path);
}

/** Bytes that an earlier run left, already hashed. */
async function beginning(
  machine: Machine,
  partial: string,
  size: number,
  hash: Hash,
  signal: AbortSignal | undefined,
): Promise<number> {
  const left = await machine.files.info(partial);
  if (left === undefined || left.size === 0 || left.size > size) {
    await machine.files.remove(partial);
    return 0;
  }
  await hashFile(machine, partial, hash, signal);
  return left.size;
}

async function hashFile({ files }: Machine, path: string, hash: Hash, signal: AbortSignal | undefined): Promise<void> {
  for await (const chunk of inTurn(ofSource(await files.source(path)), newBlocks())) {
    throwIfCanceled(signal);
    hash.update(chunk);
  }
}
