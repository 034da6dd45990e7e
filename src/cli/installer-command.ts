/** `imager installer` where the result is more than a file: pushed, put into an OCI image layout, or made for several architectures. */
import { formatPushTarget } from '../oci/registry/push-target.ts';
import { archiveDirectory } from '../pipeline/directory-archive.ts';
import { buildInstaller, type InstallerArtifact, writeInstallerLayout } from '../pipeline/installer-artifact.ts';
import { pushInstaller } from '../pipeline/installer-push.ts';
import { type Plan, planBuild } from '../pipeline/plan.ts';
import { flagsByArchitecture } from './architectures.ts';
import { buildSummary, checkStandardOutput, checkTerminal, writeFile, writeToStandardOutput } from './build-command.ts';
import { type BuildRequest, readBuildRequest, workplaceOf } from './build-request.ts';
import { elideKernelArguments } from './elide.ts';
import type { FlagValues } from './flags.ts';
import { checkInstallerOutput, type InstallerOutput, installerOutput } from './installer-output.ts';
import type { Io } from './io.ts';
import { chooseStyle, type Progress, startProgress } from './progress.ts';

interface Built {
  readonly artifact: InstallerArtifact;
  readonly plan: Plan;
}

interface Surroundings {
  readonly flags: FlagValues;
  readonly io: Io;
  readonly progress: Progress;
}

export async function runInstaller(profileName: string, flags: FlagValues, io: Io): Promise<number> {
  const output = installerOutput(flags);
  checkStandardOutput(output.local.kind === 'stdout' ? '-' : '', flags);
  const style = chooseStyle(flags.text.get('progress'), flags.switches.has('quiet'), io.stderr);
  const progress = await startProgress(style, io);
  try {
    const requests: BuildRequest[] = [];
    for (const each of profileName === '-' ? [flags] : flagsByArchitecture(flags)) {
      requests.push(await readBuildRequest(profileName, each, io));
    }
    checkInstallerOutput(
      output,
      requests.map(({ request }) => request.profile),
    );
    checkTerminal(requests[0]!.request.profile, output.local.kind === 'stdout' ? '-' : '', flags, io);
    const surroundings = { flags, io, progress };
    const built: Built[] = [];
    for (const request of requests) built.push(await buildOne(request, surroundings));
    await deliver(built, output, surroundings);
    return 0;
  } finally {
    progress.finish();
  }
}

async function buildOne({ request, warnings }: BuildRequest, { flags, io, progress }: Surroundings): Promise<Built> {
  const workplace = { ...workplaceOf(flags, io), onProgress: progress.report };
  const plan = await planBuild(workplace, request, { resolve: flags.switches.has('json') });
  for (const warning of [...warnings, ...plan.warnings]) progress.warn(warning);
  progress.note(buildSummary(plan));
  progress.note(`kernel command line: ${elideKernelArguments(plan.cmdline)}`);
  return { artifact: await buildInstaller(workplace, request, plan), plan };
}

/** Local results first: they are there when the registry is not. */
async function deliver(built: readonly Built[], output: InstallerOutput, surroundings: Surroundings): Promise<void> {
  const { flags, io, progress } = surroundings;
  const { local, push } = output;
  const artifacts = built.map(({ artifact }) => artifact);
  const workplace = { ...workplaceOf(flags, io), onProgress: progress.report };
  const result: Record<string, unknown> = {};
  if (local.kind === 'stdout') await writeToStandardOutput(artifacts[0]!, io, progress);
  if (local.kind === 'archives') {
    const files: object[] = [];
    for (const artifact of artifacts) {
      const path = await writeFile(artifact, local.directory, surroundings);
      files.push({ path, size: artifact.bytes.size, mediaType: artifact.mediaType });
    }
    result.files = files;
  }
  if (local.kind === 'layout') {
    const { directory, name = built[0]!.plan.profile.version } = local;
    const digest = await writeInstallerLayout(workplace, artifacts, directory, name, {
      sync: flags.switches.has('sync'),
      temporarySuffix: `${process.pid}.partial`,
    });
    progress.note(`output asset path: oci:${directory}:${name}@${digest}`);
    result.layout = { directory, name, digest };
  }
  if (push !== undefined) {
    const report = await pushInstaller(workplace, artifacts, push);
    const reference = formatPushTarget(push);
    progress.note(`pushed: ${reference}@${report.digest}`);
    result.pushed = { reference, ...report };
  }
  if ('directory' in local && flags.switches.has('tar-to-stdout')) {
    for await (const chunk of await archiveDirectory(io.platform, local.directory, io.signal)) {
      await io.stdout.sink.write(chunk);
    }
  }
  if (flags.switches.has('json')) {
    progress.finish();
    io.stdout.write(`${JSON.stringify({ images: built.map(describe), ...result }, null, 2)}\n`);
  }
}

function describe({ artifact: { image }, plan: { profile, cmdline, inputs, warnings } }: Built): object {
  const layers = image.layers.map(({ descriptor }) => descriptor);
  return { architecture: profile.arch, digest: image.manifest.digest, layers, cmdline, inputs, warnings };
}
