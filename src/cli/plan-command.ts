/** `imager plan <profile>`: what would be built, and from what. */
import { ImagerError } from '../errors.ts';
import { formatPushTarget } from '../oci/registry/push-target.ts';
import { type Plan, planBuild } from '../pipeline/plan.ts';
import type { ImageVerification } from '../pipeline/verify-image.ts';
import { dumpProfile } from '../profiles/dump.ts';
import { flagsByArchitecture } from './architectures.ts';
import { type BuildRequest, readBuildRequest, workplaceOf } from './build-request.ts';
import type { Invocation, PlanView } from './command-line.ts';
import { elideKernelArguments, elideProfile } from './elide.ts';
import { checkInstallerOutput, type InstallerOutput, installerOutput, wantsImage } from './installer-output.ts';
import type { Io } from './io.ts';
import { checkLocked } from './locked.ts';
import { formatBytes } from './progress.ts';

type PlanInvocation = Extract<Invocation, { readonly command: 'plan' }>;

export async function runPlan(invocation: PlanInvocation, io: Io): Promise<number> {
  const { profile, flags, resolve, view } = invocation;
  const output = wantsImage(flags) ? installerOutput(flags) : undefined;
  const hasDigests = view === 'text' || view === 'json';
  if (flags.switches.has('locked') && !(resolve && hasDigests))
    throw new ImagerError('usage', 'flag --locked: want a plan with digests, as text or --json');
  const contacts = !resolve ? 'never' : hasDigests ? 'always' : 'for unknown profiles';
  const requests: BuildRequest[] = [];
  for (const each of profile === '-' ? [flags] : flagsByArchitecture(flags)) {
    requests.push(await readBuildRequest(profile, each, io, contacts));
  }
  if (output !== undefined) {
    checkInstallerOutput(
      output,
      requests.map(({ request }) => request.profile),
    );
  }
  const plans: Plan[] = [];
  for (const { request, warnings, hosts } of requests) {
    const said: string[] = [...warnings];
    const workplace = await workplaceOf(flags, io, {
      profile: request.profile,
      onWarning: (text) => said.push(text),
    });
    const decided = await planBuild(workplace, request, { resolve: resolve && hasDigests });
    await checkLocked(profile, flags, decided, io);
    const all = [...decided.hosts, ...hosts, ...(output?.push === undefined ? [] : [output.push.registry])];
    const plan = { ...decided, hosts: [...new Set(all)], warnings: [...said, ...decided.warnings] };
    if (!hasDigests) for (const warning of plan.warnings) io.stderr.write(`warning: ${warning}\n`);
    plans.push(plan);
  }
  const documents = requests.map(({ request }) => dumpProfile(request.profile));
  io.stdout.write(view === 'yaml' ? documents.join('---\n') : VIEWS[view](plans));
  if (view === 'text' && output !== undefined) io.stdout.write(section('goes to', destinations(output, plans[0]!)));
  return 0;
}

/** Of one plan or, for an installer, of one for each architecture. A document, which has values that JSON has not, comes from no plan. */
const VIEWS: Readonly<Record<Exclude<PlanView, 'yaml'>, (plans: readonly Plan[]) => string>> = {
  text: (plans) => plans.map(formatPlan).join('\n'),
  json: (plans) => `${JSON.stringify(plans.length === 1 ? plans[0] : plans, null, 2)}\n`,
  hosts: (plans) => [...new Set(plans.flatMap(({ hosts }) => hosts))].map((host) => `${host}\n`).join(''),
};

function destinations({ local, push }: InstallerOutput, { profile }: Plan): string[] {
  return [
    ...(local.kind === 'archives' ? [local.directory] : []),
    ...(local.kind === 'layout' ? [`oci:${local.directory}:${local.name ?? profile.version}`] : []),
    ...(push === undefined ? [] : [formatPushTarget(push)]),
  ];
}

/** For people, who may show it to others: without what is secret. */
export function formatPlan(plan: Plan): string {
  const profile = dumpProfile(elideProfile(plan.profile));
  const cmdline = elideKernelArguments(plan.cmdline);
  const isElided = profile !== dumpProfile(plan.profile) || cmdline !== plan.cmdline;
  return [
    section('profile', profile.trimEnd().split('\n')),
    section('kernel command line', [cmdline]),
    section(
      'inputs',
      plan.inputs.flatMap(({ role, reference, path, digest }) => [
        `${role}: ${reference ?? path}`,
        ...(digest === null ? [] : [`  ${digest}`]),
      ]),
    ),
    section('verification', plan.verifications.map(verificationLine)),
    section('image cache', imageCacheLines(plan)),
    section(
      'outputs',
      plan.outputs.map(({ path, kind, format }) => `${path} (${kind}, ${format})`),
    ),
    section('hosts', plan.hosts),
    section('warnings', plan.warnings),
    section('cannot be built yet', plan.unsupported),
    isElided ? 'What may be secret is shown by its length; --json and --yaml show it.\n' : '',
  ].join('');
}

function verificationLine({ image, status, subject, issuer, signedAt, rule }: ImageVerification): string {
  const signer = subject === undefined ? 'the key' : `${subject} (${issuer})`;
  const when = signedAt === undefined ? '' : `, ${new Date(signedAt * 1000).toISOString()}`;
  return status === 'verified'
    ? `${image}: signed by ${signer}${when}; rule ${rule}`
    : `${image}: not verified; rule ${rule}`;
}

function imageCacheLines({ profile, imageCache }: Plan): string[] {
  if (imageCache === undefined) return [];
  const { images, size, partitionSize } = imageCache;
  const content = `${images} image${images === 1 ? '' : 's'} for ${profile.arch}, ${formatBytes(size)}`;
  if (partitionSize === undefined) return [content];
  return [content, `partition IMAGECACHE of ${partitionSize} bytes (${formatBytes(partitionSize)}), added to the disk`];
}

function section(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return `${title}:\n${lines.map((line) => `  ${line.replaceAll('\n', '\n  ')}\n`).join('')}`;
}
