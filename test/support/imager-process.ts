/** The command line as a process of its own: what a user runs, and what a signal can hit. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';

export const IMAGER: string = fileURLToPath(new URL('../../bin/imager.js', import.meta.url));

export interface ImagerOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default the one this test runs on. */
  readonly node?: string;
  /** Milliseconds after which a hanging process is killed, default 120 000. */
  readonly timeout?: number;
  /** Shell commands before the program takes over the same process: `umask 077`, `ulimit -f 100`. */
  readonly before?: string;
}

export interface Finished {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** Milliseconds. */
  readonly wall: number;
}

export interface ImagerProcess {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly finished: Promise<Finished>;
}

/** What every process of a test gets: of the user's environment `PATH` alone, and where tests keep compiled code. */
export function processEnvironment(): Record<string, string | undefined> {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  return { PATH, ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }) };
}

/** Nothing of the user's environment comes along; there is no `HOME` unless given. Standard input is closed. */
export function startImager(args: readonly string[], options: ImagerOptions = {}): ImagerProcess {
  const { node = process.execPath, timeout = 120_000, before, cwd } = options;
  const words = [node, IMAGER, ...args];
  const [command, ...rest] = before === undefined ? words : ['sh', '-c', `${before}; exec "$@"`, 'sh', ...words];
  const started = performance.now();
  const child = spawn(command!, rest, {
    env: { ...processEnvironment(), ...options.environment },
    stdio: 'pipe',
    timeout,
    killSignal: 'SIGKILL',
    ...(cwd === undefined ? {} : { cwd }),
  });
  child.stdin.on('error', () => undefined).end();
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) =>
      resolve({ code, signal, stdout: Buffer.concat(stdout), stderr, wall: performance.now() - started }),
    );
  });
  return { child, finished };
}

export function runImager(args: readonly string[], options: ImagerOptions = {}): Promise<Finished> {
  return startImager(args, options).finished;
}

/** Hex SHA-256 of a file. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 2 ** 20 }), hash);
  return hash.digest('hex');
}
