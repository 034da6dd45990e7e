/** `imager plan <profile>`: what would be built, and from what. */
import { type Plan, planBuild } from '../pipeline/plan.ts';
import { dumpProfile } from '../profiles/dump.ts';
import { readBuildRequest, workplaceOf } from './build-request.ts';
import type { Invocation, PlanView } from './command-line.ts';
import { elideKernelArguments, elideProfile } from './elide.ts';
import type { Io } from './io.ts';
import { formatBytes } from './progress.ts';

type PlanInvocation = Extract<Invocation, { readonly command: 'plan' }>;

export async function runPlan(invocation: PlanInvocation, io: Io): Promise<number> {
  const { profile, flags, resolve, view } = invocation;
  const { request, warnings } = await readBuildRequest(profile, flags, io);
  const hasDigests = view === 'text' || view === 'json';
  const decided = await planBuild(workplaceOf(flags, io), request, { resolve: resolve && hasDigests });
  const plan = { ...decided, warnings: [...warnings, ...decided.warnings] };
  if (!hasDigests) for (const warning of plan.warnings) io.stderr.write(`warning: ${warning}\n`);
  io.stdout.write(VIEWS[view](plan));
  return 0;
}

const VIEWS: Readonly<Record<PlanView, (plan: Plan) => string>> = {
  text: formatPlan,
  json: (plan) => `${JSON.stringify(plan, null, 2)}\n`,
  yaml: ({ profile }) => dumpProfile(profile),
  hosts: ({ hosts }) => hosts.map((host) => `${host}\n`).join(''),
};

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

function imageCacheLines({ profile, imageCache }: Plan): string[] {
  if (imageCache === undefined) return [];
  const { images, size } = imageCache;
  return [`${images} image${images === 1 ? '' : 's'} for ${profile.arch}, ${formatBytes(size)}`];
}

function section(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return `${title}:\n${lines.map((line) => `  ${line.replaceAll('\n', '\n  ')}\n`).join('')}`;
}
