/** argv to a command: commander does the grammar, `flags.ts` says what there is. */
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ImagerError } from '../errors.ts';
import { FLAGS, type Flag, type FlagValues, GROUP_TITLES, RETIRED_FLAGS } from './flags.ts';

export type Invocation =
  | { readonly command: 'build'; readonly profile: string; readonly flags: FlagValues }
  | {
      readonly command: 'plan';
      readonly profile: string;
      readonly flags: FlagValues;
      readonly resolve: boolean;
      readonly hosts: boolean;
    }
  | { readonly command: 'store ls' | 'store verify'; readonly store: string | undefined; readonly json: boolean }
  | {
      readonly command: 'store prune';
      readonly store: string | undefined;
      readonly json: boolean;
      readonly olderThan: number;
    }
  | { readonly command: 'doctor'; readonly store: string | undefined; readonly json: boolean }
  /** Everything is said already: help, version, a completion script. */
  | { readonly command: 'answered' };

export interface Texts {
  readonly version: string;
  readonly profiles: readonly string[];
  /** Receives help, version and completion texts. */
  readonly print: (text: string) => void;
  /** Attaches completion to the finished command tree; given only when it is asked for, since it costs a library. */
  readonly complete?: (program: Command) => void;
}

const EXAMPLES = `
Examples:
  imager iso --meta 0xa=@network.yaml            ISO with a static network configuration inside
  imager iso --talos-version v1.12.4 --arch arm64
  imager plan iso --extra-kernel-arg console=ttyS0   what would be built, and from what
  imager iso -o - > talos.iso                    stream it
  imager - < profile.yaml                        a whole profile document
  imager iso --imager-image oci:./assets --offline
  source <(imager completion bash)

Exit status: 0 done, 1 usage, 2 invalid input, 3 unsupported, 5 registry or verification, 6 files, 7 image assembly.`;

/** Parses `args` (without program names). Throws `usage` for what upstream also answers with exit 1. */
export async function parseCommandLine(args: readonly string[], texts: Texts): Promise<Invocation> {
  let invocation: Invocation = { command: 'answered' };
  const program = buildProgram(texts, (parsed) => {
    invocation = parsed;
  });
  texts.complete?.(program);
  try {
    await program.parseAsync(withoutBooleanValues(args), { from: 'user' });
  } catch (error) {
    // Help and version texts end the parse by an exception in commander; for us they are an answer.
    if (error instanceof CommanderError && error.exitCode === 0) return { command: 'answered' };
    throw usageError(error);
  }
  return invocation;
}

function buildProgram(texts: Texts, found: (invocation: Invocation) => void): Command {
  const program = new Command('imager')
    .description('Builds Talos Linux boot assets: no container, no root, no external program.')
    .version(texts.version)
    .exitOverride()
    .configureOutput({ writeOut: texts.print, writeErr: () => undefined })
    .enablePositionalOptions();

  program.addArgument(profileArgument(texts)).addHelpText('after', EXAMPLES).allowExcessArguments(true);
  addFlags(program);
  program.action((_profile: unknown, _options: Options, command: Command) => {
    found({ command: 'build', profile: onlyProfile(command.args), flags: valuesOf(command.opts()) });
  });

  const plan = program
    .command('plan')
    .description('show what would be built, without building')
    .allowExcessArguments(true);
  plan.addArgument(profileArgument(texts));
  addFlags(plan);
  plan.option('--no-resolve', 'contact nothing; digests stay empty');
  plan.option('--hosts', 'print only the host names a build would contact');
  plan.action((_profile: unknown, _options: Options, command: Command) => {
    const options: Options = command.optsWithGlobals();
    const flags = valuesOf(options);
    const profile = onlyProfile(command.args);
    found({ command: 'plan', profile, flags, resolve: options.resolve !== false, hosts: options.hosts === true });
  });

  const store = program.command('store').description('look after the store of pulled content');
  const storeCommand = (name: string, description: string): Command =>
    store
      .command(name)
      .description(description)
      .option('--store <dir>', 'the store (default: $XDG_CACHE_HOME/bootwright)')
      .option('--json', 'print JSON');
  storeCommand('ls', 'list images, their sizes and when they were last used').action((options: Options) => {
    found({ command: 'store ls', ...storeOptions(options) });
  });
  storeCommand('verify', 'check every byte against its digest and drop what is damaged').action((options: Options) => {
    found({ command: 'store verify', ...storeOptions(options) });
  });
  storeCommand('prune', 'remove what was not used for a while')
    .addOption(new Option('--older-than <age>', 'like 12h or 30d').argParser(parseAge).default(30 * 86_400, '30d'))
    .action((options: Options) => {
      const olderThan = options.olderThan as number;
      found({ command: 'store prune', ...storeOptions(options), olderThan });
    });

  program
    .command('doctor')
    .description('say what of this machine the tool can use')
    .option('--store <dir>', 'the store (default: $XDG_CACHE_HOME/bootwright)')
    .option('--json', 'print JSON')
    .action((options: Options) => found({ command: 'doctor', ...storeOptions(options) }));

  // The real one is attached by `complete`; this entry makes the help list it without loading the library.
  if (texts.complete === undefined) {
    program.command('completion').description('print a completion script').argument('<shell>', 'bash, zsh or fish');
  }
  return program;
}

type Options = Readonly<Record<string, unknown>>;

function profileArgument(texts: Texts): Argument {
  // Overlays bring profiles of their own, so the choices are offered by help and completion but enforced by the build.
  return new Argument('[profile]', 'base profile, or - for a profile document on standard input')
    .choices([...texts.profiles, '-'])
    .argParser((value: string) => value);
}

function addFlags(command: Command): void {
  for (const flag of FLAGS) command.addOption(optionOf(flag));
  for (const [name, message] of Object.entries(RETIRED_FLAGS)) {
    const retired = new Option(`--${name} <value>`).hideHelp().argParser(() => {
      throw new ImagerError('unsupported', `flag --${name} ${message}`);
    });
    command.addOption(retired);
  }
}

function optionOf(flag: Flag): Option {
  const short = flag.short === undefined ? '' : `-${flag.short}, `;
  const value = flag.kind === 'switch' ? '' : ` <${flag.value}>`;
  const option = new Option(`${short}--${flag.name}${value}`, flag.help).helpGroup(GROUP_TITLES[flag.group]);
  if (flag.choices !== undefined) {
    option.choices(flag.choices);
    // A wrong value of a profile field is invalid input (exit 2) wherever it comes from, so the profile checks it.
    if (flag.mapsToProfile) option.argParser((value: string) => value);
  }
  if (flag.kind === 'list') option.argParser((one: string, before: string[] | undefined) => [...(before ?? []), one]);
  // `--no-validate` is a switch of its own, not the negation of one.
  if (option.negate) {
    option.negate = false;
    option.attributeName = () => flag.name;
  }
  return option;
}

function valuesOf(options: Options): FlagValues {
  const text = new Map<string, string>();
  const lists = new Map<string, readonly string[]>();
  const switches = new Set<string>();
  for (const flag of FLAGS) {
    const value = options[flag.name] ?? options[camelCase(flag.name)];
    if (value === undefined) continue;
    if (flag.kind === 'text') text.set(flag.name, String(value));
    else if (flag.kind === 'list') lists.set(flag.name, value as string[]);
    else if (value === true) switches.add(flag.name);
  }
  return { text, lists, switches };
}

function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function storeOptions(options: Options): { readonly store: string | undefined; readonly json: boolean } {
  return { store: typeof options.store === 'string' ? options.store : undefined, json: options.json === true };
}

function onlyProfile(args: readonly string[]): string {
  const [profile] = args;
  if (profile === undefined || args.length !== 1) {
    throw new ImagerError('usage', `accepts 1 argument, the profile: received ${args.length}`, {
      hint: 'imager --help lists the profiles',
    });
  }
  return profile;
}

const AGE_UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 7 * 86_400 };

/** `30d`, `12h`: seconds. */
function parseAge(text: string): number {
  const match = /^(\d{1,6})([smhdw])$/.exec(text);
  const unit = AGE_UNITS[match?.[2] ?? ''];
  if (match === null || unit === undefined)
    throw new InvalidArgumentError('want a number with s, m, h, d or w, like 30d.');
  return Number(match[1]) * unit;
}

/** `--insecure=false` as upstream's flag library takes it: commander's switches have no value. */
function withoutBooleanValues(args: readonly string[]): string[] {
  const switches = new Set(FLAGS.filter((flag) => flag.kind === 'switch').map((flag) => flag.name));
  const end = args.indexOf('--');
  return args.flatMap((arg, index) => {
    const match = /^--([a-z0-9-]+)=(.*)$/.exec(arg);
    if (match === null || !switches.has(match[1]!) || (end >= 0 && index > end)) return [arg];
    if (/^(1|t|T|true|TRUE|True)$/.test(match[2]!)) return [`--${match[1]}`];
    if (/^(0|f|F|false|FALSE|False)$/.test(match[2]!)) return [];
    throw new ImagerError('usage', `flag --${match[1]} "${match[2]}": want true or false`);
  });
}

function usageError(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  const message = error.message.replace(/^error: /, '').split('\n')[0]!;
  const [, suggestion] = /\(Did you mean (.+?)\?\)/.exec(error.message) ?? [];
  const hint = suggestion === undefined ? 'imager --help lists the flags' : `did you mean ${suggestion}?`;
  return new ImagerError('usage', message, { hint });
}
