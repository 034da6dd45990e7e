/** The index files of a distribution's kernel modules. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { debianKernel } from '../test/support/debian-kernel.ts';
import { skipWithout } from '../test/support/tools.ts';
import { atMost, type Bench, milliseconds, notMeasured, type Row } from './figure.ts';
import { withoutSpace } from './imager.ts';
import { type Candidate, measure, median } from './measure.ts';

const SCRIPT = fileURLToPath(new URL('index-modules.ts', import.meta.url));

/**
 * Debian's modules as they come, compressed; unpacked; compressed as other distributions do; and inside a layer, where depmod needs them taken out first. Ours in a process of its own each time,
 * without Node's start: a build has paid for that.
 */
export async function moduleIndexes({ directory, runs }: Bench): Promise<Row[]> {
  const missing = skipWithout('depmod', 'apt-get', 'dpkg-deb', 'xz', 'zstd', 'tar') || withoutSpace(directory, 2);
  if (missing !== false) return [notMeasured('module indexes', missing)];
  const { root, version } = await debianKernel('linux-image-amd64', 'amd64');
  const own = join(directory, 'root');
  const modules = join(own, 'lib/modules', version);
  const out = join(directory, 'out');
  mkdirSync(out);
  cpSync(root, own, { recursive: true });
  const names = readdirSync(modules, { recursive: true, encoding: 'utf8' });
  const count = names.filter((name) => name.endsWith('.ko.xz')).length;

  const depmod: Candidate = { command: ['depmod', '--all', '--basedir', own, version] };
  const rows = [compared(`indexes of ${count} modules, .ko.xz`, modules, 'depmod', depmod)];
  execFileSync('sh', ['-c', 'find "$1" -name "*.ko.xz" -print0 | xargs -0 xz -d', 'sh', modules]);
  rows.push(compared(`indexes of ${count} modules, .ko`, modules, 'depmod', depmod));
  execFileSync('sh', ['-c', 'find "$1" -name "*.ko" -print0 | xargs -0 zstd -q --rm', 'sh', modules]);
  rows.push(compared(`indexes of ${count} modules, .ko.zst`, modules, 'depmod', depmod));
  execFileSync('sh', ['-c', 'find "$1" -name "*.ko.zst" -print0 | xargs -0 zstd -dq --rm', 'sh', modules]);
  const layer = join(directory, 'layer.tar');
  execFileSync('tar', ['-cf', layer, '-C', modules, '.']);
  const unpack = ['sh', '-c', 'mkdir -p "$2" && tar -xf "$1" -C "$2" && shift 2 && "$@"', 'sh', layer, modules];
  const withTar = { command: [...unpack, ...depmod.command], prepare: () => rmSync(own, { recursive: true }) };
  rows.push(compared(`indexes of ${count} modules, .ko in a layer`, layer, 'tar -x, depmod', withTar));
  return rows;

  function compared(what: string, input: string, name: string, peer: Candidate): Row {
    const ours = (): number => {
      return Number(execFileSync(process.execPath, [SCRIPT, input, out], { encoding: 'utf8' })) / 1000;
    };
    ours();
    measure(peer);
    const pairs = Array.from({ length: runs }, () => [ours(), measure(peer).wall] as const);
    return {
      what,
      ours: milliseconds(median(pairs.map(([own]) => own))),
      peer: `${name}: ${milliseconds(median(pairs.map(([, theirs]) => theirs)))}`,
      ...atMost(median(pairs.map(([own, theirs]) => own / theirs)), 1, ''),
    };
  }
}
