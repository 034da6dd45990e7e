import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ImagerError } from '../errors.ts';
import type { ProcessRequest, ProcessResult } from './types.ts';

/** Runs a program with exactly the given arguments and environment, bounded in time and output, in a process group of its own. */
export async function runProcess(request: ProcessRequest): Promise<ProcessResult> {
  for (let tries = 1; ; tries++) {
    try {
      return await runOnce(request);
    } catch (error) {
      if (!isBusy(error) || tries === BUSY_TRIES) throw error;
    }
    await pause(BUSY_PAUSE);
  }
}

function runOnce(request: ProcessRequest): Promise<ProcessResult> {
  return new Promise((resolve, reject) => {
    const name = request.label ?? request.command;
    const canceled = (): ImagerError => new ImagerError('canceled', `${name}: stopped`);
    // Of a signal that has been there before nobody is told.
    if (request.signal?.aborted === true) throw canceled();
    const child = start(request, name);
    let failure: ImagerError | undefined;
    let linger: NodeJS.Timeout | undefined;
    // Who left the group cannot be killed with it; its end of the pipes would keep us waiting.
    const release = (): void => {
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const stop = (error: ImagerError): void => {
      failure ??= error;
      killGroup(child.pid);
      linger ??= setTimeout(release, LINGER);
    };
    const timer = setTimeout(
      () => stop(new ImagerError('dependency', `${name}: still running after ${request.timeout} ms, killed`)),
      request.timeout,
    );
    const onAbort = (): void => stop(canceled());
    request.signal?.addEventListener('abort', onAbort, { once: true });
    const stdout = collect(child.stdout, request.outputLimit, () =>
      stop(new ImagerError('dependency', `${name}: wrote more than ${request.outputLimit} bytes, killed`)),
    );
    const stderr = collect(child.stderr, request.outputLimit, () =>
      stop(new ImagerError('dependency', `${name}: wrote more than ${request.outputLimit} bytes of errors, killed`)),
    );
    const watch = watchDisk(request.diskLimit, (limit) =>
      stop(new ImagerError('dependency', `${name}: wrote more than ${limit} bytes of files, killed`)),
    );
    const settle = (): void => {
      clearTimeout(timer);
      clearTimeout(linger);
      clearInterval(watch);
    };
    const leavesBehind = (): void =>
      stop(new ImagerError('dependency', `${name}: left processes running when it ended, killed`));
    child.once('exit', () => {
      if (request.alone !== true) return;
      if (failure === undefined && groupLives(child.pid)) leavesBehind();
      linger ??= setTimeout(() => {
        leavesBehind();
        release();
      }, LINGER);
    });
    child.once('error', (cause) => {
      settle();
      request.signal?.removeEventListener('abort', onAbort);
      reject(notStarted(name, cause));
    });
    child.once('close', (code, signal) => {
      settle();
      request.signal?.removeEventListener('abort', onAbort);
      if (failure !== undefined) reject(failure);
      else if (code === null) reject(new ImagerError('dependency', `${name}: ended by ${signal}`));
      else resolve({ exitCode: code, stdout: stdout(), stderr: stderr() });
    });
    // A child that does not read its input closes the pipe; its exit code says what happened.
    child.stdin.on('error', () => undefined);
    child.stdin.end(request.stdin ?? new Uint8Array());
  });
}

/** Some reasons why a program cannot be started come as an event, others are thrown. */
function start({ command, args, environment, workingDirectory }: ProcessRequest, name: string): Child {
  try {
    return spawn(command, [...args], {
      env: { ...environment },
      cwd: workingDirectory,
      stdio: 'pipe',
      detached: true,
      shell: false,
    });
  } catch (cause) {
    throw notStarted(name, cause);
  }
}

type Child = ChildProcessWithoutNullStreams;

function notStarted(name: string, cause: unknown): ImagerError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ImagerError('dependency', `${name}: cannot be started: ${reason}`, { cause });
}

/** A program written a moment ago is busy for as long as a child that was forked meanwhile has not begun its own. */
const BUSY_TRIES = 10;
/** Milliseconds. */
const BUSY_PAUSE = 20;

function isBusy(error: unknown): boolean {
  const cause = error instanceof ImagerError ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause && cause.code === 'ETXTBSY';
}

/** Milliseconds for which pipes may stay open after a program was stopped, or after the end of one that has to end alone. */
const LINGER = 500;

/** Milliseconds between looks at what a program writes. */
const WATCH_INTERVAL = 100;

function watchDisk(limit: ProcessRequest['diskLimit'], onExcess: (bytes: number) => void): NodeJS.Timeout | undefined {
  if (limit === undefined) return undefined;
  return setInterval(() => {
    if (occupied(limit.directory) > limit.bytes) onExcess(limit.bytes);
  }, WATCH_INTERVAL);
}

/** Bytes on the disk, of what has a name: a file that is open without one is seen by nobody but the file system. What goes away while we look counts as nothing. */
function occupied(path: string): number {
  try {
    const stat = lstatSync(path);
    const own = stat.blocks * 512;
    if (!stat.isDirectory()) return own;
    return readdirSync(path).reduce((sum, name) => sum + occupied(join(path, name)), own);
  } catch {
    return 0;
  }
}

function groupLives(pid: number | undefined): boolean {
  if (pid === undefined) return false;
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

function collect(stream: NodeJS.ReadableStream, limit: number, onOverflow: () => void): () => Uint8Array {
  const parts: Buffer[] = [];
  let size = 0;
  stream.on('data', (part: Buffer) => {
    size += part.length;
    if (size > limit) onOverflow();
    else parts.push(part);
  });
  return () => new Uint8Array(Buffer.concat(parts));
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Already gone: its close event follows.
  }
}
