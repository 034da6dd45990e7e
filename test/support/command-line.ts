/** The command line in this process: `main` with standard streams made of memory. For processes and signals see `imager-process.ts`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { Terminal } from '../../src/cli/io.ts';
import { main } from '../../src/cli/main.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/types.ts';
import { assetFiles, writeFiles } from './pipeline.ts';

export interface Circumstances {
  readonly stdin?: string | Uint8Array;
  readonly stdinIsTTY?: boolean;
  readonly stdoutIsTTY?: boolean;
  readonly stderrIsTTY?: boolean;
  readonly columns?: number;
  readonly environment?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Seconds since 1970, default 0. */
  readonly now?: number;
  /** What is otherwise this machine. */
  readonly machine?: (real: Platform) => Platform;
}

export interface Outcome {
  readonly code: number;
  readonly stdout: Buffer;
  /** Standard output as text. */
  readonly text: string;
  readonly stderr: string;
}

/** Runs one command line. Nothing of the user's environment is in it, and its home cannot be made, by root neither, unless `HOME` is given. */
export async function imager(args: readonly string[], circumstances: Circumstances = {}): Promise<Outcome> {
  const { stdin = '', columns = 80, environment = {}, machine = (real) => real, now = 0 } = circumstances;
  const { signal = new AbortController().signal } = circumstances;
  const platform = nodePlatform({ HOME: '/dev/null/home', ...environment });
  const stdout: Uint8Array[] = [];
  const stderr: Uint8Array[] = [];
  const code = await main(args, {
    platform: machine(platform),
    stdin: chunksOf(typeof stdin === 'string' ? Buffer.from(stdin) : stdin),
    stdinIsTTY: circumstances.stdinIsTTY === true,
    stdout: {
      ...terminalInto(stdout, columns, circumstances.stdoutIsTTY === true),
      sink: { write: async (chunk) => void stdout.push(Uint8Array.from(chunk)) },
    },
    stderr: terminalInto(stderr, columns, circumstances.stderrIsTTY === true),
    signal,
    now: () => now,
  });
  await platform.close();
  const output = Buffer.concat(stdout);
  return { code, stdout: output, text: output.toString(), stderr: Buffer.concat(stderr).toString() };
}

/** Keeps what is written. */
export function terminalInto(into: Uint8Array[], columns: number, isTTY: boolean): Terminal {
  const stream = new Writable({
    write(chunk: Uint8Array, _encoding, done) {
      into.push(chunk);
      done();
    },
  });
  Object.assign(stream, { isTTY, columns, rows: 24 });
  return { isTTY, columns, stream, write: (text) => void stream.write(text) };
}

/** In pieces, as pipes give them. */
async function* chunksOf(data: Uint8Array): AsyncGenerator<Uint8Array> {
  const size = Math.max(1000, Math.ceil(data.length / 20));
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

export interface Scratch extends AsyncDisposable {
  readonly directory: string;
  readonly path: (name: string) => string;
}

export async function scratch(): Promise<Scratch> {
  const directory = await mkdtemp(join(tmpdir(), 'bootwright-cli-'));
  return {
    directory,
    path: (name) => join(directory, name),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

/** Small assets as a directory for `--imager-image dir:`. For amd64 ISOs it needs GRUB; one for arm64 can be built anywhere. */
export async function writeAssets(directory: string): Promise<string> {
  await writeFiles(directory, assetFiles());
  return `dir:${directory}`;
}
