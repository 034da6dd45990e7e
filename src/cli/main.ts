/** One command line from its words to its exit code. */
import { BUILT_IN_PROFILE_NAMES } from '../profiles/built-in.ts';
import { VERSION } from '../version.ts';
import { type Invocation, parseCommandLine } from './command-line.ts';
import type { Io } from './io.ts';
import { reportError } from './report-error.ts';

/** Never throws: errors are printed, and the exit code says of which class they are. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  try {
    return await runInvocation(await parse(args, io), io);
  } catch (error) {
    // After a signal whatever fails fails because of it.
    const cause = io.signal.aborted ? io.signal.reason : error;
    return reportError(cause, io.stderr, wantsJsonLines(args) ? 'json' : 'text');
  }
}

async function parse(args: readonly string[], { stdout }: Io): Promise<Invocation> {
  const print = (text: string): void => stdout.write(text);
  const texts = { version: VERSION, profiles: BUILT_IN_PROFILE_NAMES, columns: () => stdout.columns, print };
  if (args[0] !== 'completion' && args[0] !== 'complete') return parseCommandLine(args, texts);
  // A library that only these two commands need.
  const { addCompletion, askForPath } = await import('./completion.ts');
  if (askForPath(args, print)) return { command: 'answered' };
  return parseCommandLine(args, { ...texts, complete: (program) => addCompletion(program, args, print) });
}

/** Commands are loaded when they are asked for: `--help` must not wait for an HTTP client. */
async function runInvocation(invocation: Invocation, io: Io): Promise<number> {
  switch (invocation.command) {
    case 'answered':
      return 0;
    case 'build':
      return runBuild(invocation, io);
    case 'plan':
      return (await import('./plan-command.ts')).runPlan(invocation, io);
    case 'pxe':
      return (await import('./pxe-command.ts')).runPxe(invocation, io);
    case 'store ls':
    case 'store verify':
    case 'store prune':
      return (await import('./store-command.ts')).runStore(invocation, io);
    case 'cache create':
      return (await import('./cache-command.ts')).runCache(invocation.flags, io);
    case 'mirror':
      return (await import('./mirror-command.ts')).runMirror(invocation.flags, io);
    case 'mirror verify':
      return (await import('./mirror-command.ts')).runMirrorVerify(invocation.flags, io);
    case 'images':
      return (await import('./images-command.ts')).runImages(invocation.flags, io);
    case 'config validate':
    case 'config schema':
      return (await import('./config-command.ts')).runConfig(invocation, io);
    case 'lock':
      return (await import('./lock-command.ts')).runLock(invocation, io);
    case 'verify':
      return (await import('./verify-command.ts')).runVerify(invocation.flags, io);
    case 'trust refresh':
      return (await import('./trust-command.ts')).runTrustRefresh(invocation.flags, io);
    case 'doctor':
      return (await import('./doctor.ts')).runDoctor(invocation.flags, io);
  }
}

/** Also of a command line that could not be parsed. */
function wantsJsonLines(args: readonly string[]): boolean {
  return args.some((arg, index) => arg === '--progress=json' || (arg === 'json' && args[index - 1] === '--progress'));
}

/** An installer that is to be more than a file has a command of its own. */
async function runBuild(
  { profile, flags }: Extract<Invocation, { readonly command: 'build' }>,
  io: Io,
): Promise<number> {
  if ((await import('./installer-output.ts')).wantsImage(flags)) {
    return (await import('./installer-command.ts')).runInstaller(profile, flags, io);
  }
  return (await import('./build-command.ts')).runBuild(profile, flags, io);
}
