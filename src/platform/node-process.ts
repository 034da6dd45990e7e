import { spawn } from 'node:child_process';
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ImagerError } from '../errors.ts';
import type { ProcessRequest, ProcessResult } from './types.ts';

/** Runs a program with exactly the given arguments and environment, bounded in time and output, in a process group of its own. */
export function runProcess(request: ProcessRequest): Promise<ProcessResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(request.command, [...request.args], {
      env: { ...request.environment },
      cwd: request.workingDirectory,
      stdio: 'pipe',
      detached: true,
      shell: false,
    });
    let failure: ImagerError | undefined;
    const stop = (error: ImagerError): void => {
      failure ??= error;
      killGroup(child.pid);
    };
    const name = request.label ?? request.command;
    const timer = setTimeout(
      () => stop(new ImagerError('dependency', `${name}: still running after ${request.timeout} ms, killed`)),
      request.timeout,
    );
    const onAbort = (): void => stop(new ImagerError('canceled', `${name}: stopped`));
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
    let linger: NodeJS.Timeout | undefined;
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
      // Who left the group cannot be killed with it; its end of the pipes would keep us waiting.
      linger = setTimeout(() => {
        leavesBehind();
        child.stdout.destroy();
        child.stderr.destroy();
      }, LINGER);
    });
    child.once('error', (cause) => {
      settle();
      request.signal?.removeEventListener('abort', onAbort);
      reject(new ImagerError('dependency', `${name}: cannot be started: ${cause.message}`, { cause }));
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

/** Milliseconds for which pipes may stay open after the end of a program that has to end alone. */
const LINGER = 500;

/** Milliseconds between looks at what a program writes. */
const WATCH_INTERVAL = 100;

function watchDisk(limit: ProcessRequest['diskLimit'], onExcess: (bytes: number) => void): NodeJS.Timeout | undefined {
  if (limit === undefined) return undefined;
  return setInterval(() => {
    if (occupied(limit.directory) > limit.bytes) onExcess(limit.bytes);
  }, WATCH_INTERVAL);
}

/** Bytes on the disk. What goes away while we look counts as nothing. */
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
