/** `imager <profile>`: plan, build, and bring the artefact to where it belongs. */
import type { Artifact } from '../pipeline/artifact.ts';
import { build } from '../pipeline/build.ts';
import { archiveDirectory } from '../pipeline/directory-archive.ts';
import type { Plan } from '../pipeline/plan.ts';
import { planDigest } from '../pipeline/plan-digest.ts';
import {
  checkStandardOutput,
  checkTerminal,
  reportingOf,
  type Surroundings,
  writeAllReports,
  writeFile,
  writeToStandardOutput,
} from './artifact-output.ts';
import { readBuildRequest, workplaceOf } from './build-request.ts';
import type { FlagValues } from './flags.ts';
import type { Io } from './io.ts';
import { planned } from './planned-build.ts';
import { chooseStyle, startProgress } from './progress.ts';

export async function runBuild(profileName: string, flags: FlagValues, io: Io): Promise<number> {
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
