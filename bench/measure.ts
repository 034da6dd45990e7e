/** Whole-process measurements: wall time as seen from outside and peak memory as the operating system accounts it, in turns with a peer. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Measured {
  /** Seconds. */
  readonly wall: number;
  /** MiB, of the largest single process. */
  readonly memory: number;
}

export interface Candidate {
  readonly command: readonly string[];
  /** Added to this process's own. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Runs untimed before each run. */
  readonly prepare?: () => void;
}

/** One run under `/usr/bin/time` (package `time`), whose own clock ticks in hundredths. Throws when the command fails. */
export function measure({ command, environment, prepare }: Candidate): Measured {
  prepare?.();
  const directory = mkdtempSync(join(tmpdir(), 'bench-'));
  const report = join(directory, 'time');
  try {
    const started = performance.now();
    const result = spawnSync('/usr/bin/time', ['-f', '%M', '-o', report, ...command], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...environment },
    });
    const wall = (performance.now() - started) / 1000;
    if (result.error !== undefined) throw result.error;
    if (result.status !== 0) throw new Error(`${command.join(' ')}: exit ${result.status}\n${result.stderr}`);
    return { wall, memory: Number(readFileSync(report, 'utf8').trim().split('\n').at(-1)) / 1024 };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export interface Comparison {
  readonly candidate: Measured;
  readonly peer: Measured;
  /** Median of the ratios of neighbouring runs: holds when the machine's speed drifts. */
  readonly ratio: number;
}

/** Both in turn, A B A B ..., after one warm-up of each; medians. */
export function compare(candidate: Candidate, peer: Candidate, runs: number): Comparison {
  measure(candidate);
  measure(peer);
  const pairs = Array.from({ length: runs }, () => [measure(candidate), measure(peer)] as const);
  return {
    candidate: medianOf(pairs.map(([figure]) => figure)),
    peer: medianOf(pairs.map(([, figure]) => figure)),
    ratio: median(pairs.map(([a, b]) => a.wall / b.wall)),
  };
}

/** After one warm-up; medians. */
export function repeat(candidate: Candidate, runs: number): Measured {
  measure(candidate);
  return medianOf(Array.from({ length: runs }, () => measure(candidate)));
}

function medianOf(figures: readonly Measured[]): Measured {
  return { wall: median(figures.map(({ wall }) => wall)), memory: median(figures.map(({ memory }) => memory)) };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Rows of text cells as an aligned table. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
