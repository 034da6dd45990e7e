/** Extensions as squashfs images, the first time: afterwards they come from the store. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { skipWithout } from '../test/support/tools.ts';
import { atMost, type Bench, MIB, mebibytes, notMeasured, type Row } from './figure.ts';
import { type Candidate, compare, measure } from './measure.ts';

/** Those of upstream, for new releases and old ones. */
export const SETTINGS: Readonly<Record<'zstd' | 'xz', readonly string[]>> = {
  zstd: ['-comp', 'zstd', '-Xcompression-level', '18'],
  xz: ['-comp', 'xz', '-Xdict-size', '100%'],
};

const SCRIPT = fileURLToPath(new URL('squash-tree.ts', import.meta.url));

/** What five extensions with drivers and tools come to, unpacked. */
export const EXTENSIONS = 5;
const LARGE_FILES = 6;
const LARGE_SIZE: number = 16 * MIB;
const SMALL_FILES = 1000;
/** Each takes some seconds: fewer runs than others have tell enough. */
const MAXIMUM_RUNS = 3;

export function squashfs({ directory, runs }: Bench): Row[] {
  const missing = skipWithout('mksquashfs');
  if (missing !== false) return [notMeasured('squashfs of extensions', missing)];
  const all = join(directory, 'extensions');
  for (let index = 0; index < EXTENSIONS; index++) writeExtension(join(all, String(index)), index);
  const one = join(all, '0');
  const rows = (['zstd', 'xz'] as const).flatMap((name): Row[] => {
    const image = join(directory, `${name}.squashfs`);
    const peer: Candidate = {
      command: ['mksquashfs', one, image, '-all-root', '-noappend', '-no-progress', '-quiet', ...SETTINGS[name]],
      prepare: () => rmSync(image, { force: true }),
    };
    const {
      candidate,
      peer: theirs,
      ratio,
    } = compare(squash(one, name, directory), peer, Math.min(runs, MAXIMUM_RUNS));
    const ourSize = Number(
      execFileSync(process.execPath, squash(one, name, directory).command.slice(1), { encoding: 'utf8' }),
    );
    return [
      {
        what: `${name} squashfs of an extension, first time`,
        ours: `${candidate.wall.toFixed(1)} s`,
        peer: `mksquashfs ${SETTINGS[name].slice(2).join(' ')}: ${theirs.wall.toFixed(1)} s`,
        ...atMost(ratio, 1, ''),
      },
      {
        what: 'its size',
        ours: mebibytes(ourSize),
        peer: `mksquashfs: ${mebibytes(statSync(image).size)}`,
        ...atMost(ourSize / statSync(image).size, 1.05, ''),
      },
    ];
  });
  const { memory, wall } = measure(squash(all, 'zstd', directory));
  const size = (LARGE_FILES * LARGE_SIZE + SMALL_FILES * SMALL_SIZE) * EXTENSIONS;
  return [
    ...rows,
    {
      what: `memory for all ${EXTENSIONS}, ${(size / MIB).toFixed(0)} MiB`,
      ours: `${memory.toFixed(0)} MiB, ${wall.toFixed(1)} s`,
      peer: '',
      ...atMost(memory, 200, ' MiB', 0),
    },
  ];
}

function squash(tree: string, name: keyof typeof SETTINGS, directory: string): Candidate {
  return { command: [process.execPath, SCRIPT, tree, name, join(directory, 'store')] };
}

const SMALL_SIZE = 12_000;

/** Programs and texts: large files are put together from pieces of this process's executable, so that they are of its kind and yet no two are the same. */
export function writeExtension(directory: string, seed: number): void {
  mkdirSync(directory, { recursive: true });
  const program = readFileSync(process.execPath);
  let state = seed + 1;
  const draw = (below: number): number => {
    // Numbers of a linear congruential generator: the low bits are not random, the high ones will do.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let file = 0; file < LARGE_FILES; file++) {
    const pieces = Array.from({ length: LARGE_SIZE / MIB }, () => {
      const at = draw(program.length - MIB);
      return program.subarray(at, at + MIB);
    });
    writeFileSync(join(directory, `program-${file}`), Buffer.concat(pieces));
  }
  for (let file = 0; file < SMALL_FILES; file++) {
    const at = draw(program.length - SMALL_SIZE);
    writeFileSync(join(directory, `data-${file}`), program.subarray(at, at + SMALL_SIZE));
  }
}
