/** `imager installer` where the result is more than a file: pushed, put into an OCI image layout, or made for several architectures. */
import { topManifest } from '../oci/composed-image.ts';
import { formatPushTarget, type PushTarget } from '../oci/registry/push-target.ts';
import { archiveDirectory } from '../pipeline/directory-archive.ts';
import { buildInstaller, type InstallerArtifact, writeInstallerLayout } from '../pipeline/installer-artifact.ts';
import { pushInstaller } from '../pipeline/installer-push.ts';
import type { Plan } from '../pipeline/plan.ts';
import type { Workplace } from '../pipeline/workplace.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import { flagsByArchitecture } from './architectures.ts';
import {
  checkStandardOutput,
  checkTerminal,
  reportingOf,
  type Surroundings,
  writeAllReports,
  writeFile,
  writeToStandardOutput,
} from './artifact-output.ts';
import { type BuildRequest, readBuildRequest, workplaceOf } from './build-request.ts';
import type { FlagValues } from './flags.ts';
import { checkInstallerOutput, type InstallerOutput, installerOutput } from './installer-output.ts';
import type { Io } from './io.ts';
import { TEMPORARY_SUFFIX } from './output-file.ts';
import { planned } from './planned-build.ts';
import { chooseStyle, startProgress } from './progress.ts';

interface Built {
  readonly artifact: InstallerArtifact;
  readonly plan: Plan;
}

export async function runInstaller(profileName: string, flags: FlagValues, io: Io): Promise<number> {
  const output = installerOutput(flags);
  checkStandardOutput(output.local.kind === 'stdout' ? '-' : '', flags);
  const style = chooseStyle(flags.text.get('progress'), flags.switches.has('quiet'), io.stderr);
  const progress = await startProgress(style, io);
  try {
    const reporting = await reportingOf(flags, io);
    const requests: BuildRequest[] = [];
    for (const each of profileName === '-' ? [flags] : flagsByArchitecture(flags)) {
      requests.push(await readBuildRequest(profileName, each, io));
    }
    checkInstallerOutput(
      output,
      requests.map(({ request }) => request.profile),
    );
    checkTerminal(requests[0]!.request.profile, output.local.kind === 'stdout' ? '-' : '', flags, io);
    const surroundings = { profileName, flags, io, progress, reporting };
    const built: Built[] = [];
    for (const request of requests) built.push(await buildOne(request, surroundings));
    await deliver(built, output, surroundings);
    return 0;
  } finally {
    progress.finish();
  }
}

async function buildOne(wanted: BuildRequest, surroundings: Surroundings): Promise<Built> {
  const { flags, reporting } = surroundings;
  const workplace = await workplaceWith(surroundings, wanted.request.profile);
  const plan = await planned(workplace, wanted, surroundings);
  const { local } = installerOutput(flags);
  if (local.kind === 'archives') reporting?.reserve(local.directory, [plan.outputs[0]!.path]);
  await reporting?.gather(workplace, wanted.request, plan);
  return { artifact: await buildInstaller(workplace, wanted.request, plan), plan };
}

/** Local results first: they are there when the registry is not. */
async function deliver(built: readonly Built[], output: InstallerOutput, surroundings: Surroundings): Promise<void> {
  const { flags, io, progress } = surroundings;
  const { local, push } = output;
  const here = await deliverHere(built, local, surroundings);
  const pushed = push === undefined ? {} : { pushed: await deliverPush(built, push, surroundings) };
  await writeAllReports(surroundings);
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
  const { flags, progress } = surroundings;
  switch (local.kind) {
    case 'nothing':
      return {};
    case 'stdout':
      await writeToStandardOutput(built[0]!.artifact, surroundings);
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
      reportImages(built, `oci:${directory}:${name}`, surroundings);
      return { layout: { directory, name, digest } };
    }
  }
}

async function deliverPush(built: readonly Built[], target: PushTarget, surroundings: Surroundings): Promise<object> {
  const report = await pushInstaller(await workplaceWith(surroundings), artifactsOf(built), target);
  const reference = formatPushTarget(target);
  surroundings.progress.note(`pushed: ${reference}@${report.digest}`);
  reportImages(built, reference, surroundings);
  return { reference, ...report };
}

/** What the name leads to, and behind an index each of its images. */
function reportImages(built: readonly Built[], name: string, { io, reporting }: Surroundings): void {
  if (reporting === undefined) return;
  const images = built.map(({ artifact }) => artifact.image);
  const top = topManifest(io.platform, images);
  for (const { mediaType, digest, raw } of new Set([top, ...images.map(({ manifest }) => manifest)])) {
    const shown = digest === top.digest ? name : `${name}@${digest}`;
    const sha256 = digest.slice('sha256:'.length);
    reporting.add({ name: shown, mediaType, size: raw.length, digests: { sha256 } });
  }
}

function artifactsOf(built: readonly Built[]): InstallerArtifact[] {
  return built.map(({ artifact }) => artifact);
}

/** What is built is verified already where it is only written or pushed: without a `profile`. */
async function workplaceWith({ flags, io, progress }: Surroundings, profile?: FinalProfile): Promise<Workplace> {
  return {
    ...(await workplaceOf(flags, io, { ...(profile === undefined ? {} : { profile }), onWarning: progress.warn })),
    onProgress: progress.report,
    onVerification: progress.verified,
    onWarning: progress.warn,
  };
}

function describe({ artifact: { image }, plan: { profile, cmdline, inputs, warnings } }: Built): object {
  const layers = image.layers.map(({ descriptor }) => descriptor);
  return { architecture: profile.arch, digest: image.manifest.digest, layers, cmdline, inputs, warnings };
}
