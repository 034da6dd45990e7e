/** From what was planned to the artefact: one row per output kind. */
import { type Bytes, ofText } from '../bytes/bytes.ts';
import { ImagerError } from '../errors.ts';
import type { OutputKind } from '../profiles/profile.ts';
import type { Artifact } from './artifact.ts';
import { acquireAssets } from './assets.ts';
import type { BuildInput } from './build-input.ts';
import { isoOf } from './iso.ts';
import type { Plan, PlanRequest } from './plan.ts';
import { inspectedKernel, ukiOf } from './uki.ts';
import type { Workplace } from './workplace.ts';

interface KindRow {
  readonly mediaType: string;
  readonly build: (input: BuildInput) => Bytes | Promise<Bytes>;
}

const KINDS = {
  iso: { mediaType: 'application/vnd.efi.iso', build: isoOf },
  uki: {
    mediaType: 'application/vnd.microsoft.portable-executable',
    build: async (input) => (await ukiOf(input)).bytes,
  },
  kernel: { mediaType: 'application/octet-stream', build: kernelOf },
  initramfs: { mediaType: 'application/octet-stream', build: ({ assets }) => assets.file('initramfs') },
  cmdline: { mediaType: 'text/plain; charset=utf-8', build: ({ cmdline }) => ofText(cmdline) },
} as const satisfies Partial<Record<OutputKind, KindRow>>;

/**
 * Builds what `plan` decided for `request`; with a resolved plan exactly its inputs are used. Nothing is written: the result refers to the
 * store and to the user's files. Throws `unsupported`, and what acquiring and laying out throw.
 */
export async function build(workplace: Workplace, request: PlanRequest, plan: Plan): Promise<Artifact> {
  const { profile, epoch } = request;
  const { kind } = profile.output;
  const [reason] = plan.unsupported;
  if (reason !== undefined || !(kind in KINDS)) throw new ImagerError('unsupported', reason ?? `output kind ${kind}`);
  const { mediaType, build: buildKind } = KINDS[kind as keyof typeof KINDS];
  const pinned = plan.inputs.find(({ role }) => role === 'imager-image')?.digest ?? undefined;
  const assets = await acquireAssets(workplace, request, pinned);
  const bytes = await buildKind({ workplace, profile, epoch, cmdline: plan.cmdline, assets });
  return { name: plan.outputs[0]!.path, mediaType, bytes };
}

async function kernelOf(input: BuildInput): Promise<Bytes> {
  await inspectedKernel(input);
  return input.assets.file('kernel');
}
