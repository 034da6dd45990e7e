/** Disk images in the containers that programs of old take long for. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { skipWithout } from '../test/support/tools.ts';
import { buildOf, type Disk, prepareDisks, RAW, resultOf } from './disk-build.ts';
import { atLeast, atMost, type Bench, mebibytes, milliseconds, notMeasured, type Row } from './figure.ts';
import { withoutSpace } from './imager.ts';
import { measure, repeat } from './measure.ts';

const PACKERS = {
  xz: ['xz', '-0', '-T0', '-k', '-c'],
  gz: ['pigz', '-6', '-k', '-c'],
} as const;

/** Peers take so long that one run tells. */
export async function packedDisks(bench: Bench): Promise<Row[]> {
  const missing = skipWithout('xz', 'pigz') || withoutSpace(bench.directory, 2);
  if (missing !== false) return [notMeasured('metal raw.xz and raw.gz', missing)];
  const own = await prepareDisks(bench);
  const raw = resultOf(own, RAW, 'disk.raw');
  const rows: Row[] = [];
  for (const [format, command] of Object.entries(PACKERS)) {
    const disk: Disk = { profile: 'metal', options: ['--compression', format] };
    const theirs = join(own.directory, `theirs.${format}`);
    const program = command.slice(0, command[0] === 'xz' ? 3 : 2).join(' ');
    const { wall } = measure({ command: ['sh', '-c', '"$@" >"$0"', theirs, ...command, raw] });
    const peer = `${program}: ${milliseconds(wall)}`;
    const cold = repeat(buildOf(own, disk, true), bench.runs);
    const warm = repeat(buildOf(own, disk), bench.runs);
    const [size, theirSize] = [resultOf(own, disk, `disk.raw.${format}`), theirs].map((path) => statSync(path).size);
    rows.push(
      {
        what: `metal raw.${format}, first time`,
        ours: milliseconds(cold.wall),
        peer,
        ...atLeast(wall / cold.wall, 5, ' times'),
      },
      {
        what: `metal raw.${format}, again`,
        ours: milliseconds(warm.wall),
        peer,
        ...atLeast(wall / warm.wall, 20, ' times'),
      },
      {
        what: 'its size',
        ours: mebibytes(size!),
        peer: `${program}: ${mebibytes(theirSize!)}`,
        ...atMost(size! / theirSize!, 1.02, '', 3),
      },
    );
  }
  return rows;
}
