/** What a shell waits for, and what a production install takes. */
import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { atMost, type Bench, MIB, milliseconds, type Row } from './figure.ts';
import { imager, ROOT } from './imager.ts';
import { compare, repeat } from './measure.ts';

/** What a shell waits for before anything happens. */
export function startUp({ directory, runs }: Bench): Row[] {
  const help = imager(directory, '--help');
  const { candidate, peer } = compare(help, { command: [process.execPath, '-e', '0'] }, Math.max(runs, 15));
  return [
    {
      what: 'imager --help',
      ours: milliseconds(candidate.wall),
      peer: `node -e 0: ${milliseconds(peer.wall)}`,
      ...atMost(candidate.wall * 1000, 100, ' ms', 0),
    },
  ];
}

/** What `npm install` of the package brings: the compiled form and its dependencies. */
export function install({ directory, runs }: Bench): Row[] {
  for (const name of ['package.json', 'package-lock.json', 'bin']) {
    cpSync(join(ROOT, name), join(directory, name), { recursive: true });
  }
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  // Types are the gate's business.
  const compile = ['-p', join(ROOT, 'tsconfig.build.json'), '--noCheck', '--outDir', join(directory, 'dist')];
  execFileSync(process.execPath, [compiler, ...compile], { stdio: 'pipe' });
  cpSync(join(ROOT, 'dist/cli'), join(directory, 'dist/cli'), { recursive: true });
  execFileSync('npm', ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: directory,
    stdio: 'pipe',
  });
  const lock = JSON.parse(readFileSync(join(directory, 'node_modules/.package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, unknown>>;
  };
  const count = Object.keys(lock.packages).length;
  const size = diskUsage(directory) / MIB;
  const installed = { ...imager(directory), command: [process.execPath, join(directory, 'bin/imager.js'), '--help'] };
  const help = repeat(installed, Math.max(runs, 15));
  return [
    {
      what: 'production install, size on disk',
      ours: `${size.toFixed(1)} MiB`,
      peer: '',
      ...atMost(size, 25, ' MiB', 1),
    },
    { what: 'production install, packages', ours: String(count), peer: '', ...atMost(count, 60, '', 0) },
    {
      what: 'imager --help, installed',
      ours: milliseconds(help.wall),
      peer: '',
      ...atMost(help.wall * 1000, 100, ' ms', 0),
    },
  ];
}

/** Bytes that files and directories occupy. */
function diskUsage(directory: string): number {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(directory, name)).blocks * 512)
    .reduce((sum, size) => sum + size, 0);
}
