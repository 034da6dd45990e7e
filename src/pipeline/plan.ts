/**
 * `Plan`: a build in which everything is decided: what goes in (by digest), what it is told, what comes out. It is JSON, so that it
 * can be shown, stored and compared; the digest of a resolved plan names its output.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { buildCmdline } from '../boot/cmdline.ts';
import { type Bytes, ofSource, ofText } from '../bytes/bytes.ts';
import { toHex } from '../bytes/field.ts';
import { digest as digestOfBytes } from '../bytes/read.ts';
import { type Digest, parseDigest } from '../bytes/units.ts';
import { type ArgumentWarning, checkKernelArguments } from '../machineconfig/kernel-arguments.ts';
import { checkNetworkDocument } from '../machineconfig/network-document.ts';
import { META_KEYS } from '../meta/key.ts';
import type { MetaValue } from '../meta/value.ts';
import { hostsOf } from '../oci/mirrors.ts';
import { parseReference } from '../oci/reference.ts';
import { artifactFileName } from '../profiles/output-name.ts';
import type { OutputKind, Profile } from '../profiles/profile.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import { treeOfDirectory } from '../tree/directory.ts';
import { type AssetSource, formatAssetSource } from './asset-source.ts';
import { type AssetPlaces, type AssetRole, type AssetWishes, placeAssets } from './assets.ts';
import { unsupportedReasons } from './unsupported.ts';
import { isRemote, locateImage, notInStore, openWorkplaceStore, type Workplace } from './workplace.ts';

/** Raised when the same plan gives other bytes: part of every plan digest. */
const LAYOUT_REVISION = 1;

export interface PlannedInput {
  /** `imager-image` brings every asset that no path names. */
  readonly role: AssetRole | 'imager-image';
  /** As given: a registry reference, `oci:DIR`, ... */
  readonly reference?: string;
  readonly path?: string;
  /** Of the image's manifest, or of the file; null in a plan that was not resolved. */
  readonly digest: Digest | null;
}

export interface PlannedOutput {
  /** File name within the output directory. */
  readonly path: string;
  readonly kind: OutputKind;
  readonly format: string;
}

export interface Plan {
  /** As finalised. */
  readonly profile: Profile;
  /** Seconds since 1970. */
  readonly epoch: number;
  readonly cmdline: string;
  readonly meta: readonly MetaValue[];
  readonly outputs: readonly PlannedOutput[];
  readonly inputs: readonly PlannedInput[];
  /** `host[:port]` of every registry and mirror that may be contacted. */
  readonly hosts: readonly string[];
  readonly warnings: readonly string[];
  /** Why this cannot be built by this release; none when it can. */
  readonly unsupported: readonly string[];
}

export interface PlanRequest extends AssetWishes {
  /** Seconds since 1970, 0..2^32-1. */
  readonly epoch: number;
  /** Names for META values in messages, by key: the file they came from. */
  readonly metaOrigins?: ReadonlyMap<number, string>;
  /** Take network documents as they are. */
  readonly skipNetworkCheck?: boolean;
}

export interface PlanOptions {
  /** False contacts nothing, reads nothing and leaves digests null. */
  readonly resolve: boolean;
}

/**
 * Decides everything a build needs and checks all that can be checked before a layer is fetched. Throws `invalid-input` for META values
 * and arguments that cannot work, and when resolving what locating and asking for manifests throws.
 */
export async function planBuild(workplace: Workplace, request: PlanRequest, options: PlanOptions): Promise<Plan> {
  const { profile, epoch } = request;
  const { traits, warnings, ...document } = profile;
  const meta = profile.customization.metaContents;
  const networkWarnings = checkMeta(request);
  const cmdline = buildCmdline({
    platform: profile.platform,
    architecture: profile.arch,
    kind: profile.output.kind,
    secureBoot: profile.secureboot === true,
    traits,
    meta,
    extraArguments: profile.customization.extraKernelArgs,
  });
  const assets = placeAssets(request);
  const inputs = plannedInputs(assets);
  return {
    profile: document,
    epoch,
    cmdline: cmdline.text,
    meta,
    outputs: [{ path: artifactFileName(profile), kind: profile.output.kind, format: formatOf(profile) }],
    inputs: options.resolve
      ? await Promise.all(inputs.map((input) => resolveInput(workplace, request, assets, input)))
      : inputs,
    hosts: hostsOfPlan(workplace, inputs, assets.source),
    warnings: [
      ...warnings,
      ...networkWarnings,
      ...checkKernelArguments(cmdline.text).map(argumentWarning),
      ...cmdline.warnings.map(({ message }) => message),
    ],
    unsupported: unsupportedReasons(profile),
  };
}

/**
 * What names the output: over the content of every input and every decision, but not over where inputs lie. Throws `RangeError` for a
 * plan that was not resolved.
 */
export function planDigest(plan: Plan): Digest {
  const inputs = plan.inputs.map(({ role, digest }) => {
    if (digest === null) throw new RangeError(`plan is not resolved: ${role} has no digest`);
    return [role, digest];
  });
  const { input, ...decided } = plan.profile;
  const identity = {
    revision: LAYOUT_REVISION,
    inputs,
    profile: decided,
    secureboot: input.secureboot,
    epoch: plan.epoch,
    cmdline: plan.cmdline,
  };
  return parseDigest(`sha256:${toHex(sha256(new TextEncoder().encode(JSON.stringify(identity))))}`);
}

function argumentWarning({ argument, message, hint }: ArgumentWarning): string {
  const said = `kernel argument ${argument}: ${message}`;
  return hint === undefined ? said : `${said} (${hint})`;
}

/** `raw` names the disk format where there is one. */
function formatOf({ output }: FinalProfile): string {
  return output.kind === 'image' ? (output.imageOptions?.diskFormat ?? 'raw') : output.outFormat;
}

function checkMeta({ profile, metaOrigins, skipNetworkCheck }: PlanRequest): string[] {
  if (skipNetworkCheck === true) return [];
  return profile.customization.metaContents
    .filter(({ key }) => key === META_KEYS.metalNetworkPlatformConfig)
    .flatMap(({ key, value }) => {
      const file = metaOrigins?.get(key) ?? 'meta value 0xa';
      return checkNetworkDocument(value, { file }).warnings;
    });
}

function hostsOfPlan(workplace: Workplace, inputs: readonly PlannedInput[], source: AssetSource): string[] {
  const needed = inputs.some(({ role }) => role === 'imager-image');
  if (!needed || !isRemote(source) || workplace.transport.offline === true) return [];
  return hostsOf(parseReference(source.reference), workplace.transport.mirrors ?? {});
}

function plannedInputs({ source, places }: AssetPlaces): PlannedInput[] {
  const image: PlannedInput = { role: 'imager-image', reference: formatAssetSource(source), digest: null };
  const own = places
    .filter((place) => place.in === 'machine')
    .map(({ role, path }): PlannedInput => ({ role, path, digest: null }));
  return places.some((place) => place.in === 'image') ? [image, ...own] : own;
}

async function resolveInput(
  workplace: Workplace,
  { profile }: PlanRequest,
  { source }: AssetPlaces,
  input: PlannedInput,
): Promise<PlannedInput> {
  if (input.path !== undefined) return { ...input, digest: await pathDigest(workplace, input.path) };
  if (source.kind === 'directory') throw new RangeError('a directory has no manifest');
  const image = await locateImage(workplace, source);
  const wanted = { os: 'linux', architecture: profile.arch };
  const store = await openWorkplaceStore(workplace);
  if (image.source === undefined) {
    const found = await store.find(image.referenceName, wanted);
    if (found === undefined) throw notInStore(image.referenceName, workplace.store);
    return { ...input, digest: found.manifestDigest };
  }
  const options = workplace.signal === undefined ? {} : { signal: workplace.signal };
  const { manifestDigest } = await store.resolve(image.source, image.identifier, wanted, options);
  return { ...input, digest: manifestDigest };
}

/** Of a file's content; of a directory (GRUB's) over paths and digests of its files in tree order. */
async function pathDigest(workplace: Workplace, path: string): Promise<Digest> {
  const { files } = workplace.platform;
  if ((await files.info(path))?.kind !== 'directory')
    return contentDigest(workplace, ofSource(await files.source(path)));
  const tree = await treeOfDirectory(files, path);
  const lines: string[] = [];
  for (const entry of tree.entries) {
    if (entry.kind === 'file') lines.push(`${await contentDigest(workplace, entry.content)} ${entry.path}\n`);
  }
  return contentDigest(workplace, ofText(lines.join('')));
}

async function contentDigest({ platform, signal }: Workplace, bytes: Bytes): Promise<Digest> {
  const options = signal === undefined ? {} : { signal };
  return parseDigest(`sha256:${toHex(await digestOfBytes(bytes, platform.hash('sha256'), options))}`);
}
