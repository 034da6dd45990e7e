/** Builds of disk images to measure, and their results to compare. */
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench } from './figure.ts';
import { buildArguments, imager, makeAssets, onlyFile, REAL_SIZES, settle } from './imager.ts';
import { type Candidate, measure } from './measure.ts';

/** What is built: profile and options. The default disk of amd64 starts by two boot loaders, each with its copy of kernel and initramfs. */
export interface Disk {
  readonly profile: string;
  readonly options: readonly string[];
}

export const RAW: Disk = { profile: 'metal', options: ['--compression', 'raw'] };

export interface DiskBench {
  readonly source: string;
  readonly directory: string;
}

export async function prepareDisks({ directory }: Bench): Promise<DiskBench> {
  const { source } = await makeAssets(directory, { ...REAL_SIZES, compression: 'none' });
  return { source, directory };
}

/** From a store that has the assets. `isFirst`: nothing derived from them is there, neither GRUB's core nor anything compressed. */
export function buildOf({ source, directory }: DiskBench, { profile, options }: Disk, isFirst = false): Candidate {
  const output = join(directory, 'out');
  const derived = join(directory, 'store/derived');
  return {
    ...imager(directory, ...buildArguments(directory, { profile, source, output }), ...options),
    prepare: () => settle(output, ...(isFirst ? [derived] : [])),
  };
}

/** The result of a build, kept. Moved, not copied: it keeps its holes. */
export function resultOf(bench: DiskBench, disk: Disk, name: string): string {
  measure(buildOf(bench, disk));
  const kept = join(bench.directory, 'kept');
  mkdirSync(kept, { recursive: true });
  const path = join(kept, name);
  renameSync(onlyFile(join(bench.directory, 'out')), path);
  return path;
}
