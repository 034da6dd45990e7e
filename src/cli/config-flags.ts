/** `imager config`: its subcommands, arguments and flags. */

import { type Command, Option } from 'commander';
import { mergedOptions } from './merged-options.ts';

/** As given; absent where it was not. */
export interface ConfigFlags {
  readonly mode?: 'metal' | 'cloud' | 'container';
  readonly talosVersion?: string;
  readonly strict?: boolean;
  readonly partial?: boolean;
  readonly local?: boolean;
  readonly json?: boolean;
}

export type ConfigInvocation =
  | { readonly command: 'config validate'; readonly files: readonly string[]; readonly flags: ConfigFlags }
  | { readonly command: 'config schema'; readonly flags: ConfigFlags };

const EXAMPLES = `
Examples:
  imager config validate controlplane.yaml worker.yaml
  talosctl gen config demo https://10.0.0.1:6443 -t worker -o - | imager config validate - --mode cloud
  imager config validate --partial --talos-version 1.13 network.yaml`;

/** Attaches the commands; `found` receives what was given. */
export function addConfig(program: Command, found: (invocation: ConfigInvocation) => void): void {
  const config = program.command('config').description('check machine configurations');
  config
    .command('validate')
    .description('find everything a node would refuse')
    .argument('<file...>', 'machine configurations, each a stream of documents; - is standard input')
    .addOption(
      new Option('--mode <MODE>', 'how the node runs').choices(['metal', 'cloud', 'container']).default('metal'),
    )
    .option('--talos-version <VERSION>', 'the Talos that will read it (default: the newest known)')
    .option('--strict', 'warnings about the root document are errors')
    .option('--partial', 'no warning when the root document is missing')
    .option('--local', 'do not check the image tags of Kubernetes')
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLES)
    .action((files: readonly string[], _options: unknown, command: Command) => {
      found({ command: 'config validate', files, flags: mergedOptions<ConfigFlags>(command) });
    });
  config
    .command('schema')
    .description('print a JSON schema for editors')
    .option('--talos-version <VERSION>', 'the Talos that will read the documents (default: the newest known)')
    .action((_options: unknown, command: Command) => {
      found({ command: 'config schema', flags: mergedOptions<ConfigFlags>(command) });
    });
}
