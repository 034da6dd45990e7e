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
  const stdout = onDemand(() =>
    process.stdout.on('error', (error) => {
      lost ??= error;
    }),
  );
  const stderr = onDemand(() => process.stderr.on('error', () => undefined));
  const stdin = onDemand(() => process.stdin);
  const io: Io = {
    platform,
    get stdin() {
      return stdin.open();
    },
    get stdinIsTTY() {
      return stdin.open().isTTY === true;
    },
    stdout: Object.assign(terminalOf(stdout), {
      sink: { write: (chunk: Uint8Array) => writeFully(stdout.open(), chunk, abort.signal) },
    }),
    stderr: terminalOf(stderr),
    signal: abort.signal,
    now: () => Date.now() / 1000,
  };
  try {
    const code = await main(process.argv.slice(2), io);
    // A reader that has stopped reading must not keep us.
    if (abort.signal.aborted) process.exit(code);
    // Errors of a stream come a turn later than the write.
    if (stdout.isOpen()) await new Promise((resolve) => process.stdout.write('', resolve));
    // To a reader that has seen enough (`| head`) texts may be lost; of artefacts, which must be whole, the write itself fails.
    const isLost = code === 0 && lost !== undefined && lost.code !== 'EPIPE';
    process.exitCode = isLost ? reportError(outputError(lost!), io.stderr, 'text') : code;
  } finally {
    await platform.close();
    // An unread standard input would keep the process alive.
    if (stdin.isOpen()) process.stdin.unref?.();
  }
}

function outputError(cause: Error): ImagerError {
  return new ImagerError('io', `standard output: ${cause.message}`, { cause });
}

/** A standard stream. To open one takes milliseconds, and a quiet build needs none. */
interface OnDemand<Stream> {
  readonly open: () => Stream;
  readonly isOpen: () => boolean;
}

function onDemand<Stream>(open: () => Stream): OnDemand<Stream> {
  let opened: Stream | undefined;
  return {
    open: () => {
      opened ??= open();
      return opened;
    },
    isOpen: () => opened !== undefined,
  };
}

function terminalOf(stream: OnDemand<NodeJS.WriteStream>): Terminal {
  return {
    get isTTY() {
      return stream.open().isTTY === true;
    },
    get columns() {
      return stream.open().columns ?? 80;
    },
    get stream() {
      return stream.open();
    },
    write(text) {
      stream.open().write(text);
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
