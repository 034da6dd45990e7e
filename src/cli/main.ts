/** One command line from its words to its exit code. */
import type { Command } from 'commander';
import { BUILT_IN_PROFILE_NAMES } from '../profiles/built-in.ts';
import { VERSION } from '../version.ts';
import { type Invocation, parseCommandLine } from './command-line.ts';
import type { Io } from './io.ts';
import { reportError } from './report-error.ts';

/** Never throws: errors are printed, and the exit code says of which class they are. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  try {
    const print = (text: string): void => io.stdout.write(text);
    const complete = await completionFor(args);
    const texts = { version: VERSION, profiles: BUILT_IN_PROFILE_NAMES, print };
    return await runInvocation(
      await parseCommandLine(args, complete === undefined ? texts : { ...texts, complete }),
      io,
    );
  } catch (error) {
    return reportError(error, io.stderr, args.includes('--progress=json') ? 'json' : 'text');
  }
}

/** Commands are loaded when they are asked for: `--help` must not wait for an HTTP client. */
async function runInvocation(invocation: Invocation, io: Io): Promise<number> {
  switch (invocation.command) {
    case 'answered':
      return 0;
    case 'build':
      return (await import('./build-command.ts')).runBuild(invocation.profile, invocation.flags, io);
    case 'plan':
      return (await import('./build-command.ts')).runPlan(invocation, io);
    case 'store ls':
    case 'store verify':
    case 'store prune':
      return (await import('./store-command.ts')).runStore(invocation, io);
    case 'doctor':
      return (await import('./doctor.ts')).runDoctor(invocation, io);
  }
}

/** The completion library is loaded only for the two commands it adds. */
async function completionFor(args: readonly string[]): Promise<((program: Command) => void) | undefined> {
  if (args[0] !== 'completion' && args[0] !== 'complete') return undefined;
  const { default: attach } = await import('@bomb.sh/tab/commander');
  return (program) => {
    attach(program, { completionCommandName: 'completion' });
  };
}
