/** From what was planned to the artefact: one row per output kind. */
import { readKernelVersion } from '../boot/kernel.ts';
import { type Bytes, ofText } from '../bytes/bytes.ts';
import type { Digest } from '../bytes/units.ts';
import { ImagerError, invalid } from '../errors.ts';
import { outputFileName } from '../profiles/output-name.ts';
import type { OutputKind } from '../profiles/profile.ts';
import { type Assets, acquireAssets, type PinnedInputs } from './acquire.ts';
import type { Artifact } from './artifact.ts';
import type { BuildInput } from './build-input.ts';
import { hasExtensions } from './extension-source.ts';
import { imageCacheSource } from './image-cache-source.ts';
import { pullBaseInstaller } from './installer-base.ts';
import type { Plan, PlanRequest } from './plan.ts';
import { acquireSecureBoot } from './secureboot.ts';
import { inspectedKernel, ukiOf } from './uki.ts';
import type { Workplace } from './workplace.ts';

interface KindRow {
  readonly mediaType: string;
  readonly build: (input: BuildInput) => Bytes | Promise<Bytes>;
}

// Makers of large outputs are loaded when they are needed: their formats are a hundred files, 40 ms of every start.
const KINDS = {
  // The two names are what UEFI firmware tells by how to start it; IANA's spelling of the first, with a dot, it does not know.
  iso: { mediaType: 'application/vnd.efi-iso', build: async (input) => (await import('./iso.ts')).isoOf(input) },
  installer: {
    mediaType: 'application/x-tar',
    build: async (input) => (await import('./installer.ts')).installerOf(input),
  },
  image: { mediaType: 'application/octet-stream', build: async (input) => (await import('./disk.ts')).diskOf(input) },
  uki: { mediaType: 'application/efi', build: async (input) => (await ukiOf(input)).bytes },
  kernel: { mediaType: 'application/octet-stream', build: kernelOf },
  initramfs: { mediaType: 'application/octet-stream', build: ({ assets }) => assets.file('initramfs') },
  cmdline: { mediaType: 'text/plain; charset=utf-8', build: ({ cmdline }) => ofText(cmdline) },
} as const satisfies Partial<Record<OutputKind, KindRow>>;

/**
 * Builds what `plan` decided for `request`. With a resolved plan exactly its inputs are used, whatever names or paths lead to by now. Nothing is
 * written: the bytes refer to the store and to the user's files. Throws `unsupported`, `verification` for an input that changed since it was
 * planned, and what acquiring, laying out and compressing throw.
 *
 * @example
 * const artifact = await build(workplace, request, plan);
 * await writeArtifact(workplace.platform, artifact, '_out');
 */
export async function build(workplace: Workplace, request: PlanRequest, plan: Plan): Promise<Artifact> {
  const { build: buildKind } = rowFor(request.profile.output.kind, plan);
  const input = await acquireInput(workplace, request, plan);
  return finishArtifact(workplace, request, plan, await buildKind(input));
}

/** All that `plan` decided on, fetched where it is not here. Throws `unsupported`, `verification`, what acquiring throws. */
export async function acquireInput(around: Workplace, request: PlanRequest, plan: Plan): Promise<BuildInput> {
  const { profile, epoch } = request;
  const workplace = { ...around, planned: plan.verifications };
  rowFor(profile.output.kind, plan);
  const pinned = pinnedBy(plan);
  const assets = await acquireAssets(workplace, request, pinned);
  const extended = await withExtensions(workplace, request, plan, assets);
  const base = await baseInstallerOf(workplace, request, pinned);
  const overlay = await overlayOf(workplace, request, plan, pinned);
  const cache = await cacheOf(workplace, request, plan, pinned);
  const secureBoot = await acquireSecureBoot(workplace, profile, plan.inputs);
  const signed = secureBoot === undefined ? {} : { secureBoot };
  return {
    workplace,
    profile,
    epoch,
    cmdline: plan.cmdline,
    assets: extended,
    ...signed,
    ...base,
    ...overlay,
    ...cache,
  };
}

/** What was built under its name, compressed if that was planned. Throws what compressing throws. */
export async function finishArtifact(
  workplace: Workplace,
  { profile, epoch }: PlanRequest,
  plan: Plan,
  bytes: Bytes,
): Promise<Artifact> {
  const { mediaType } = rowFor(profile.output.kind, plan);
  const name = plan.outputs[0]!.path;
  if (plan.compression === undefined) return { name, mediaType, bytes };
  const content = { bytes, name: outputFileName(profile), epoch };
  const { compressContent } = await import('./compress-content.ts');
  return { name, ...(await compressContent(workplace, content, plan.compression)) };
}

function rowFor(kind: OutputKind, { unsupported: [reason] }: Plan): KindRow {
  const row = Object.hasOwn(KINDS, kind) ? KINDS[kind as keyof typeof KINDS] : undefined;
  if (row === undefined || reason !== undefined) throw new ImagerError('unsupported', reason ?? `output kind ${kind}`);
  return row;
}

/** Digests that `plan` decided on; of extensions, which are several, that of the last. */
export function pinnedBy({ inputs }: Plan): PinnedInputs {
  return new Map(inputs.flatMap(({ role, digest }) => (digest === null ? [] : [[role, digest]])));
}

/** In the order of the profile. */
export function pinnedExtensions(inputs: Plan['inputs']): (Digest | undefined)[] {
  return inputs.filter(({ role }) => role === 'system-extension').map(({ digest }) => digest ?? undefined);
}

/** With the initramfs that has the profile's extensions in it. */
async function withExtensions(
  workplace: Workplace,
  { profile, epoch }: PlanRequest,
  { inputs }: Plan,
  assets: Assets,
): Promise<Assets> {
  if (!hasExtensions(profile)) return assets;
  const { extendInitramfs } = await import('./extended-initramfs.ts');
  const pinned = pinnedExtensions(inputs);
  // An initramfs alone is built without looking at kernels.
  const kernelVersion =
    profile.output.kind === 'initramfs' ? undefined : await readKernelVersion(assets.file('kernel'));
  const wishes = { profile, epoch, pinned, kernelVersion };
  const initramfs = await extendInitramfs(workplace, assets.file('initramfs'), wishes);
  return { ...assets, file: (role) => (role === 'initramfs' ? initramfs : assets.file(role)) };
}

/** Throws `invalid-input` for a plan whose command line lacks what the overlay has to say. */
async function overlayOf(
  workplace: Workplace,
  { profile }: PlanRequest,
  { overlay: planned }: Plan,
  pinned: PinnedInputs,
): Promise<Pick<BuildInput, 'overlay' | 'overlayInstaller'>> {
  if (profile.overlay === null) return {};
  if (planned === undefined) throw invalid('plan of a build with an overlay: want it resolved');
  const { fetchOverlay, fetchOverlayInstaller } = await import('./overlay-image.ts');
  switch (profile.output.kind) {
    case 'image':
      return { overlay: { planned, fetched: await fetchOverlay(workplace, profile.overlay, pinned.get('overlay')) } };
    case 'installer':
      return { overlayInstaller: await fetchOverlayInstaller(workplace, profile, pinned.get('overlay-installer')) };
    default:
      return {};
  }
}

async function baseInstallerOf(
  workplace: Workplace,
  { profile }: PlanRequest,
  pinned: PinnedInputs,
): Promise<Pick<BuildInput, 'baseInstaller'>> {
  if (profile.output.kind !== 'installer') return {};
  return { baseInstaller: await pullBaseInstaller(workplace, profile, pinned.get('base-installer')) };
}

async function cacheOf(
  workplace: Workplace,
  { profile }: PlanRequest,
  plan: Plan,
  pinned: PinnedInputs,
): Promise<Pick<BuildInput, 'imageCache'>> {
  const source = imageCacheSource(profile);
  if (source === undefined) return {};
  const { acquireImageCache } = await import('./image-cache.ts');
  const { tree, warnings } = await acquireImageCache(workplace, source, profile.arch, pinned.get('image-cache'));
  // A plan that saw the cache has them.
  if (plan.imageCache === undefined) for (const one of warnings) workplace.onWarning?.(`image cache: ${one}`);
  return { imageCache: tree };
}

async function kernelOf(input: BuildInput): Promise<Bytes> {
  await inspectedKernel(input);
  return input.assets.file('kernel');
}
