/** Reads everything a store has and compares it with its digest. What is damaged goes; it is fetched or made again when needed. */
import { ofSource } from '../../bytes/bytes.ts';
import { type Digest, parseDigest } from '../../bytes/units.ts';
import { ImagerError } from '../../errors.ts';
import { indexTarBytes } from '../../formats/tar/tar-index.ts';
import type { Platform as Machine } from '../../platform/types.ts';
import { finishDigest } from '../digest-check.ts';
import { decodeLayerIndex, encodeLayerIndex, INDEX_LIMIT } from '../layer/layer-index.ts';
import { imageContents } from './contents.ts';
import { derivedPath, readDerivedRecord } from './derived.ts';
import { blobPath, fileChunks, plainPath, type StorePaths } from './files.ts';
import { throwIfCanceled } from './receive.ts';
import { indexText, listReferences, type Reference, referencePath, writeIndex } from './references.ts';

export interface VerifyOptions {
  readonly signal?: AbortSignal;
  /** Remove what is damaged; default true. */
  readonly remove?: boolean;
  /** Bytes read so far and in all. */
  readonly onBytes?: (done: number, total: number) => void;
}

export interface Damage {
  readonly path: string;
  readonly reason: string;
}

export interface VerifyReport {
  /** Files looked at. */
  readonly files: number;
  /** Bytes read. */
  readonly bytes: number;
  readonly damage: readonly Damage[];
}

interface Check {
  readonly machine: Machine;
  readonly paths: StorePaths;
  readonly signal: AbortSignal | undefined;
  readonly remove: boolean;
  readonly onBytes: ((done: number) => void) | undefined;
  readonly damage: Damage[];
  files: number;
  bytes: number;
}

/** Throws `io` where the store cannot be read at all, `canceled`. */
export async function verifyStore(
  machine: Machine,
  paths: StorePaths,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const { signal, remove = true, onBytes } = options;
  const total = onBytes === undefined ? 0 : await bytesToRead(machine, paths);
  const check: Check = {
    machine,
    paths,
    signal,
    remove,
    onBytes: onBytes && ((done) => onBytes(done, total)),
    damage: [],
    files: 0,
    bytes: 0,
  };
  await each(check, paths.blobs, checkBlob);
  // An index whose layer has just gone goes too.
  await each(check, paths.layers, checkPlainLayer, '.tar');
  await each(check, paths.layers, checkLayerIndex, '.index');
  await each(check, paths.derived, checkDerived);
  // Last, because an image whose blob has just gone is not whole any more.
  for (const { path, reference } of await listReferences(machine, paths)) await checkReference(check, path, reference);
  await checkIndex(check);
  return { files: check.files, bytes: check.bytes, damage: check.damage };
}

async function bytesToRead({ files }: Machine, paths: StorePaths): Promise<number> {
  let total = 0;
  for (const directory of [paths.blobs, paths.layers, paths.derived]) {
    for (const name of await files.list(directory)) total += (await files.info(`${directory}/${name}`))?.size ?? 0;
  }
  return total;
}

async function each(
  check: Check,
  directory: string,
  look: (check: Check, path: string, name: string) => Promise<void>,
  suffix = '',
): Promise<void> {
  const { files } = check.machine;
  for (const name of await files.list(directory)) {
    throwIfCanceled(check.signal);
    if (!name.endsWith(suffix)) continue;
    const path = `${directory}/${name}`;
    const before = check.bytes;
    try {
      await look(check, path, name).catch((error: unknown) => {
        // Somebody who used it meanwhile marked it, so that it seems to have changed.
        if (!(error instanceof ImagerError) || error.code !== 'io') throw error;
        check.bytes = before;
        return look(check, path, name);
      });
    } catch (error) {
      // A prune or another verify at work may have taken it away.
      if ((await files.info(path)) === undefined) continue;
      if (!(error instanceof ImagerError) || error.code === 'canceled') throw error;
      // What cannot be read now may be read tomorrow: that says nothing about what is on the disk.
      if (error.code === 'io') check.damage.push({ path, reason: error.message });
      else await damaged(check, path, error.message);
    }
    check.files++;
  }
}

async function damaged({ damage, remove, machine }: Check, path: string, reason: string): Promise<void> {
  damage.push({ path, reason });
  if (remove) await machine.files.remove(path);
}

async function checkBlob(check: Check, path: string, name: string): Promise<void> {
  await checkContent(check, path, digestNamed(name));
}

function digestNamed(name: string): Digest {
  return parseDigest(`sha256:${name}`);
}

async function checkContent(
  check: Check,
  path: string,
  want: Digest,
  also?: (chunk: Uint8Array) => void,
): Promise<void> {
  const hash = check.machine.hash('sha256');
  for await (const chunk of fileChunks(check.machine.files, path, check.signal)) {
    throwIfCanceled(check.signal);
    hash.update(chunk);
    also?.(chunk);
    check.bytes += chunk.length;
    check.onBytes?.(check.bytes);
  }
  const found = finishDigest(hash);
  if (found !== want) await damaged(check, path, `its content has digest ${found}`);
}

async function checkPlainLayer(check: Check, path: string, name: string): Promise<void> {
  await checkContent(check, path, digestNamed(name.replace(/\.tar$/, '')));
}

/** By making it again. */
async function checkLayerIndex(check: Check, path: string, name: string): Promise<void> {
  const { machine, paths } = check;
  const digest = digestNamed(name.replace(/\.index$/, ''));
  const found = await machine.files.read(path, INDEX_LIMIT);
  check.bytes += found.length;
  const index = decodeLayerIndex(machine, found);
  if (index === undefined) return damaged(check, path, 'not readable');
  const plain = plainPath(paths, digest, index.diffId);
  if ((await machine.files.info(plain)) === undefined) return damaged(check, path, 'an index without its layer');
  const bytes = ofSource(await machine.files.source(plain));
  const made = { diffId: index.diffId, size: bytes.size, entries: await indexTarBytes(bytes) };
  if (!sameBytes(found, encodeLayerIndex(machine, made))) await damaged(check, path, 'not the index of its layer');
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

async function checkDerived(check: Check, path: string, name: string): Promise<void> {
  const { machine, paths } = check;
  if (!name.endsWith('.json')) return checkContent(check, path, digestNamed(name));
  const record = await readDerivedRecord(machine, path);
  if (record === undefined) return damaged(check, path, 'not readable');
  const content = await machine.files.info(derivedPath(paths, record.digest));
  if (content?.size !== record.size) await damaged(check, path, 'its content is missing');
}

async function checkReference(check: Check, path: string, reference: Reference | undefined): Promise<void> {
  const { machine, paths } = check;
  check.files++;
  if (reference === undefined) return damaged(check, path, 'not readable');
  if (referencePath(machine, paths, reference) !== path) return damaged(check, path, 'not the image it is named for');
  const contents = await imageContents(machine, paths, reference);
  const name = reference.name ?? reference.digest;
  if (contents === undefined) return damaged(check, path, `${name}: a document is missing`);
  if (contents.blobs.get(reference.manifestDigest) !== reference.size) {
    return damaged(check, path, `${name}: not the size of its manifest`);
  }
  for (const [digest, size] of contents.blobs) {
    if ((await machine.files.info(blobPath(paths, digest)))?.size === size) continue;
    return damaged(check, path, `${name}: blob ${digest} is missing`);
  }
}

/** `index.json` that lags behind is no damage (a process was killed in between), one that cannot be read is. */
async function checkIndex({ machine, paths, remove, damage }: Check): Promise<void> {
  const want = await indexText(machine, paths);
  let found: string | undefined;
  try {
    found = new TextDecoder().decode(await machine.files.read(paths.index, want.length + (1 << 24)));
    JSON.parse(found);
  } catch {
    damage.push({ path: paths.index, reason: 'missing or not readable' });
    found = undefined;
  }
  if (remove && found !== want) await writeIndex(machine, paths);
}
