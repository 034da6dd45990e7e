/** What all building commands do with artefacts: checks of where they go, writing with progress, reports of them. */
import { type WriteOptions, writeToStream } from '../bytes/write.ts';
import { ImagerError } from '../errors.ts';
import type { Artifact } from '../pipeline/artifact.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import type { FlagValues } from './flags.ts';
import type { Io } from './io.ts';
import { writeOutput } from './output-file.ts';
import type { Progress } from './progress.ts';
import type { Reporting } from './reports.ts';

/** What a building command has at hand. */
export interface Surroundings {
  readonly profileName: string;
  readonly flags: FlagValues;
  readonly io: Io;
  readonly progress: Progress;
  readonly reporting: Reporting | undefined;
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

function observing(watched: ReturnType<Reporting['watch']> | undefined): Pick<WriteOptions, 'observe'> {
  return watched === undefined ? {} : { observe: watched.observe };
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
