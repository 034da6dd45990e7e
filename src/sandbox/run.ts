/** Runs a program that nobody here wrote: with what it is given, bounded, and with an error that says which bound it met. */
import { ImagerError } from '../errors.ts';
import type { Platform, ProcessRequest, ProcessResult } from '../platform/types.ts';
import { bubblewrapArguments, type Mount } from './bubblewrap.ts';
import type { Sandbox } from './sandbox.ts';

export interface ContainedProgram {
  /** What messages call it. */
  readonly label: string;
  /** The program's own file; one of `mounts`. */
  readonly program: Mount;
  readonly args: readonly string[];
  readonly stdin: Uint8Array;
  readonly mounts: readonly Mount[];
  readonly limits: Limits;
  readonly signal?: AbortSignal | undefined;
}

export interface Limits {
  /** Milliseconds. */
  readonly timeout: number;
  /** Bytes of standard output, and of standard error. */
  readonly output: number;
  /** What its files may occupy. */
  readonly disk?: ProcessRequest['diskLimit'];
}

/** How the program sees a mount: in a sandbox below the root, without one where it lies. */
export function pathInside(sandbox: Sandbox, { name, host }: Mount): string {
  return sandbox.kind === 'bubblewrap' ? `/${name}` : host;
}

/**
 * Standard output of a program that ended with status 0. Throws `dependency` with the end of what it wrote to standard error for any other end, for a program that
 * cannot be started, and for one that met a bound; `canceled`.
 */
export async function runContained(
  platform: Platform,
  sandbox: Sandbox,
  contained: ContainedProgram,
): Promise<Uint8Array> {
  const { label, program, args, stdin, mounts, limits, signal } = contained;
  const command = [pathInside(sandbox, program), ...args];
  const [first, ...rest] =
    sandbox.kind === 'bubblewrap' ? [sandbox.program, ...bubblewrapArguments([program, ...mounts], command)] : command;
  const result = await platform.run({
    command: first!,
    args: rest,
    label,
    stdin,
    environment: {},
    workingDirectory: '/',
    timeout: limits.timeout,
    outputLimit: limits.output,
    alone: true,
    ...(limits.disk === undefined ? {} : { diskLimit: limits.disk }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (result.exitCode !== 0) throw failure(label, sandbox, result);
  return result.stdout;
}

/** What bubblewrap says when the program itself could not be started. */
const NOT_STARTED = /^bwrap: execvp [^:]*: (.*)$/m;

function failure(label: string, sandbox: Sandbox, { exitCode, stderr }: ProcessResult): ImagerError {
  const said = tailOf(stderr);
  if (sandbox.kind === 'plain') return ended(label, `exit status ${exitCode}`, said);
  const refusal = NOT_STARTED.exec(said)?.[1];
  if (refusal !== undefined) {
    return new ImagerError('dependency', `${label}: cannot be started: ${refusal}`, {
      hint: 'want a program for Linux on this architecture, linked statically: the sandbox has no libraries',
    });
  }
  // bubblewrap hands a signal on as a shell does.
  return exitCode > 128
    ? ended(label, `ended by signal ${exitCode - 128}`, said)
    : ended(label, `exit status ${exitCode}`, said);
}

function ended(label: string, how: string, said: string): ImagerError {
  return new ImagerError(
    'dependency',
    `${label}: ${how}${said === '' ? ', and nothing on standard error' : `: ${said}`}`,
  );
}

/** Bytes; the end says why. */
const TAIL = 2048;

/** The end of a text from a stranger: no control bytes reach the terminal. */
function tailOf(data: Uint8Array): string {
  const text = new TextDecoder().decode(data.subarray(Math.max(0, data.length - TAIL))).trim();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, '\ufffd');
}
