/** `imager cache create`: its arguments and flags. */

import { type Command, Option } from 'commander';
import { ImagerError } from '../errors.ts';
import { mergedOptions } from './merged-options.ts';
import { addTransportOptions, type TransportFlags } from './transport-flags.ts';

/** As given; absent where it was not. */
export interface CacheFlags extends TransportFlags {
  /** References, `@FILE` and `-`. */
  readonly images: readonly string[];
  /** `DIR` or `oci:DIR[:NAME]`. */
  readonly target: string;
  readonly arch?: string;
  readonly signatures: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly progress?: string;
}

const EXAMPLES = `
Examples:
  talosctl image default | imager cache create - cache
  imager cache create @images.txt registry.example/team/app:v3 cache --arch amd64,arm64
  imager cache create @images.txt oci:cache-image      for other tools, and to be pushed
  imager metal --image-cache cache

A list has one reference in each line; empty lines and what begins with # do not count.`;

/** Attaches the command; `found` receives what was given. */
export function addCache(program: Command, found: (flags: CacheFlags) => void): void {
  const cache = program.command('cache').description('make caches of images that machines then need not pull');
  cache.allowExcessArguments(true).action((_options, { args: [name] }: Command) => {
    throw new ImagerError('usage', `cache${name === undefined ? '' : ` ${name}`}: want create`);
  });
  addTransportOptions(cache.command('create'))
    .description('fetch images into a cache, or go on with one')
    .usage('[options] <image...> <dir>')
    // One argument to commander, which lets only the last take several words.
    .argument(
      '[images...]',
      'references, @FILE with a list, - for a list on standard input; last the directory of the cache, or oci:DIR[:NAME] for an image of it in an OCI layout',
    )
    .option('--arch <ARCH>', 'amd64, arm64, or amd64,arm64 for both (default: of this machine)')
    .option('--no-signatures', 'leave out what cosign has signed of the images')
    .option('--json', 'print what is in the cache as JSON')
    .option('-q, --quiet', 'no progress, only errors')
    .addOption(
      new Option('--progress <STYLE>', 'progress on standard error').choices(['auto', 'bars', 'plain', 'json', 'none']),
    )
    .addHelpText('after', EXAMPLES)
    .action((_images: unknown, _options: unknown, command: Command) => {
      found({ ...mergedOptions<Omit<CacheFlags, 'images' | 'target'>>(command), ...argumentsOf(command) });
    });
}

/** The last is the target. */
function argumentsOf({ args }: Command): Pick<CacheFlags, 'images' | 'target'> {
  const target = args.at(-1);
  if (target === undefined || args.length < 2) {
    throw new ImagerError(
      'usage',
      `cache create: want images and a directory, got ${args.length} argument${args.length === 1 ? '' : 's'}`,
      {
        hint: 'imager cache create @images.txt cache',
      },
    );
  }
  return { images: args.slice(0, -1), target };
}
