/** What foreign programs are kept in: namespaces made by bubblewrap where that works, a bare child process elsewhere. */
import { ImagerError } from '../errors.ts';
import type { Platform } from '../platform/types.ts';
import { bubblewrapArguments } from './bubblewrap.ts';

export type Sandbox =
  | {
      readonly kind: 'bubblewrap';
      /** Path of `bwrap`. */
      readonly program: string;
    }
  | {
      readonly kind: 'plain';
      /** Why nothing better is there. */
      readonly reason: string;
    };

/** A name on its own is looked for here when there is no PATH. */
const USUAL_DIRECTORIES = '/usr/local/bin:/usr/bin:/bin';

const PROBE_TIMEOUT = 10_000;
const PROBE_OUTPUT = 64 * 1024;

/** The best there is: bubblewrap counts only once it has made a sandbox here, which many containers and kernels refuse. Throws `canceled`. */
export async function findSandbox(platform: Platform, signal?: AbortSignal): Promise<Sandbox> {
  const program = await findProgram(platform, 'bwrap');
  if (program === undefined) return { kind: 'plain', reason: 'bubblewrap (bwrap) is not installed' };
  const refusal = await probe(platform, program, signal);
  return refusal === undefined ? { kind: 'bubblewrap', program } : { kind: 'plain', reason: refusal };
}

async function findProgram({ files, environment }: Platform, name: string): Promise<string | undefined> {
  const directories = (environment.PATH ?? USUAL_DIRECTORIES).split(':').filter((path) => path.startsWith('/'));
  for (const directory of directories) {
    const path = `${directory}/${name}`;
    const info = await files.info(path);
    if (info?.kind === 'file' && (info.mode & 0o111) !== 0) return path;
  }
  return undefined;
}

/** Has bubblewrap start itself inside; why it could not. */
async function probe(
  platform: Platform,
  program: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const inside = { name: 'bwrap', host: program, writable: false };
  // It is linked dynamically, so it cannot run in there without its libraries; that it is found and refused is all we need to know.
  const args = bubblewrapArguments([inside], ['/bwrap', '--version']);
  try {
    const { exitCode, stderr } = await platform.run({
      command: program,
      args,
      environment: {},
      timeout: PROBE_TIMEOUT,
      outputLimit: PROBE_OUTPUT,
      ...(signal === undefined ? {} : { signal }),
    });
    const said = new TextDecoder().decode(stderr).trim();
    const isInside = exitCode === 0 || said.includes('execvp /bwrap');
    return isInside
      ? undefined
      : `bwrap cannot make a sandbox here: ${said.split('\n')[0] || `exit status ${exitCode}`}`;
  } catch (error) {
    if (!(error instanceof ImagerError) || error.code === 'canceled') throw error;
    return `bwrap cannot make a sandbox here: ${error.message}`;
  }
}

/** One line, for people. */
export function describeSandbox(sandbox: Sandbox): string {
  return sandbox.kind === 'bubblewrap'
    ? `bubblewrap (${sandbox.program}): no network, no files but its own, no environment`
    : `none (${sandbox.reason}): a child process with an empty environment, bounded in time and output, but with network and files`;
}
