/** Planning as building commands do it: aloud, and held to the lock file. */
import { type Plan, type PlanRequest, planBuild } from '../pipeline/plan.ts';
import type { Workplace } from '../pipeline/workplace.ts';
import type { Surroundings } from './artifact-output.ts';
import type { BuildRequest } from './build-request.ts';
import { elideKernelArguments } from './elide.ts';
import type { FlagValues } from './flags.ts';
import { checkLocked } from './locked.ts';

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

/** Never what is in the profile: META and machine configurations hold keys. */
function buildSummary({ profile: { version, arch, platform }, outputs: [output] }: Plan): string {
  return `building ${output!.path}: ${output!.kind} of Talos ${version} for ${arch}, platform ${platform}`;
}
