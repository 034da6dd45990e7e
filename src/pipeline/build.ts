/** From what was planned to the artefact: one row per output kind. */
import { inspectKernel } from '../boot/kernel.ts';
import { formatOsRelease } from '../boot/os-release.ts';
import { SHARING_ALIGNMENT } from '../boot/esp.ts';
import { buildUki } from '../boot/uki.ts';
import { extraUkiProfiles } from '../boot/uki-profiles.ts';
import { type Bytes, ofText } from '../bytes/bytes.ts';
import { toMemory } from '../bytes/read.ts';
import { MIB } from '../bytes/units.ts';
import { ImagerError } from '../errors.ts';
import type { UkiLayout } from '../formats/pe/uki.ts';
import type { OutputKind } from '../profiles/profile.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import type { Artifact } from './artifact.ts';
import { type Assets, acquireAssets } from './assets.ts';
import { buildIsoBytes } from './iso.ts';
import type { Plan, PlanRequest } from './plan.ts';
import type { Workplace } from './workplace.ts';

/** Everything a kind's builder may use. */
export interface BuildInput {
  readonly workplace: Workplace;
  readonly profile: FinalProfile;
  /** Seconds since 1970. */
  readonly epoch: number;
  readonly cmdline: string;
  readonly assets: Assets;
}

interface KindRow {
  readonly mediaType: string;
  readonly build: (input: BuildInput) => Bytes | Promise<Bytes>;
}

const NOT_YET = (kind: OutputKind): KindRow => ({
  mediaType: 'application/octet-stream',
  build: () => {
    throw new ImagerError('unsupported', `output kind ${kind}: not supported by this release`);
  },
});

const KINDS = {
  iso: { mediaType: 'application/vnd.efi.iso', build: buildIsoBytes },
  uki: {
    mediaType: 'application/vnd.microsoft.portable-executable',
    build: async (input) => (await ukiOf(input)).bytes,
  },
  kernel: { mediaType: 'application/octet-stream', build: buildKernel },
  initramfs: { mediaType: 'application/octet-stream', build: ({ assets }) => assets.file('initramfs') },
  cmdline: { mediaType: 'text/plain; charset=utf-8', build: ({ cmdline }) => ofText(cmdline) },
  image: NOT_YET('image'),
  installer: NOT_YET('installer'),
} as const satisfies Record<OutputKind, KindRow>;

/**
 * Builds what `plan` decided for `request`; with a resolved plan exactly its inputs are used. Nothing is written: the result refers to the
 * store and to the user's files. Throws `unsupported`, and what acquiring and laying out throw.
 */
export async function build(workplace: Workplace, request: PlanRequest, plan: Plan): Promise<Artifact> {
  const [reason] = plan.unsupported;
  if (reason !== undefined) throw new ImagerError('unsupported', reason);
  const { profile, epoch } = request;
  const pinned = plan.inputs.find(({ role }) => role === 'imager-image')?.digest ?? undefined;
  const assets = await acquireAssets(workplace, request, pinned);
  const { mediaType, build: buildKind } = KINDS[profile.output.kind];
  const bytes = await buildKind({ workplace, profile, epoch, cmdline: plan.cmdline, assets });
  return { name: plan.outputs[0]!.path, mediaType, bytes };
}

async function buildKernel({ profile, assets }: BuildInput): Promise<Bytes> {
  const kernel = assets.file('kernel');
  await inspectKernel(kernel, profile.arch);
  return kernel;
}

/** Far above any stub; what is larger is something else. */
const STUB_LIMIT = 16 * MIB;

/** The UKI with its menu entries for the profile's output kind; content begins where other containers can share it. */
export async function ukiOf({ profile, epoch, cmdline, assets }: BuildInput): Promise<UkiLayout> {
  const kernel = assets.file('kernel');
  const { version: kernelVersion } = await inspectKernel(kernel, profile.arch);
  const parts = {
    stub: await toMemory(assets.file('systemd-stub'), STUB_LIMIT, 'UEFI stub'),
    architecture: profile.arch,
    osRelease: formatOsRelease(profile),
    cmdline,
    kernelVersion,
    kernel,
    initramfs: assets.file('initramfs'),
    extraProfiles: extraUkiProfiles(profile.output.kind, cmdline),
    traits: profile.traits,
  };
  return buildUki(parts, { timestamp: epoch, sharingAlignment: SHARING_ALIGNMENT });
}
