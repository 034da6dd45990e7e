/** Disk images of a real kernel and initramfs: parts of them can be compressed, which noise never shows. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DEMO_TAG, demoLayout, skipWithoutDemoAssets } from '../test/support/demo-assets.ts';
import { skipWithout } from '../test/support/tools.ts';
import { RAW, resultOf } from './disk-build.ts';
import { atMost, type Bench, mebibytes, notMeasured, type Row } from './figure.ts';
import { measure } from './measure.ts';

const PEERS = {
  zst: { command: ['zstd', '-q', '-T0', '-18', '-c'], limit: 0.55 },
  xz: { command: ['xz', '-0', '-T0', '-c'], limit: 1.02 },
  gz: { command: ['pigz', '-6', '-c'], limit: 1.02 },
} as const;

/** Of the demonstration image, which is made of Debian's packages. */
export async function realContent({ directory }: Bench): Promise<Row[]> {
  const missing = skipWithoutDemoAssets() || skipWithout('zstd', 'xz', 'pigz');
  if (missing !== false) return [notMeasured('sizes with a real kernel', missing)];
  const own = { source: `oci:${await demoLayout()}:${DEMO_TAG}`, directory };
  const raw = resultOf(own, RAW, 'disk.raw');
  return Object.entries(PEERS).map(([format, { command, limit }]) => {
    const ours = resultOf(own, { profile: 'metal', options: ['--compression', format] }, `disk.raw.${format}`);
    const theirs = join(directory, `theirs.${format}`);
    measure({ command: ['sh', '-c', '"$@" >"$0"', theirs, ...command, raw] });
    const [size, theirSize] = [ours, theirs].map((path) => statSync(path).size);
    return {
      what: `metal raw.${format} with a real kernel, size`,
      ours: mebibytes(size!),
      peer: `${command.filter((word) => word !== '-q' && word !== '-c').join(' ')}: ${mebibytes(theirSize!)}`,
      ...atMost(size! / theirSize!, limit, '', 3),
    };
  });
}
