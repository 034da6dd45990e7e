import { spawn } from 'node:child_process';
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
    const name = request.command;
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
    child.once('error', (cause) => {
      clearTimeout(timer);
      request.signal?.removeEventListener('abort', onAbort);
      reject(new ImagerError('dependency', `${name}: cannot be started: ${cause.message}`, { cause }));
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
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
