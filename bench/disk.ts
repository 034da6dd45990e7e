/** The figures the project promises, each measured against what a user would do without it. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDockerRegistry } from '../test/support/docker-registry.ts';
import {
  buildableArchitecture,
  type LayerCompression,
  type SyntheticAssets,
  writeSyntheticAssets,
} from '../test/support/synthetic-assets.ts';
import { skipWithout } from '../test/support/tools.ts';
import { type Candidate, compare, measure, repeat } from './measure.ts';

/** A line of the table. */
export interface Row {
  readonly what: string;
  readonly ours: string;
  /** Command and result of what is compared with; empty where there is only a bound. */
  readonly peer: string;
  readonly result: string;
  readonly target: string;
  readonly isMet: boolean | undefined;
  /** Said below the table. */
  readonly note?: string;
}

export interface Bench {
  /** Empty, and removed with all in it afterwards. */
  readonly directory: string;
  /** Of each timed figure. */
  readonly runs: number;
}

export type Figure = (bench: Bench) => Row[] | Promise<Row[]>;

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const ARCHITECTURE = buildableArchitecture();
const NETWORK_DOCUMENT = join(ROOT, 'examples/network.yaml');

/** By the name that selects it. */
export const FIGURES: Readonly<Record<string, Figure>> = {
  'warm-iso': warmIso,
  memory,
  'cold-pull': coldPull,
  'start-up': startUp,
  install,
};

/** A customised ISO of assets of the real size, from a store that has them, against copying it. */
async function warmIso({ directory, runs }: Bench): Promise<Row[]> {
  const kernelSize = 20 * MIB;
  const initramfsSize = 76 * MIB;
  const assets = await makeAssets(directory, { kernelSize, initramfsSize, compression: 'gzip' });
  const output = join(directory, 'out');
  const build: Candidate = {
    ...imager(directory, ...isoArguments(directory, assets.source, output)),
    prepare: () => settle(output),
  };
  measure(build);
  const iso = join(directory, 'template.iso');
  // Moved, not copied: it keeps its holes, which cp then finds.
  renameSync(onlyFile(output), iso);
  const copy = join(directory, 'copy.iso');
  const peer: Candidate = {
    command: ['sh', '-c', `cp --reflink=never "$1" "$2" && "$3" -e 0`, 'sh', iso, copy, process.execPath],
    prepare: () => settle(copy),
  };
  const { candidate, peer: copied, ratio } = compare(build, peer, runs);
  const flushed = compare(
    { ...build, command: [...build.command, '--sync'] },
    {
      ...peer,
      command: ['sh', '-c', `cp --reflink=never "$1" "$2" && sync "$2" && "$3" -e 0`, ...peer.command.slice(3)],
    },
    runs,
  );
  const { size, blocks } = statSync(iso);
  const content = kernelSize + initramfsSize;
  return [
    {
      what: 'ISO with META, warm store',
      ours: milliseconds(candidate.wall),
      peer: `cp of it, node -e 0: ${milliseconds(copied.wall)}`,
      ...atMost(ratio, 1.3, ''),
    },
    {
      what: 'the same, flushed to the disk',
      ours: milliseconds(flushed.candidate.wall),
      peer: `cp, sync, node -e 0: ${milliseconds(flushed.peer.wall)}`,
      ...atMost(flushed.ratio, 1.3, ''),
    },
    {
      what: 'ISO size on disk',
      ours: mebibytes(blocks * 512),
      peer: `kernel + initramfs: ${mebibytes(content)}`,
      result: `${((blocks * 512) / content).toFixed(3)}`,
      target: '',
      isMet: undefined,
    },
    {
      what: 'ISO size as downloaded',
      ours: mebibytes(size),
      peer: `kernel + initramfs: ${mebibytes(content)}`,
      result: `${(size / content).toFixed(3)}`,
      target: '',
      isMet: undefined,
    },
  ];
}

/** Memory must not grow with what is put into an image. */
async function memory({ directory }: Bench): Promise<Row[]> {
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize < 10 * GIB) return [notMeasured('peak memory, 2 GiB initramfs', 'needs 10 GiB of disk')];
  const rows: Row[] = [];
  for (const [name, initramfsSize] of [
    ['64 MiB', 64 * MIB],
    // As much as fits a 32-bit size together with the rest of an image.
    ['2 GiB', 2 * GIB],
  ] as const) {
    const own = join(directory, name.replace(' ', ''));
    const assets = await makeAssets(own, { kernelSize: 20 * MIB, initramfsSize, compression: 'none' });
    const output = join(own, 'out');
    const build = { ...imager(own, ...isoArguments(own, assets.source, output)), prepare: () => settle(output) };
    const warm = repeat(build, 3);
    // Behind the others: the very first run of a checkout also compiles.
    rmSync(join(own, 'store'), { recursive: true });
    const cold = measure(build);
    for (const [store, { memory: peak }] of [
      ['warm', warm],
      ['empty', cold],
    ] as const) {
      rows.push({
        what: `peak memory, ${name} initramfs, ${store} store`,
        ours: `${peak.toFixed(0)} MiB`,
        peer: '',
        ...atMost(peak, 150, ' MiB', 0),
      });
    }
    rmSync(own, { recursive: true });
  }
  return rows;
}

/** Everything of an image into an empty store, against what fetches and checks the same blobs into files. */
async function coldPull({ directory, runs }: Bench): Promise<Row[]> {
  const missing = skipWithout('docker-registry', 'skopeo', 'curl', 'sha256sum');
  if (missing !== false) return [notMeasured('cold pull', missing)];
  const registry = await startDockerRegistry();
  try {
    const rows: Row[] = [];
    for (const compression of ['gzip', 'none'] as const) {
      const own = join(directory, compression);
      const assets = await makeAssets(own, { kernelSize: 20 * MIB, initramfsSize: 76 * MIB, compression });
      await registry.push(assets.directory, assets.tag, compression, assets.tag);
      const store = join(own, 'store');
      const output = join(own, 'out');
      const source = `${registry.host}/${compression}:${assets.tag}`;
      const pull: Candidate = {
        // The kernel: the smallest output for which the whole image is pulled.
        ...imager(own, ...buildArguments(own, source, output, 'kernel')),
        prepare: () => settle(store, output),
      };
      const fetched = join(own, 'fetched');
      const peer: Candidate = {
        command: ['sh', '-ec', fetchScript(assets, `http://${registry.host}/v2/${compression}/blobs`, fetched)],
        prepare: () => {
          settle(fetched);
          mkdirSync(fetched);
        },
      };
      const { candidate, peer: curl, ratio } = compare(pull, peer, runs);
      rows.push({
        what: `cold pull, ${compression === 'none' ? 'plain' : compression} layers`,
        ours: milliseconds(candidate.wall),
        peer: `curl and sha256sum of its blobs: ${milliseconds(curl.wall)}`,
        ...atMost(ratio, 1.2, ''),
      });
    }
    return rows;
  } finally {
    await registry.close();
  }
}

/** One blob after the other: curl to a file, then sha256sum of it. */
function fetchScript({ blobs }: SyntheticAssets, url: string, directory: string): string {
  return blobs
    .map(({ digest }) => {
      const hex = digest.slice('sha256:'.length);
      const file = join(directory, hex);
      return `curl -sSf -o '${file}' '${url}/${digest}'; echo '${hex}  ${file}' | sha256sum -c --quiet`;
    })
    .join('\n');
}

/** What a shell waits for before anything happens. */
function startUp({ directory, runs }: Bench): Row[] {
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
function install({ directory, runs }: Bench): Row[] {
  for (const name of ['package.json', 'package-lock.json', 'bin']) {
    cpSync(join(ROOT, name), join(directory, name), { recursive: true });
  }
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  // Types are the gate's business.
  const compile = ['-p', join(ROOT, 'tsconfig.build.json'), '--noCheck', '--outDir', join(directory, 'dist')];
  execFileSync(process.execPath, [compiler, ...compile], { stdio: 'pipe' });
  cpSync(join(ROOT, 'dist/imager.js'), join(directory, 'dist/imager.js'));
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

interface AssetSizes {
  readonly kernelSize: number;
  readonly initramfsSize: number;
  readonly compression: LayerCompression;
}

function makeAssets(directory: string, sizes: AssetSizes): Promise<SyntheticAssets> {
  return writeSyntheticAssets(join(directory, 'assets'), { ...sizes, architectures: [ARCHITECTURE] });
}

function isoArguments(directory: string, source: string, output: string): string[] {
  return [...buildArguments(directory, source, output, 'iso'), '--meta', `0xa=@${NETWORK_DOCUMENT}`];
}

function buildArguments(directory: string, source: string, output: string, kind: string): string[] {
  const inputs = ['--imager-image', source, '--store', join(directory, 'store')];
  const target = ['--arch', ARCHITECTURE, '--talos-version', 'v1.13.0', '--output-kind', kind, '-o', output];
  return ['iso', ...inputs, ...target, '--quiet'];
}

/** The imager of this checkout. What it keeps between runs, its compiled code, is kept in `directory`. */
function imager(directory: string, ...args: readonly string[]): Candidate {
  return {
    command: [process.execPath, join(ROOT, 'bin/imager.js'), ...args],
    environment: { XDG_CACHE_HOME: join(directory, 'cache') },
  };
}

/** Removes `paths` and lets the disk finish what earlier runs left it to do, so that no run pays for another. */
function settle(...paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { recursive: true, force: true });
  execFileSync('sync');
}

function onlyFile(directory: string): string {
  return join(directory, readdirSync(directory)[0]!);
}

/** Bytes that files and directories occupy. */
function diskUsage(directory: string): number {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(directory, name)).blocks * 512)
    .reduce((sum, size) => sum + size, 0);
}

function atMost(value: number, limit: number, unit: string, digits = 2): Pick<Row, 'result' | 'target' | 'isMet'> {
  return {
    result: `${value.toFixed(digits)}${unit}`,
    target: `<= ${limit}${unit}`,
    isMet: value <= limit,
  };
}

function notMeasured(what: string, reason: string): Row {
  return { what, ours: '', peer: '', result: 'not measured', target: '', isMet: undefined, note: reason };
}

function milliseconds(seconds: number): string {
  return `${(seconds * 1000).toFixed(0)} ms`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
