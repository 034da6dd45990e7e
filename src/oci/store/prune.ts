/**
 * Removes what has not been used for long. Other processes may be at work: what is younger than an hour stays whatever was asked, as it may
 * belong to a pull that has not got its name yet.
 */

import { checkSize } from '../../bytes/bytes.ts';
import type { Platform as Machine } from '../../platform/types.ts';
import { imageContents } from './contents.ts';
import { derivedPath, readDerivedRecord } from './derived.ts';
import { blobPath, layerIndexPath, plainPath, type StorePaths } from './files.ts';
import { throwIfCanceled } from './receive.ts';
import { listReferences, type Reference, writeIndex } from './references.ts';

/** Seconds. A pull marks what it uses and what it brings in, and takes less than this. */
const SAFE_AGE = 3600;

export interface PruneOptions {
  /** The time, seconds since 1970. */
  readonly now: number;
  /** Seconds without use after which an image or a derived result goes; less than an hour counts as an hour. */
  readonly olderThan: number;
  /** Names or digests of images that stay. */
  readonly keep?: readonly string[];
  readonly signal?: AbortSignal;
}

export interface PruneReport {
  /** Names, or digests of images without name. */
  readonly images: readonly string[];
  readonly files: number;
  /** Bytes on disk. */
  readonly freed: number;
}

interface Sweep {
  readonly machine: Machine;
  readonly signal: AbortSignal | undefined;
  files: number;
  freed: number;
}

/** Throws `io`, `canceled`. */
export async function pruneStore(machine: Machine, paths: StorePaths, options: PruneOptions): Promise<PruneReport> {
  const { now, olderThan, keep = [], signal } = options;
  checkSize(Math.floor(olderThan), 'prune: age in seconds');
  const sweep: Sweep = { machine, signal, files: 0, freed: 0 };
  const unusedSince = now - Math.max(olderThan, SAFE_AGE);
  const safe = now - SAFE_AGE;
  const images: string[] = [];
  for (const { path, reference } of await listReferences(machine, paths)) {
    if (reference !== undefined && isKept(reference, keep)) continue;
    if (await removeOlder(sweep, path, unusedSince)) images.push(reference?.name ?? reference?.digest ?? path);
  }
  if (images.length > 0) await writeIndex(machine, paths);
  await sweepFolder(sweep, paths.derived, unusedSince, (name) => name.endsWith('.json'));
  await sweepFolder(sweep, paths.signatures, unusedSince, () => true);
  // Listed again: what another process has pulled meanwhile stays.
  const needed = await neededFiles(machine, paths);
  for (const folder of [paths.blobs, paths.layers, paths.derived]) {
    await sweepFolder(sweep, folder, safe, (name) => !needed.has(`${folder}/${name}`));
  }
  await sweepFolder(sweep, paths.temporary, safe, () => true);
  return { images, files: sweep.files, freed: sweep.freed };
}

function isKept({ name, digest, manifestDigest }: Reference, keep: readonly string[]): boolean {
  return keep.some((one) => one === name || one === digest || one === manifestDigest);
}

async function neededFiles(machine: Machine, paths: StorePaths): Promise<Set<string>> {
  const needed = new Set<string>();
  for (const { reference } of await listReferences(machine, paths)) {
    const contents = reference && (await imageContents(machine, paths, reference));
    for (const digest of contents?.blobs.keys() ?? []) needed.add(blobPath(paths, digest));
    for (const { descriptor, diffId } of contents?.layers ?? []) {
      needed.add(layerIndexPath(paths, descriptor.digest));
      needed.add(plainPath(paths, descriptor.digest, diffId));
    }
  }
  for (const name of await machine.files.list(paths.derived)) {
    if (!name.endsWith('.json')) continue;
    needed.add(`${paths.derived}/${name}`);
    const record = await readDerivedRecord(machine, `${paths.derived}/${name}`);
    if (record !== undefined) needed.add(derivedPath(paths, record.digest));
  }
  return needed;
}

async function sweepFolder(
  sweep: Sweep,
  folder: string,
  before: number,
  unneeded: (name: string) => boolean,
): Promise<void> {
  for (const name of await sweep.machine.files.list(folder)) {
    throwIfCanceled(sweep.signal);
    if (unneeded(name)) await removeOlder(sweep, `${folder}/${name}`, before);
  }
}

async function removeOlder(sweep: Sweep, path: string, before: number): Promise<boolean> {
  const { files } = sweep.machine;
  const info = await files.info(path, { noFollow: true });
  if (info === undefined || info.mtime > before) return false;
  await files.remove(path);
  sweep.files++;
  sweep.freed += info.allocated;
  return true;
}
