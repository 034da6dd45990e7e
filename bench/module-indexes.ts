/** The index files of a distribution's kernel modules. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { debianKernel } from '../test/support/debian-kernel.ts';
import { skipWithout } from '../test/support/tools.ts';
import { atMost, type Bench, milliseconds, notMeasured, type Row } from './figure.ts';
import { withoutSpace } from './imager.ts';
import { measure, median } from './measure.ts';

const SCRIPT = fileURLToPath(new URL('index-modules.ts', import.meta.url));

/** Debian's modules as they come, compressed, and unpacked. Ours in a process of its own each time, without Node's start: a build has paid for that. */
export async function moduleIndexes({ directory, runs }: Bench): Promise<Row[]> {
  const missing = skipWithout('depmod', 'apt-get', 'dpkg-deb', 'xz') || withoutSpace(directory, 1);
  if (missing !== false) return [notMeasured('module indexes', missing)];
  const { root, version } = await debianKernel('linux-image-amd64', 'amd64');
  const own = join(directory, 'root');
  cpSync(root, own, { recursive: true });
  const modules = join(own, 'lib/modules', version);
  const packed = compareWithDepmod('.ko.xz', { own, modules, version, directory, runs });
  execFileSync('sh', ['-c', 'find "$1" -name "*.ko.xz" -print0 | xargs -0 xz -d', 'sh', modules]);
  return [packed, compareWithDepmod('.ko', { own, modules, version, directory, runs })];
}

interface Modules {
  readonly own: string;
  readonly modules: string;
  readonly version: string;
  readonly directory: string;
  readonly runs: number;
}

function compareWithDepmod(extension: string, { own, modules, version, directory, runs }: Modules): Row {
  const out = join(directory, 'out');
  mkdirSync(out, { recursive: true });
  const ours = (): number => {
    return Number(execFileSync(process.execPath, [SCRIPT, modules, out], { encoding: 'utf8' })) / 1000;
  };
  const theirs = (): number => measure({ command: ['depmod', '--all', '--basedir', own, version] }).wall;
  ours();
  theirs();
  const pairs = Array.from({ length: runs }, () => [ours(), theirs()] as const);
  const count = readdirSync(modules, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith(extension));
  return {
    what: `indexes of ${count.length} modules, ${extension}`,
    ours: milliseconds(median(pairs.map(([own]) => own))),
    peer: `depmod: ${milliseconds(median(pairs.map(([, peer]) => peer)))}`,
    ...atMost(median(pairs.map(([own, peer]) => own / peer)), 1, ''),
  };
}
