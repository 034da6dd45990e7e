/**
 * What was made from stored content and is worth keeping: the file system image of an extension, the compressed form of a segment.
 * A small record by key points to content by digest, so that two makers with different results cannot mix them.
 */
import { type Bytes, EMPTY, ofSource } from '../../bytes/bytes.ts';
import { type Digest, hexOf, MIB, parseDigest } from '../../bytes/units.ts';
import type { StreamSink } from '../../bytes/write.ts';
import type { Platform as Machine } from '../../platform/types.ts';
import { digestOf, finishDigest } from '../digest-check.ts';
import { Appender, createTemporary, replaceFile, type StorePaths, storedSource } from './files.ts';
import { throwIfCanceled } from './receive.ts';
import { markUse } from './references.ts';

export interface DerivedKey {
  /** Digest of what it is made from; several joined by the caller are one digest. */
  readonly source: string;
  /** What is made of it, with the version of the maker: `squashfs 1`. */
  readonly kind: string;
  /** All else the result depends on, as JSON: members in the order written count. */
  readonly parameters: unknown;
}

/** Writes the result, in order. Chunks must not change once they are handed over. */
export type Produce = (writer: StreamSink) => Promise<void>;

export interface DerivedRecord extends DerivedKey {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

const RECORD_LIMIT = 1 << 20;

/** Bytes. What is no larger is read and checked whenever it is used; to flush it to the disk would take longer than to make it. */
const CHECKED_SIZE: number = MIB;

export function derivedRecordPath(machine: Machine, paths: StorePaths, key: DerivedKey): string {
  const text = JSON.stringify([key.source, key.kind, key.parameters]);
  return `${paths.derived}/${hexOf(digestOf(machine, new TextEncoder().encode(text)))}.json`;
}

export function derivedPath(paths: StorePaths, digest: Digest): string {
  return `${paths.derived}/${hexOf(digest)}`;
}

/** The kept result, or what `produce` writes, kept from now on. Makers of the same key in one process wait for the first. Throws what `produce` throws, and `io`. */
export async function derivedBytes(
  machine: Machine,
  paths: StorePaths,
  underWay: Map<string, Promise<Bytes>>,
  key: DerivedKey,
  produce: Produce,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Bytes> {
  const path = derivedRecordPath(machine, paths, key);
  for (let other = underWay.get(path); other !== undefined; other = underWay.get(path)) {
    const result = await other.catch(() => undefined);
    if (result !== undefined) return result;
  }
  throwIfCanceled(options.signal);
  const task = findOrMake(machine, paths, path, key, produce, options.signal);
  underWay.set(path, task);
  try {
    return await task;
  } finally {
    underWay.delete(path);
  }
}

async function findOrMake(
  machine: Machine,
  paths: StorePaths,
  path: string,
  key: DerivedKey,
  produce: Produce,
  signal: AbortSignal | undefined,
): Promise<Bytes> {
  const known = await readDerivedRecord(machine, path);
  if (known !== undefined && (await isSound(machine, paths, known))) {
    // First the content: a prune that sees an old record may remove it, but not young content.
    await markUse(machine, derivedPath(paths, known.digest));
    await markUse(machine, path);
    if (await isWhole(machine, paths, known)) return bytesOf(machine, paths, known);
  }
  const made = await make(machine, paths, produce, signal);
  const record: DerivedRecord = { source: key.source, kind: key.kind, parameters: key.parameters, ...made };
  // A record that is lost or cut short is none, and the result is made again.
  await replaceFile(machine.files, paths, path, new TextEncoder().encode(JSON.stringify(record)), { sync: false });
  return bytesOf(machine, paths, record);
}

/** `undefined` when there is none that can be read. */
export async function readDerivedRecord({ files }: Machine, path: string): Promise<DerivedRecord | undefined> {
  try {
    const text = new TextDecoder().decode(await files.read(path, RECORD_LIMIT));
    const { source, kind, parameters, digest, size } = JSON.parse(text) as Record<string, unknown>;
    return {
      source: String(source),
      kind: String(kind),
      parameters,
      digest: parseDigest(String(digest)),
      size: Number(size),
    };
  } catch {
    return undefined;
  }
}

/** Whether the content is what the record says, as far as that is not sure since it was flushed to the disk. */
async function isSound(machine: Machine, paths: StorePaths, record: DerivedRecord): Promise<boolean> {
  if (!(await isWhole(machine, paths, record))) return false;
  if (record.size > CHECKED_SIZE) return true;
  // Whoever prunes may be faster.
  const data = await machine.files.read(derivedPath(paths, record.digest), CHECKED_SIZE).catch(() => undefined);
  return data !== undefined && digestOf(machine, data) === record.digest;
}

async function isWhole({ files }: Machine, paths: StorePaths, { digest, size }: DerivedRecord): Promise<boolean> {
  return (await files.info(derivedPath(paths, digest)))?.size === size;
}

async function make(
  machine: Machine,
  paths: StorePaths,
  produce: Produce,
  signal: AbortSignal | undefined,
): Promise<Pick<DerivedRecord, 'digest' | 'size'>> {
  const hash = machine.hash('sha256');
  const file = new Appender(await createTemporary(machine.files, paths, 'derived'));
  try {
    await produce({
      async write(chunk) {
        throwIfCanceled(signal);
        hash.update(chunk);
        await file.append(chunk);
      },
    });
    throwIfCanceled(signal);
    if (file.position > CHECKED_SIZE) await file.sync();
    else await file.settle();
    await file.close();
    const digest = finishDigest(hash);
    await machine.files.rename(file.path, derivedPath(paths, digest));
    return { digest, size: file.position };
  } catch (error) {
    await file.close();
    await machine.files.remove(file.path);
    throw error;
  }
}

function bytesOf({ files }: Machine, paths: StorePaths, { digest, size }: DerivedRecord): Bytes {
  return size === 0 ? EMPTY : ofSource(storedSource(files, derivedPath(paths, digest), digest, size));
}
