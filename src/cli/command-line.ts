/** argv to a command: commander does the grammar, `flags.ts` says what there is. */
import { Argument, Command, CommanderError, Option } from 'commander';
import { ImagerError } from '../errors.ts';
import { addCache, type CacheFlags } from './cache-flags.ts';
import { addConfig, type ConfigInvocation } from './config-flags.ts';
import { addDoctor, type DoctorFlags } from './doctor-flags.ts';
import { FLAGS, type Flag, type FlagValues, GROUP_TITLES, RETIRED_FLAGS } from './flags.ts';
import { addImages, addMirror, type ImageListFlags, type MirrorFlags } from './mirror-flags.ts';
import { addTrust, type TrustRefreshFlags } from './root-flags.ts';
import { addVerify, type VerifyFlags } from './verify-flags.ts';

/** How a plan is shown. */
export type PlanView = 'text' | 'json' | 'yaml' | 'hosts';

export type Invocation =
  | { readonly command: 'build'; readonly profile: string; readonly flags: FlagValues }
  | {
      readonly command: 'plan';
      readonly profile: string;
      readonly flags: FlagValues;
      readonly resolve: boolean;
      readonly view: PlanView;
    }
  | {
      readonly command: 'pxe';
      /** Absent only when the files are served without being written. */
      readonly directory: string | undefined;
      readonly profile: string;
      readonly flags: FlagValues;
      /** `ADDR[:PORT]`. */
      readonly serve: string | undefined;
      readonly baseUrl: string | undefined;
    }
  | { readonly command: 'store ls' | 'store verify'; readonly store: string | undefined; readonly json: boolean }
  | {
      readonly command: 'store prune';
      readonly store: string | undefined;
      readonly json: boolean;
      readonly olderThan: number;
    }
  | { readonly command: 'doctor'; readonly flags: DoctorFlags }
  | { readonly command: 'verify'; readonly flags: VerifyFlags }
  | { readonly command: 'trust refresh'; readonly flags: TrustRefreshFlags }
  | {
      readonly command: 'lock';
      readonly profiles: readonly string[];
      readonly flags: FlagValues;
      /** Renews the file in place of printing. */
      readonly update: boolean;
    }
  | { readonly command: 'cache create'; readonly flags: CacheFlags }
  | { readonly command: 'mirror' | 'mirror verify'; readonly flags: MirrorFlags }
  | { readonly command: 'images'; readonly flags: ImageListFlags }
  | ConfigInvocation
  /** Everything is said already: help, version, a completion script. */
  | { readonly command: 'answered' };

export interface Texts {
  readonly version: string;
  readonly profiles: readonly string[];
  /** Receives help, version and completion texts. */
  readonly print: (text: string) => void;
  /** Of the terminal; help is as wide. */
  readonly columns: () => number;
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
  imager iso --report _out/iso.intoto.json --report _out/iso.spdx.json --report _out/SHA256SUMS
  source <(imager completion bash)

Exit status: 0 done, 1 usage, 2 invalid input, 3 unsupported, 5 registry or verification, 6 files, 7 image assembly.`;

/** Parses `args` (without program names). Throws `usage` for what upstream also answers with exit 1. */
export async function parseCommandLine(args: readonly string[], texts: Texts): Promise<Invocation> {
  let invocation: Invocation = { command: 'answered' };
  // Completion asks for all of them.
  const isNamed = (command: string): boolean => texts.complete !== undefined || args.includes(command);
  const program = buildProgram(texts, isNamed, (parsed) => {
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

type Found = (invocation: Invocation) => void;

/** Whether the command line may be one of this command; others are listed, but take no flags: there are more than fifty for each. */
type IsNamed = (command: string) => boolean;

function buildProgram(texts: Texts, isNamed: IsNamed, found: Found): Command {
  const program = new Command('imager')
    .description('Builds Talos Linux boot assets: no container, no root, no external program.')
    .version(texts.version)
    .exitOverride()
    .configureOutput({
      writeOut: texts.print,
      writeErr: () => undefined,
      getOutHelpWidth: () => helpWidth(texts),
    })
    // The profiles get a paragraph of their own.
    .configureHelp({ argumentDescription: ({ description }) => description, minWidthToWrap: 30 })
    .addHelpText('after', () => `\nProfiles:\n${paragraph(texts.profiles, helpWidth(texts))}\n${EXAMPLES}`)
    .helpCommand(true)
    .enablePositionalOptions();
  addProfileCommand(program, texts, true).action((_profile, _options, command: Command) => {
    found({ command: 'build', profile: onlyProfile(command), flags: flagsOf(command) });
  });
  addPlan(program, texts, isNamed, found);
  addPxe(program, texts, isNamed, found);
  addStore(program, found);
  addLock(program, texts, isNamed, found);
  addVerify(program, (flags) => found({ command: 'verify', flags }));
  addTrust(program, (flags) => found({ command: 'trust refresh', flags }));
  addCache(program, (flags) => found({ command: 'cache create', flags }));
  addMirror(program, (command, flags) => found({ command, flags }));
  addImages(program, (flags) => found({ command: 'images', flags }));
  addConfig(program, found);
  addDoctor(program, (flags) => found({ command: 'doctor', flags }));
  // The real one is attached by `complete`; this entry makes the help list it without loading the library.
  if (texts.complete === undefined) {
    program.command('completion').description('print a completion script').argument('<shell>', 'bash, zsh or fish');
  }
  return program;
}

/** Arguments and flags of what takes a profile. More arguments than one are counted later, for upstream's message. */
function addProfileCommand(command: Command, texts: Texts, hasFlags: boolean): Command {
  command.addArgument(profileArgument(texts)).allowExcessArguments(true);
  if (!hasFlags) return command;
  for (const flag of FLAGS) command.addOption(optionOf(flag));
  for (const [name, message] of Object.entries(RETIRED_FLAGS)) {
    const retired = new Option(`--${name} <value>`).hideHelp().argParser(() => {
      throw new ImagerError('unsupported', `flag --${name}: ${message}`);
    });
    command.addOption(retired);
  }
  return command;
}

function addPlan(program: Command, texts: Texts, isNamed: IsNamed, found: Found): void {
  addProfileCommand(program.command('plan'), texts, isNamed('plan'))
    .description('show what would be built, without building')
    .option('--no-resolve', 'contact nothing; digests stay empty')
    .option('--hosts', 'print only the host names a build would contact')
    .option('--yaml', 'print only the finalised profile, as a profile document')
    .action((_profile, options: Options, command: Command) => {
      const flags = flagsOf(command);
      const view = planView({ ...options, json: flags.switches.has('json') });
      found({ command: 'plan', profile: onlyProfile(command), flags, resolve: options.resolve !== false, view });
    });
}

function addLock(program: Command, texts: Texts, isNamed: IsNamed, found: Found): void {
  addProfileCommand(program.command('lock'), texts, isNamed('lock'))
    .description('pin what builds of profiles are made of, by digest; builds with --locked are held to it')
    .option('--update', 'renew the lock file and show what changed')
    .action((_profile, { update }: { readonly update?: boolean }, command: Command) => {
      found({ command: 'lock', profiles: command.args, flags: flagsOf(command), update: update === true });
    });
}

function addPxe(program: Command, texts: Texts, isNamed: IsNamed, found: Found): void {
  const command = program.command('pxe').argument('[dir]', 'directory for the files; needed unless they are served');
  addProfileCommand(command, texts, isNamed('pxe'))
    .description('write or serve what a network boot needs: iPXE script, kernel, initramfs, UKI, checksums')
    .option('--serve <ADDR>', 'serve the files over HTTP at ADDR or ADDR:PORT (default port: 8080)')
    .option('--base-url <URL>', 'where the files will be; beside the script unless given')
    .action((_directory, _profile, options: Options, { args: [directory, profile = 'metal', ...more] }: Command) => {
      if (more.length > 0) throw usage(`pxe: want a directory and a profile, got ${2 + more.length} arguments`);
      const { serve, baseUrl } = options as { readonly serve?: string; readonly baseUrl?: string };
      found({ command: 'pxe', directory, profile, flags: flagsOf(command), serve, baseUrl });
    });
}

function addStore(program: Command, found: Found): void {
  const store = program.command('store').description('look after the store of pulled content');
  store.allowExcessArguments(true).action((_options, { args: [name] }: Command) => {
    throw usage(`store${name === undefined ? '' : ` ${name}`}: want ls, verify or prune`);
  });
  addStoreOptions(store.command('ls'))
    .description('list images, their sizes and when they were last used')
    .action((_options, command: Command) => found({ command: 'store ls', ...storeOptions(command) }));
  addStoreOptions(store.command('verify'))
    .description('check every byte against its digest and drop what is damaged')
    .action((_options, command: Command) => found({ command: 'store verify', ...storeOptions(command) }));
  addStoreOptions(store.command('prune'))
    .description('remove what was not used for a while')
    .addOption(new Option('--older-than <AGE>', 'like 12h or 30d').argParser(parseAge).default(30 * 86_400, '30d'))
    .action(({ olderThan }: { readonly olderThan: number }, command: Command) => {
      found({ command: 'store prune', ...storeOptions(command), olderThan });
    });
}

function addStoreOptions(command: Command): Command {
  return command
    .option('--store <DIR>', 'the store (default: $XDG_CACHE_HOME/bootwright)')
    .option('--json', 'print JSON');
}

type Options = Readonly<Record<string, unknown>>;

function profileArgument(texts: Texts): Argument {
  // Overlays bring profiles of their own, so the choices are offered by help and completion but enforced by the build.
  return new Argument('[profile]', 'base profile, or - for a profile document on standard input')
    .choices([...texts.profiles, '-'])
    .argParser((value: string) => value);
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

/** Flags may stand before the name of a command too: of lists all count, of the rest the later ones. */
function flagsOf(command: Command): FlagValues {
  const scopes: readonly Options[] = [command.parent?.opts() ?? {}, command.opts()];
  const text = new Map<string, string>();
  const lists = new Map<string, readonly string[]>();
  const switches = new Set<string>();
  for (const flag of FLAGS) {
    const values = scopes.map((options) => options[flag.name] ?? options[camelCase(flag.name)]);
    const given = values.filter((value) => value !== undefined);
    if (given.length === 0) continue;
    if (flag.kind === 'list') lists.set(flag.name, (given as string[][]).flat());
    else if (flag.kind === 'text') text.set(flag.name, checkedText(flag, String(given.at(-1))));
    else if (given.includes(true)) switches.add(flag.name);
  }
  return { text, lists, switches };
}

/** To upstream an empty profile flag is one that was not given; to our own it is a variable that somebody forgot to set. */
function checkedText(flag: Flag, value: string): string {
  if (value === '' && !flag.mapsToProfile) throw usage(`flag --${flag.name} "": want ${flag.value}`);
  return value;
}

function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function planView(options: Options): PlanView {
  const wanted = (['json', 'yaml', 'hosts'] as const).filter((view) => options[view] === true);
  if (wanted.length > 1) throw usage(`flags --${wanted.join(' and --')}: want one of them`);
  return wanted[0] ?? 'text';
}

/** Those of the commands above count too. */
function storeOptions(command: Command): { readonly store: string | undefined; readonly json: boolean } {
  const { store, json } = command.optsWithGlobals<Options>();
  return { store: typeof store === 'string' ? store : undefined, json: json === true };
}

/** Longer lines are hard to read. */
function helpWidth({ columns }: Texts): number {
  return Math.min(columns(), 120);
}

function paragraph(words: readonly string[], columns: number): string {
  let line = ' ';
  const lines: string[] = [];
  for (const word of words) {
    if (line.length + word.length >= columns) {
      lines.push(line);
      line = ' ';
    }
    line += ` ${word}`;
  }
  return [...lines, line].join('\n');
}

function usage(message: string, hint?: string): ImagerError {
  return new ImagerError('usage', message, hint === undefined ? {} : { hint });
}

function onlyProfile({ args }: Command): string {
  const [profile] = args;
  if (profile === undefined || args.length !== 1) {
    throw usage(`accepts 1 argument, the profile: received ${args.length}`, 'imager --help lists the profiles');
  }
  return profile;
}

const AGE_UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 7 * 86_400 };

/** `30d`, `12h`: seconds. */
function parseAge(text: string): number {
  const match = /^(\d{1,6})([smhdw])$/.exec(text);
  const unit = AGE_UNITS[match?.[2] ?? ''];
  if (match === null || unit === undefined)
    throw usage(`flag --older-than "${text}": want a number with s, m, h, d or w, like 30d`);
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
    throw usage(`flag --${match[1]} "${match[2]}": want true or false`);
  });
}

function usageError(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  const message = error.message.replace(/^error: /, '').split('\n')[0]!;
  const [, suggestion] = /\(Did you mean (.+?)\?\)/.exec(error.message) ?? [];
  return usage(message, suggestion === undefined ? 'imager --help lists the flags' : `did you mean ${suggestion}?`);
}
