/** The process around the commands: streams, signals, exit code. The only place that touches `process` globals. */
import process from 'node:process';
import { ImagerError } from '../errors.ts';
import { nodePlatform } from '../platform/node.ts';
import type { Io, Terminal } from './io.ts';
import { main } from './main.ts';

/** Runs one command line to its end and sets the exit code. The first SIGINT or SIGTERM stops the build, a second the process. */
export async function run(): Promise<void> {
  const platform = nodePlatform();
  const abort = new AbortController();
  const stop = (signal: NodeJS.Signals): void => {
    if (abort.signal.aborted) process.exit(130);
    process.stderr.write(`\nimager: ${signal}, stopping (again to stop at once)\n`);
    abort.abort(new ImagerError('canceled', `stopped by ${signal}`));
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  // A reader that has seen enough (`| head`) is no bug of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 6));
  const io: Io = {
    platform,
    stdin: process.stdin,
    stdinIsTTY: process.stdin.isTTY === true,
    stdout: { ...terminalOf(process.stdout), sink: { write: (chunk) => writeFully(process.stdout, chunk) } },
    stderr: terminalOf(process.stderr),
    signal: abort.signal,
    now: () => Date.now() / 1000,
  };
  try {
    process.exitCode = await main(process.argv.slice(2), io);
  } finally {
    await platform.close();
    // An unread standard input would keep the process alive.
    process.stdin.unref?.();
  }
}

function terminalOf(stream: NodeJS.WriteStream): Terminal {
  return {
    isTTY: stream.isTTY === true,
    get columns() {
      return stream.columns ?? 80;
    },
    stream,
    write(text) {
      stream.write(text);
    },
  };
}

function writeFully(stream: NodeJS.WriteStream, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(chunk, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(new ImagerError('io', `standard output: ${error.message}`, { cause: error }));
    });
  });
}
