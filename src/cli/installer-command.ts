/** `imager installer` where the result is more than a file: pushed, put into an OCI image layout, or made for several architectures. */
import { formatPushTarget, type PushTarget } from '../oci/registry/push-target.ts';
import { archiveDirectory } from '../pipeline/directory-archive.ts';
import { buildInstaller, type InstallerArtifact, writeInstallerLayout } from '../pipeline/installer-artifact.ts';
import { pushInstaller } from '../pipeline/installer-push.ts';
import { type Plan, planBuild } from '../pipeline/plan.ts';
import type { Workplace } from '../pipeline/workplace.ts';
import { flagsByArchitecture } from './architectures.ts';
import {
  buildSummary,
  checkStandardOutput,
  checkTerminal,
  wantsResolved,
  writeFile,
  writeToStandardOutput,
} from './build-command.ts';
import { type BuildRequest, readBuildRequest, workplaceOf } from './build-request.ts';
import { elideKernelArguments } from './elide.ts';
import type { FlagValues } from './flags.ts';
import { checkInstallerOutput, type InstallerOutput, installerOutput } from './installer-output.ts';
import type { Io } from './io.ts';
import { checkLocked } from './locked.ts';
import { TEMPORARY_SUFFIX } from './output-file.ts';
import { chooseStyle, type Progress, startProgress } from './progress.ts';

interface Built {
  readonly artifact: InstallerArtifact;
  readonly plan: Plan;
}

interface Surroundings {
  readonly profileName: string;
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
    const surroundings = { profileName, flags, io, progress };
    const built: Built[] = [];
    for (const request of requests) built.push(await buildOne(request, surroundings));
    await deliver(built, output, surroundings);
    return 0;
  } finally {
    progress.finish();
  }
}

async function buildOne({ request, warnings }: BuildRequest, surroundings: Surroundings): Promise<Built> {
  const { profileName, flags, io, progress } = surroundings;
  const workplace = await workplaceWith(surroundings);
  const resolve = wantsResolved(request, flags);
  const plan = await planBuild(workplace, request, { resolve });
  await checkLocked(profileName, flags, plan, io);
  for (const warning of [...warnings, ...plan.warnings]) progress.warn(warning);
  progress.note(buildSummary(plan));
  progress.note(`kernel command line: ${elideKernelArguments(plan.cmdline)}`);
  return { artifact: await buildInstaller(workplace, request, plan), plan };
}

/** Local results first: they are there when the registry is not. */
async function deliver(built: readonly Built[], output: InstallerOutput, surroundings: Surroundings): Promise<void> {
  const { flags, io, progress } = surroundings;
  const { local, push } = output;
  const here = await deliverHere(built, local, surroundings);
  const pushed = push === undefined ? {} : { pushed: await deliverPush(built, push, surroundings) };
  if ('directory' in local && flags.switches.has('tar-to-stdout')) {
    for await (const chunk of await archiveDirectory(io.platform, local.directory, io.signal)) {
      await io.stdout.sink.write(chunk);
    }
  } else if (flags.switches.has('json')) {
    progress.finish();
    io.stdout.write(`${JSON.stringify({ images: built.map(describe), ...here, ...pushed }, null, 2)}\n`);
  }
}

/** Returns what `--json` says of it. */
async function deliverHere(
  built: readonly Built[],
  local: InstallerOutput['local'],
  surroundings: Surroundings,
): Promise<object> {
  const { flags, io, progress } = surroundings;
  switch (local.kind) {
    case 'nothing':
      return {};
    case 'stdout':
      await writeToStandardOutput(built[0]!.artifact, io, progress);
      return {};
    case 'archives': {
      const files: object[] = [];
      for (const { artifact } of built) {
        const path = await writeFile(artifact, local.directory, surroundings);
        files.push({ path, size: artifact.bytes.size, mediaType: artifact.mediaType });
      }
      return { files };
    }
    case 'layout': {
      const { directory, name = built[0]!.plan.profile.version } = local;
      const digest = await writeInstallerLayout(
        await workplaceWith(surroundings),
        artifactsOf(built),
        directory,
        name,
        {
          sync: flags.switches.has('sync'),
          temporarySuffix: TEMPORARY_SUFFIX,
        },
      );
      progress.note(`output asset path: oci:${directory}:${name}@${digest}`);
      return { layout: { directory, name, digest } };
    }
  }
}

async function deliverPush(built: readonly Built[], target: PushTarget, surroundings: Surroundings): Promise<object> {
  const report = await pushInstaller(await workplaceWith(surroundings), artifactsOf(built), target);
  const reference = formatPushTarget(target);
  surroundings.progress.note(`pushed: ${reference}@${report.digest}`);
  return { reference, ...report };
}

function artifactsOf(built: readonly Built[]): InstallerArtifact[] {
  return built.map(({ artifact }) => artifact);
}

async function workplaceWith({ flags, io, progress }: Surroundings): Promise<Workplace> {
  return {
    ...(await workplaceOf(flags, io, progress.warn)),
    onProgress: progress.report,
    onVerification: progress.verified,
    onWarning: progress.warn,
  };
}

function describe({ artifact: { image }, plan: { profile, cmdline, inputs, warnings } }: Built): object {
  const layers = image.layers.map(({ descriptor }) => descriptor);
  return { architecture: profile.arch, digest: image.manifest.digest, layers, cmdline, inputs, warnings };
}
