/** `imager <profile>` and `imager plan <profile>`. */
import { posix } from 'node:path';
import { writeToFile, writeToStream } from '../bytes/write.ts';
import { ImagerError } from '../errors.ts';
import { parseMirrors } from '../oci/mirrors.ts';
import { parseAssetSource } from '../pipeline/asset-source.ts';
import { build } from '../pipeline/build.ts';
import { archiveDirectory } from '../pipeline/directory-archive.ts';
import { parseEpoch } from '../pipeline/epoch.ts';
import { type Plan, type PlanRequest, planBuild } from '../pipeline/plan.ts';
import { defaultStoreDirectory, type Workplace } from '../pipeline/workplace.ts';
import type { Chunks } from '../platform/types.ts';
import { ENROLMENT_FILES } from '../profiles/defaults.ts';
import { dumpProfile } from '../profiles/dump.ts';
import { parseProfile } from '../profiles/parse.ts';
import type { Profile } from '../profiles/profile.ts';
import { finaliseProfile, resolveProfile } from '../profiles/resolve.ts';
import { FLAGS, type FlagValues } from './flags.ts';
import type { Io } from './io.ts';
import { type MetaOrigin, profileFromFlags, readMetaFlags } from './profile-from-flags.ts';
import { chooseStyle, formatBytes, type Progress, startProgress } from './progress.ts';

/** A profile document is a page or two; embedded machine configuration may be inside. */
const PROFILE_LIMIT = 8 << 20;

interface Prepared {
  readonly workplace: Workplace;
  readonly request: PlanRequest;
  readonly progress: Progress;
  /** What the flags already made somebody wonder about. */
  readonly warnings: readonly string[];
}

export async function runBuild(profileName: string, flags: FlagValues, io: Io): Promise<number> {
  const prepared = await prepare(profileName, flags, io);
  const { workplace, request, progress } = prepared;
  try {
    const output = flags.text.get('output') ?? '_out';
    const archive = flags.switches.has('tar-to-stdout');
    if (output === '-' && archive)
      throw new ImagerError('usage', 'flag --tar-to-stdout: there is no directory with --output -');
    progress.note(`profile ready:\n${dumpProfile(request.profile).trimEnd()}`);
    const plan = await planBuild(workplace, request, { resolve: false });
    for (const warning of [...prepared.warnings, ...plan.warnings]) progress.warn(warning);
    progress.note(`kernel command line: ${plan.cmdline}`);
    const artifact = await build(workplace, request, plan);
    const report = (done: number): void =>
      progress.report({ task: `writing ${artifact.name}`, done, total: artifact.bytes.size, unit: 'bytes' });
    if (output === '-') {
      await writeToStream(io.stdout.sink, artifact.bytes, { signal: io.signal, onProgress: report });
      return 0;
    }
    await io.platform.files.makeDirectory(output);
    const path = posix.join(output, artifact.name);
    await writeToFile(io.platform.files, path, artifact.bytes, {
      signal: io.signal,
      onProgress: report,
      sync: flags.switches.has('sync'),
      temporarySuffix: `${process.pid}.partial`,
    });
    report(artifact.bytes.size);
    if (archive)
      for await (const chunk of await archiveDirectory(io.platform, output, io.signal))
        await io.stdout.sink.write(chunk);
    else if (flags.switches.has('json'))
      io.stdout.write(`${JSON.stringify(builtJson(path, artifact.bytes.size, plan), null, 2)}\n`);
    progress.note(`output asset path: ${path} (${formatBytes(artifact.bytes.size)})`);
    return 0;
  } finally {
    progress.finish();
  }
}

function builtJson(path: string, size: number, { cmdline, meta, outputs, warnings }: Plan): object {
  return { path, size, kind: outputs[0]!.kind, format: outputs[0]!.format, cmdline, meta, warnings };
}

export async function runPlan(
  invocation: {
    readonly profile: string;
    readonly flags: FlagValues;
    readonly resolve: boolean;
    readonly hosts: boolean;
  },
  io: Io,
): Promise<number> {
  const { flags, resolve, hosts } = invocation;
  const { workplace, request, progress, warnings } = await prepare(invocation.profile, flags, io);
  try {
    const decided = await planBuild(workplace, request, { resolve: resolve && !hosts });
    const plan = { ...decided, warnings: [...warnings, ...decided.warnings] };
    progress.finish();
    if (hosts) io.stdout.write(plan.hosts.map((host) => `${host}\n`).join(''));
    else io.stdout.write(flags.switches.has('json') ? `${JSON.stringify(plan, null, 2)}\n` : formatPlan(plan));
    return 0;
  } finally {
    progress.finish();
  }
}

async function prepare(profileName: string, flags: FlagValues, io: Io): Promise<Prepared> {
  const { platform } = io;
  const fromStdin = profileName === '-';
  const warnings: string[] = [];
  const meta = fromStdin ? [] : await readMetaFlags(flags, { files: platform.files, stdin: io.stdin });
  const given = fromStdin
    ? await profileFromStdin(flags, io, warnings)
    : await givenByFlags(profileName, flags, meta, io);
  const resolved = resolveProfile(given);
  const defaultVersion = flags.text.get('talos-version');
  if (fromStdin && defaultVersion !== undefined && resolved.version !== '' && resolved.version !== defaultVersion) {
    warnings.push(`flag --talos-version ${defaultVersion} has no effect: the profile says ${resolved.version}`);
  }
  const profile = finaliseProfile(resolved, {
    ...(defaultVersion === undefined ? {} : { defaultVersion }),
    existingSecureBootFiles: await existingEnrolmentFiles(io),
  });
  const progress = startProgress(chooseStyle(flags.text.get('progress'), flags.switches.has('quiet'), io.stderr), io);
  const assets = flags.text.get('imager-image');
  const grubDirectory = flags.text.get('grub-dir');
  return {
    progress,
    warnings,
    workplace: {
      platform,
      store: flags.text.get('store') ?? defaultStoreDirectory(platform),
      transport: {
        mirrors: parseMirrors(flags.lists.get('mirror') ?? []),
        insecure: flags.switches.has('insecure'),
        offline: flags.switches.has('offline'),
      },
      signal: io.signal,
      onProgress: (event) => progress.report(event),
    },
    request: {
      profile,
      epoch: parseEpoch(platform.environment.SOURCE_DATE_EPOCH),
      ...(assets === undefined ? {} : { assets: parseAssetSource(assets) }),
      ...(grubDirectory === undefined ? {} : { grubDirectory }),
      metaOrigins: new Map(meta.map(({ meta: { key }, origin }) => [key, origin])),
      skipNetworkCheck: flags.switches.has('no-validate'),
    },
  };
}

async function givenByFlags(
  name: string,
  flags: FlagValues,
  meta: readonly MetaOrigin[],
  io: Io,
): ReturnType<typeof profileFromFlags> {
  const { platform, stdin } = io;
  const inputs = { files: platform.files, stdin, hostArchitecture: platform.architecture };
  return profileFromFlags(name, flags, meta, inputs);
}

async function profileFromStdin(flags: FlagValues, io: Io, warnings: string[]): Promise<Profile> {
  if (io.stdinIsTTY)
    throw new ImagerError('usage', 'profile -: standard input is a terminal, want a profile document', {
      hint: 'imager - < profile.yaml',
    });
  const ignored = FLAGS.filter(({ name, mapsToProfile }) => mapsToProfile && isGiven(flags, name)).map(
    ({ name }) => `--${name}`,
  );
  if (ignored.length > 0)
    warnings.push(
      `with a profile on standard input ${ignored.join(', ')} ${ignored.length === 1 ? 'has' : 'have'} no effect`,
    );
  const parsed = parseProfile(await readText(io.stdin), { file: 'standard input' });
  warnings.push(...parsed.warnings);
  return parsed.profile;
}

function isGiven({ text, lists, switches }: FlagValues, name: string): boolean {
  return text.has(name) || lists.has(name) || switches.has(name);
}

async function existingEnrolmentFiles({ platform }: Io): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const path of Object.values(ENROLMENT_FILES)) {
    if ((await platform.files.info(path)) !== undefined) found.add(path);
  }
  return found;
}

async function readText(chunks: Chunks): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > PROFILE_LIMIT)
      throw new ImagerError(
        'invalid-input',
        `standard input: more than ${PROFILE_LIMIT} bytes, want a profile document`,
      );
    parts.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts));
  } catch (cause) {
    throw new ImagerError('invalid-input', 'standard input: not valid UTF-8, want a profile document', { cause });
  }
}

/** For people: the same facts as `--json`, as text. */
export function formatPlan(plan: Plan): string {
  const inputs = plan.inputs.map(
    ({ role, reference, path, digest }) => `  ${role}: ${reference ?? path}${digest === null ? '' : `\n    ${digest}`}`,
  );
  const meta = plan.meta.map(({ key, value }) => `  0x${key.toString(16)}: ${value.length} characters`);
  const section = (title: string, lines: readonly string[]): string =>
    lines.length === 0 ? '' : `${title}:\n${lines.join('\n')}\n`;
  const list = (title: string, lines: readonly string[]): string =>
    section(
      title,
      lines.map((line) => `  ${line.replaceAll('\n', '\n  ')}`),
    );
  return [
    list('profile', dumpProfile(plan.profile).trimEnd().split('\n')),
    list('kernel command line', [plan.cmdline]),
    section('meta', meta),
    section('inputs', inputs),
    list(
      'outputs',
      plan.outputs.map(({ path, kind, format }) => `${path} (${kind}, ${format})`),
    ),
    list('hosts', plan.hosts),
    list('warnings', plan.warnings),
    list('cannot be built yet', plan.unsupported),
  ].join('');
}
