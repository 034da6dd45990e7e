/** `imager doctor`: its argument and flags. */

import type { Command } from 'commander';
import { mergedOptions } from './merged-options.ts';
import { addTransportOptions, type TransportFlags } from './transport-flags.ts';

/** As given; absent where it was not. */
export interface DoctorFlags extends TransportFlags {
  /** A reference. */
  readonly image?: string;
  readonly store?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  imager doctor
  imager doctor ghcr.io/siderolabs/imager:v1.13.9 --mirror ghcr.io=harbor.example/ghcr
  imager doctor registry.example/team/imager:v1 --hosts-dir /etc/containerd/certs.d --offline`;

/** Attaches the command; `found` receives what was given. */
export function addDoctor(program: Command, found: (flags: DoctorFlags) => void): void {
  addTransportOptions(program.command('doctor'))
    .description('say what of this machine the tool can use, and how an image would be reached')
    .argument('[image]', 'a reference: its endpoints, what each would be shown and what it answers')
    .option('--offline', 'contact nothing')
    .option('--store <DIR>', 'the store (default: $XDG_CACHE_HOME/bootwright)')
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLES)
    .action((image: string | undefined, _options: unknown, command: Command) => {
      // Flags that builds have too are accepted before the name of the command.
      const flags = mergedOptions<Omit<DoctorFlags, 'image'>>(command);
      found(image === undefined ? flags : { ...flags, image });
    });
}
