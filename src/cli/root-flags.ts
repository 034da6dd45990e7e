/** Where the trusted root of keyless signatures comes from, as commands take it. */
import type { Command } from 'commander';
import { ImagerError } from '../errors.ts';

/** As given; absent where it was not. */
export interface RootFlags {
  readonly tufUrl?: string | undefined;
  readonly tufRoot?: string | undefined;
  readonly store?: string | undefined;
}

/** Of `imager trust refresh`. */
export interface TrustRefreshFlags extends RootFlags {
  readonly offline?: boolean;
  readonly json?: boolean;
}

const REFRESH_EXAMPLES = `
Examples:
  imager trust refresh
  imager trust refresh --tuf-url https://tuf.example --tuf-root root.json`;

/** All but `--store`, which most commands have anyway. */
export function addRootOptions(command: Command): Command {
  return command
    .option('--tuf-url <URL>', "TUF repository the trusted root is fetched from (default: the public instance's)")
    .option('--tuf-root <FILE>', "root.json it is followed from (default: the public instance's)");
}

/** Attaches `imager trust refresh`; `found` receives what was given. */
export function addTrust(program: Command, found: (flags: TrustRefreshFlags) => void): void {
  const trust = program.command('trust').description('look after whom keyless signatures are believed from');
  trust.allowExcessArguments(true).action((_options, { args: [name] }: Command) => {
    throw new ImagerError('usage', `trust${name === undefined ? '' : ` ${name}`}: want refresh`);
  });
  addRootOptions(trust.command('refresh'))
    .description('fetch the trusted root from its TUF repository now; builds do so when theirs is a month old')
    .option('--store <DIR>', 'where it is kept (default: $XDG_CACHE_HOME/bootwright)')
    .option('--json', 'print JSON')
    .addHelpText('after', REFRESH_EXAMPLES)
    .action((_options: unknown, command: Command) => found(command.optsWithGlobals<TrustRefreshFlags>()));
}
