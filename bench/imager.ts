/** The imager as something to measure: what it is started with, what it builds of, what it leaves behind. */
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  buildableArchitecture,
  type LayerCompression,
  type SyntheticAssets,
  writeSyntheticAssets,
} from '../test/support/synthetic-assets.ts';
import { atMost, GIB, MIB, milliseconds, type Row } from './figure.ts';
import { type Candidate, compare } from './measure.ts';

export const ROOT: string = fileURLToPath(new URL('..', import.meta.url));

const ARCHITECTURE = buildableArchitecture();

export interface AssetSizes {
  readonly kernelSize: number;
  readonly initramfsSize: number;
  readonly compression: LayerCompression;
}

/** What Talos has: 96 MiB, incompressible, as its compressed kernel and zstd initramfs are. */
export const REAL_SIZES: Omit<AssetSizes, 'compression'> = { kernelSize: 20 * MIB, initramfsSize: 76 * MIB };

export function makeAssets(directory: string, sizes: AssetSizes): Promise<SyntheticAssets> {
  return writeSyntheticAssets(join(directory, 'assets'), { ...sizes, architectures: [ARCHITECTURE] });
}

/** A build from `source` into `output`; the store is in `directory`. */
export function buildArguments(
  directory: string,
  { profile, source, output }: { readonly profile: string; readonly source: string; readonly output: string },
): string[] {
  const inputs = ['--imager-image', source, '--store', join(directory, 'store')];
  const target = ['--arch', ARCHITECTURE, '--talos-version', 'v1.13.0', '-o', output];
  return [profile, ...inputs, ...target, '--quiet'];
}

/** The imager of this checkout. What it keeps between runs, its compiled code, is kept in `directory`. */
export function imager(directory: string, ...args: readonly string[]): Candidate {
  return {
    command: [process.execPath, join(ROOT, 'bin/imager.js'), ...args],
    environment: { XDG_CACHE_HOME: join(directory, 'cache') },
  };
}

/** Removes `paths` and lets the disk finish what earlier runs left it to do, so that no run pays for another. */
export function settle(...paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { recursive: true, force: true });
  execFileSync('sync');
}

/** A build against a copy of its result and a Node that does nothing: left to the operating system, and flushed to the disk. */
export function againstCopy(
  what: string,
  build: Candidate,
  { file, limit, runs }: { readonly file: string; readonly limit: number; readonly runs: number },
): Row[] {
  const left = compare(build, copyOf(file), runs);
  const flushed = compare({ ...build, command: [...build.command, '--sync'] }, copyOf(file, true), runs);
  return [
    {
      what,
      ours: milliseconds(left.candidate.wall),
      peer: `cp of it, node -e 0: ${milliseconds(left.peer.wall)}`,
      ...atMost(left.ratio, limit, ''),
    },
    {
      what: 'the same, flushed to the disk',
      ours: milliseconds(flushed.candidate.wall),
      peer: `cp, sync, node -e 0: ${milliseconds(flushed.peer.wall)}`,
      ...atMost(flushed.ratio, limit, ''),
    },
  ];
}

/** Holes stay holes. */
function copyOf(file: string, isFlushed = false): Candidate {
  const copy = `${file}.copy`;
  const script = `cp --reflink=never "$1" "$2" && ${isFlushed ? 'sync "$2" && ' : ''}"$3" -e 0`;
  return {
    command: ['sh', '-c', script, 'sh', file, copy, process.execPath],
    prepare: () => settle(copy),
  };
}

export function onlyFile(directory: string): string {
  return join(directory, readdirSync(directory)[0]!);
}

/** A reason not to measure where `directory` has less room. */
export function withoutSpace(directory: string, gibibytes: number): string | false {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize < gibibytes * GIB ? `needs ${gibibytes} GiB of disk` : false;
}
