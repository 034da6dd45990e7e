/** `imager <profile>`: plan, build, and bring the artefact to where it belongs. */
import { type WriteOptions, writeToStream } from '../bytes/write.ts';
import { ImagerError } from '../errors.ts';
import type { Artifact } from '../pipeline/artifact.ts';
import { build } from '../pipeline/build.ts';
import { archiveDirectory } from '../pipeline/directory-archive.ts';
import { type Plan, type PlanRequest, planBuild } from '../pipeline/plan.ts';
import { planDigest } from '../pipeline/plan-digest.ts';
import type { Workplace } from '../pipeline/workplace.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import { type BuildRequest, readBuildRequest, workplaceOf } from './build-request.ts';
import { elideKernelArguments } from './elide.ts';
import type { FlagValues } from './flags.ts';
import { wantsImage } from './installer-output.ts';
import type { Io } from './io.ts';
import { checkLocked } from './locked.ts';
import { writeOutput } from './output-file.ts';
import { chooseStyle, type Progress, startProgress } from './progress.ts';
import type { Reporting } from './reports.ts';

export async function runBuild(profileName: string, flags: FlagValues, io: Io): Promise<number> {
  if (wantsImage(flags)) return (await import('./installer-command.ts')).runInstaller(profileName, flags, io);
  const output = flags.text.get('output') ?? '_out';
  checkStandardOutput(output, flags);
  const style = chooseStyle(flags.text.get('progress'), flags.switches.has('quiet'), io.stderr);
  const progress = await startProgress(style, io);
  try {
    const reporting = await reportingOf(flags, io);
    const wanted = await readBuildRequest(profileName, flags, io);
    const { request } = wanted;
    checkTerminal(request.profile, output, flags, io);
    const found: string[] = [];
    const onWarning = (text: string): void => {
      found.push(text);
      progress.warn(text);
    };
    const workplace = {
      ...(await workplaceOf(flags, io, { profile: request.profile, onWarning })),
      onProgress: progress.report,
      onVerification: progress.verified,
      onWarning,
    };
    const surroundings = { profileName, flags, io, progress, reporting };
    const plan = await planned(workplace, wanted, surroundings);
    if (output !== '-') reporting?.reserve(output, [plan.outputs[0]!.path]);
    await reporting?.gather(workplace, request, plan);
    const artifact = await build(workplace, request, plan);
    if (output === '-') {
      await writeToStandardOutput(artifact, surroundings);
      await writeAllReports(surroundings);
    } else {
      await writeToDirectory(artifact, { ...plan, warnings: [...plan.warnings, ...found] }, output, surroundings);
    }
    return 0;
  } finally {
    progress.finish();
  }
}

/** Decides everything, checks it against the lock file and says it. Throws what `planBuild` and `checkLocked` throw. */
export async function planned(
  workplace: Workplace,
  { request, warnings }: BuildRequest,
  { profileName, flags, io, progress }: Surroundings,
): Promise<Plan> {
  const plan = await planBuild(workplace, request, { resolve: wantsResolved(request, flags) });
  await checkLocked(profileName, flags, plan, io);
  for (const warning of [...warnings, ...plan.warnings]) progress.warn(warning);
  // Of a resolved plan they are not asked about again.
  for (const each of plan.verifications) progress.verified(each, []);
  progress.note(buildSummary(plan));
  progress.note(`kernel command line: ${elideKernelArguments(plan.cmdline)}`);
  return plan;
}

/** Digests are for what is said: without that the names are asked for once, when the images are fetched. What an overlay answers is part of the command line. */
function wantsResolved({ profile }: PlanRequest, { switches, lists }: FlagValues): boolean {
  return switches.has('json') || switches.has('locked') || lists.has('report') || profile.overlay !== null;
}

/** Loaded only when it is asked for. Throws `usage` for flags that go with `--report` alone, what `startReporting` throws. */
export async function reportingOf(flags: FlagValues, io: Io): Promise<Reporting | undefined> {
  if (flags.lists.has('report')) return (await import('./reports.ts')).startReporting(flags, io);
  const lonely = ['report-key', 'report-builder'].find((name) => flags.text.has(name));
  if (lonely !== undefined) throw new ImagerError('usage', `flag --${lonely}: want a --report it is for`);
  return undefined;
}

export async function writeAllReports({
  reporting,
  progress,
}: Pick<Surroundings, 'reporting' | 'progress'>): Promise<void> {
  for (const path of (await reporting?.write()) ?? []) progress.note(`report: ${path}`);
}

/** One thing only fits. Throws `usage`. */
export function checkStandardOutput(output: string, { switches }: FlagValues): void {
  const wishes = [
    ...(output === '-' ? ['--output -'] : []),
    ...(switches.has('tar-to-stdout') ? ['--tar-to-stdout'] : []),
    ...(switches.has('json') ? ['--json'] : []),
  ];
  if (wishes.length > 1)
    throw new ImagerError('usage', `flags ${wishes.join(' and ')}: each wants standard output for itself`);
}

/** Throws `usage` where a terminal would get what is no text. */
export function checkTerminal(profile: FinalProfile, output: string, { switches }: FlagValues, { stdout }: Io): void {
  const isBinary = switches.has('tar-to-stdout') || (output === '-' && profile.output.kind !== 'cmdline');
  if (isBinary && stdout.isTTY)
    throw new ImagerError('usage', 'standard output is a terminal, want a file or a pipe', {
      hint: 'imager iso -o - > talos.iso',
    });
}

/** Never what is in the profile: META and machine configurations hold keys. */
function buildSummary({ profile: { version, arch, platform }, outputs: [output] }: Plan): string {
  return `building ${output!.path}: ${output!.kind} of Talos ${version} for ${arch}, platform ${platform}`;
}

export interface Surroundings {
  readonly profileName: string;
  readonly flags: FlagValues;
  readonly io: Io;
  readonly progress: Progress;
  readonly reporting: Reporting | undefined;
}

export async function writeToStandardOutput(
  artifact: Artifact,
  { io: { stdout, signal }, progress, reporting }: Surroundings,
): Promise<void> {
  const report = reporter(artifact, progress);
  const watched = reporting?.watch(artifact);
  await writeToStream(stdout.sink, artifact.bytes, { signal, onProgress: report, ...observing(watched) });
  report(artifact.bytes.size);
  watched?.done();
}

export function observing(watched: ReturnType<Reporting['watch']> | undefined): Pick<WriteOptions, 'observe'> {
  return watched === undefined ? {} : { observe: watched.observe };
}

async function writeToDirectory(
  artifact: Artifact,
  plan: Plan,
  directory: string,
  surroundings: Surroundings,
): Promise<void> {
  const { flags, io, progress } = surroundings;
  const { platform, stdout, signal } = io;
  const path = await writeFile(artifact, directory, surroundings);
  await writeAllReports(surroundings);
  if (flags.switches.has('tar-to-stdout')) {
    for await (const chunk of await archiveDirectory(platform, directory, signal)) await stdout.sink.write(chunk);
  } else if (flags.switches.has('json')) {
    progress.finish();
    stdout.write(`${JSON.stringify(resultJson(path, artifact, plan), null, 2)}\n`);
  }
}

/** Returns the path. Throws what `writeOutput` throws. */
export async function writeFile(
  artifact: Artifact,
  directory: string,
  { flags, io: { platform, signal }, progress, reporting }: Surroundings,
): Promise<string> {
  const report = reporter(artifact, progress);
  const watched = reporting?.watch(artifact);
  const path = await writeOutput(platform, artifact, directory, {
    signal,
    onProgress: report,
    sync: flags.switches.has('sync'),
    ...observing(watched),
  });
  report(artifact.bytes.size);
  watched?.done(path);
  // Upstream's words, for scripts that look for them.
  progress.note(`output asset path: ${path}`);
  return path;
}

/** Zeros at the end are not written, so that the last report is the caller's: once, like any other. */
function reporter({ name, bytes }: Artifact, progress: Progress): (done: number) => void {
  let last = -1;
  return (done) => {
    if (done === last) return;
    last = done;
    progress.report({ task: `writing ${name}`, done, total: bytes.size, unit: 'bytes' });
  };
}

function resultJson(path: string, { mediaType, bytes }: Artifact, plan: Plan): object {
  const { cmdline, meta, inputs, warnings, outputs } = plan;
  const { kind, format } = outputs[0]!;
  return {
    path,
    size: bytes.size,
    kind,
    format,
    mediaType,
    cmdline,
    meta,
    inputs,
    warnings,
    planDigest: planDigest(plan),
  };
}
