/** Disk images: raw, in zstd, and as qcow2. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { skipWithout } from '../test/support/tools.ts';
import { buildOf, type Disk, prepareDisks, RAW, resultOf } from './disk-build.ts';
import { atMost, type Bench, mebibytes, notMeasured, type Row } from './figure.ts';
import { againstCopy } from './imager.ts';
import { measure } from './measure.ts';

/** Sparse and plain: all there is to do is to write it. */
export async function rawDisk(bench: Bench): Promise<Row[]> {
  const own = await prepareDisks(bench);
  const raw = resultOf(own, RAW, 'disk.raw');
  return againstCopy('metal raw, sparse', buildOf(own, RAW), { file: raw, limit: 1.3, runs: bench.runs });
}

/** What upstream takes 45 s for. */
export async function zstdDisk(bench: Bench): Promise<Row[]> {
  const missing = skipWithout('zstd');
  if (missing !== false) return [notMeasured('metal raw.zst', missing)];
  const own = await prepareDisks(bench);
  const raw = resultOf(own, RAW, 'disk.raw');
  const disk: Disk = { profile: 'metal', options: ['--compression', 'zst'] };
  const packed = resultOf(own, disk, 'disk.raw.zst');
  const build = buildOf(own, disk, true);
  const theirs = join(own.directory, 'theirs.zst');
  const zstd = measure({ command: ['zstd', '-q', '-T0', '-18', '-k', raw, '-o', theirs] });
  return [
    ...againstCopy('metal raw.zst, first time', build, { file: packed, limit: 2, runs: bench.runs }),
    {
      what: 'its size',
      ours: mebibytes(statSync(packed).size),
      peer: `zstd -T0 -18, ${zstd.wall.toFixed(0)} s: ${mebibytes(statSync(theirs).size)}`,
      ...atMost(statSync(packed).size / statSync(theirs).size, 0.55, ''),
    },
  ];
}

/** The second copy of kernel and initramfs shares the clusters of the first. */
export async function qcow2Disk(bench: Bench): Promise<Row[]> {
  const missing = skipWithout('qemu-img');
  if (missing !== false) return [notMeasured('dual-boot qcow2', missing)];
  const own = await prepareDisks(bench);
  // Clusters of 8 KiB, as the profile asks for.
  const ours = resultOf(own, { profile: 'alibabacloud', options: ['--compression', 'raw'] }, 'disk.qcow2');
  const theirs = join(own.directory, 'theirs.qcow2');
  measure({ command: ['qemu-img', 'convert', '-O', 'qcow2', '-o', 'cluster_size=8k', ours, theirs] });
  const [size, theirSize] = [ours, theirs].map((path) => statSync(path).size);
  return [
    {
      what: 'dual-boot qcow2, size',
      ours: mebibytes(size!),
      peer: `qemu-img convert: ${mebibytes(theirSize!)}`,
      ...atMost(size! / theirSize!, 0.55, ''),
    },
  ];
}
