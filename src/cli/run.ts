/** The process around the commands: streams, signals, exit code. The only place that touches `process` globals. */
import process from 'node:process';
import { ImagerError } from '../errors.ts';
import { nodePlatform } from '../platform/node.ts';
import type { Io, Terminal } from './io.ts';
import { main } from './main.ts';
import { reportError } from './report-error.ts';

/**
 * Milliseconds in which a signal counts once: a terminal sends Ctrl-C to every process of the command, and the npm or old Node that started
 * this one passes it on.
 */
const SAME_SIGNAL = 250;

/** Runs one command line to its end and sets the exit code. The first signal stops the build, a second the process. */
export async function run(): Promise<void> {
  const platform = nodePlatform();
  const abort = new AbortController();
  let stopped = 0;
  const stop = (signal: NodeJS.Signals): void => {
    if (!abort.signal.aborted) {
      stopped = performance.now();
      abort.abort(new ImagerError('canceled', `stopped by ${signal}`));
    } else if (performance.now() - stopped > SAME_SIGNAL) {
      process.exit(130);
    }
  };
  process.on('SIGINT', stop).on('SIGTERM', stop).on('SIGHUP', stop);
  let lost: NodeJS.ErrnoException | undefined;
  process.stdout.on('error', (error) => {
    lost ??= error;
  });
  process.stderr.on('error', () => undefined);
  const io: Io = {
    platform,
    stdin: process.stdin,
    stdinIsTTY: process.stdin.isTTY === true,
    stdout: {
      ...terminalOf(process.stdout),
      sink: { write: (chunk) => writeFully(process.stdout, chunk, abort.signal) },
    },
    stderr: terminalOf(process.stderr),
    signal: abort.signal,
    now: () => Date.now() / 1000,
  };
  try {
    const code = await main(process.argv.slice(2), io);
    // A reader that has stopped reading must not keep us.
    if (abort.signal.aborted) process.exit(code);
    // Errors of a stream come a turn later than the write.
    await new Promise((resolve) => process.stdout.write('', resolve));
    // To a reader that has seen enough (`| head`) texts may be lost; of artefacts, which must be whole, the write itself fails.
    const isLost = code === 0 && lost !== undefined && lost.code !== 'EPIPE';
    process.exitCode = isLost ? reportError(outputError(lost!), io.stderr, 'text') : code;
  } finally {
    await platform.close();
    // An unread standard input would keep the process alive.
    process.stdin.unref?.();
  }
}

function outputError(cause: Error): ImagerError {
  return new ImagerError('io', `standard output: ${cause.message}`, { cause });
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

function writeFully(stream: NodeJS.WriteStream, chunk: Uint8Array, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    signal.addEventListener('abort', stop);
    stream.write(chunk, (error) => {
      signal.removeEventListener('abort', stop);
      if (error === null || error === undefined) resolve();
      else reject(outputError(error));
    });
  });
}
