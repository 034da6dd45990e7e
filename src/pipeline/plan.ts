/**
 * `Plan`: a build in which everything is decided: what goes in (by digest), what it is told, what comes out. It is JSON, so that it
 * can be shown, stored and compared; `planDigest` names what comes out of it.
 */
import { buildCmdline, type Cmdline } from '../boot/cmdline.ts';
import type { Digest } from '../bytes/units.ts';
import { invalid } from '../errors.ts';
import type { ArgumentWarning } from '../machineconfig/argument-warning.ts';
import { checkKernelArguments } from '../machineconfig/kernel-arguments.ts';
import { checkNetworkDocument } from '../machineconfig/network-document.ts';
import { formatMetaKey, META_KEYS } from '../meta/key.ts';
import type { MetaValue } from '../meta/value.ts';
import { parseReference, type Reference } from '../oci/reference.ts';
import { artifactFileName } from '../profiles/output-name.ts';
import type { OutputKind, Profile } from '../profiles/profile.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import { parseTalosVersion } from '../profiles/talos-version.ts';
import { checkOnMachine } from './acquire.ts';
import { type AssetPlaces, type AssetWishes, type InputRole, placeAssets } from './asset-places.ts';
import { formatAssetSource, parseAssetSource } from './asset-source.ts';
import { isCompressedFormat, type PlannedCompression, planCompression } from './compression.ts';
import { checkDisk } from './disk-plan.ts';
import { checkEpoch } from './epoch.ts';
import { planExtensions } from './extension-plan.ts';
import { type PlannedImageCache, planImageCache } from './image-cache-plan.ts';
import { hostsOfImage, resolveImagerImage } from './imager-image.ts';
import { digestOfPlace } from './input-digest.ts';
import { planBaseInstaller } from './installer-base.ts';
import { jsonOfMapping } from './json-of-mapping.ts';
import { type PlannedOverlay, planOverlay } from './overlay-plan.ts';
import { planSecureBoot } from './secureboot.ts';
import { unsupportedReasons } from './unsupported.ts';
import { hostsOfRoot, type ImageVerification, type OnVerification } from './verify-image.ts';
import type { Workplace } from './workplace.ts';

/** An image, a file or GRUB’s directory that goes into the output. */
export interface PlannedInput {
  readonly role: InputRole;
  /** Of an image, as given: a registry reference, `oci:DIR`, ... */
  readonly reference?: string;
  /** Of a file or directory on this machine. */
  readonly path?: string;
  /** Of the image's manifest for the architecture, or of the content; null in a plan that was not resolved. */
  readonly digest: Digest | null;
}

/** What will be built. */
export interface PlannedOutput {
  /** File name within the output directory. */
  readonly path: string;
  readonly kind: OutputKind;
  /** What it is packed into (`raw`, `.zst`, ...); the disk format of an image. */
  readonly format: string;
}

/** A build in which everything is decided, as JSON. */
export interface Plan {
  /** As finalised. */
  readonly profile: Profile;
  /** Seconds since 1970. */
  readonly epoch: number;
  readonly cmdline: string;
  readonly meta: readonly MetaValue[];
  readonly outputs: readonly PlannedOutput[];
  /** Absent when the output is not compressed. */
  readonly compression?: PlannedCompression;
  readonly inputs: readonly PlannedInput[];
  /** Who packs system extensions, with versions where that is not this project; absent when there are none, and in a plan that was not resolved. */
  readonly packers?: readonly string[];
  /** Absent when there is none, and in a plan that was not resolved. */
  readonly overlay?: PlannedOverlay;
  /** Absent when there is none, and before it is here. */
  readonly imageCache?: PlannedImageCache;
  /** Who vouches for the images among the inputs, or that nobody need; none before they are resolved. */
  readonly verifications: readonly ImageVerification[];
  /** `host[:port]` of every registry and mirror that may be contacted. */
  readonly hosts: readonly string[];
  readonly warnings: readonly string[];
  /** Why this cannot be built by this release; none when it can. */
  readonly unsupported: readonly string[];
}

/** A META value and the place it came from, for messages about its content. */
export interface MetaOrigin {
  readonly meta: MetaValue;
  /** `network.yaml`, `standard input`, or the flag itself. */
  readonly origin: string;
}

/** All that decides what comes out of a build. */
export interface PlanRequest extends AssetWishes {
  /** Seconds since 1970, 0..2^32-1: the time of everything in the output. */
  readonly epoch: number;
  /** Names for META values in messages: the file they came from. */
  readonly metaOrigins?: readonly MetaOrigin[];
  /** Take network documents as they are. */
  readonly skipNetworkCheck?: boolean;
  /** How hard to compress, as of the output format's own program; its usual level unless given. */
  readonly compressionLevel?: number;
}

/** How far planning goes. */
export interface PlanOptions {
  /** False contacts nothing, reads nothing and leaves digests null. */
  readonly resolve: boolean;
}

/**
 * Decides everything a build needs, and checks all that can be checked before a layer is fetched. Throws `invalid-input` for an epoch, a reference, META values,
 * arguments and a compression level that cannot work, `install` for a disk that is too small; when resolving also `io` for files that are not there and what asking for manifests throws.
 *
 * @example
 * const profile = finaliseProfile(resolveProfile({ baseProfileName: 'iso', arch: 'amd64' }));
 * const plan = await planBuild(workplace, { profile, epoch: DEFAULT_EPOCH }, { resolve: true });
 */
export async function planBuild(around: Workplace, request: PlanRequest, options: PlanOptions): Promise<Plan> {
  const { profile, epoch } = request;
  const verified = collectVerifications();
  const workplace: Workplace = { ...around, onVerification: verified.collect };
  checkEpoch(epoch);
  const networkWarnings = checkMeta(request);
  const overlay = await planOverlay(workplace, profile, options);
  const diskWarnings = profile.output.kind === 'image' ? checkDisk(profile, overlay.overlay?.offset) : [];
  const cmdline = cmdlineOf(profile, overlay.overlay?.kernelArgs);
  const compression = compressionOf(workplace, request);
  const assets = placeAssets(request);
  const hosts = hostsOfAssets(workplace, assets);
  const origins = originsOf(workplace, profile, assets);
  if (options.resolve) await checkOnMachine(workplace, assets.places);
  const inputs = options.resolve
    ? await resolveInputs(origins)
    : origins.map(({ input }) => ({ ...input, digest: null }));
  const base = await planBaseInstaller(workplace, profile, options);
  const extensions = await planExtensions(workplace, request, options);
  const keys = await planSecureBoot(workplace, profile, options);
  const cache = await planImageCache(workplace, request, options);
  const all = [...inputs, ...base.inputs, ...extensions.inputs, ...overlay.inputs, ...cache.inputs, ...keys];
  return {
    profile: documentOf(profile),
    epoch,
    cmdline: cmdline.text,
    meta: profile.customization.metaContents,
    outputs: [{ path: artifactFileName(profile), kind: profile.output.kind, format: formatOf(profile) }],
    ...(compression === undefined ? {} : { compression }),
    inputs: all,
    ...(extensions.packers === undefined ? {} : { packers: extensions.packers }),
    ...(overlay.overlay === undefined ? {} : { overlay: overlay.overlay }),
    ...(cache.imageCache === undefined ? {} : { imageCache: cache.imageCache }),
    verifications: verified.verifications,
    hosts: [
      ...new Set([
        ...hosts,
        ...base.hosts,
        ...extensions.hosts,
        ...overlay.hosts,
        ...cache.hosts,
        ...hostsOfRoot(workplace, all.flatMap(registryReference)),
      ]),
    ],
    warnings: [
      ...profile.warnings,
      ...verified.warnings,
      ...networkWarnings,
      ...diskWarnings,
      ...extensions.warnings,
      ...overlay.warnings,
      ...cache.warnings,
      ...checkKernelArguments(cmdline.text).map(argumentWarning),
      ...cmdline.warnings.map(({ message }) => message),
    ],
    unsupported: unsupportedReasons(profile),
  };
}

interface Verifications {
  readonly verifications: ImageVerification[];
  readonly warnings: string[];
  readonly collect: OnVerification;
}

function collectVerifications(): Verifications {
  const verifications: ImageVerification[] = [];
  const warnings: string[] = [];
  return {
    verifications,
    warnings,
    collect(verification, said) {
      verifications.push(verification);
      warnings.push(...said.filter((text) => !warnings.includes(text)));
    },
  };
}

/** Without what finalising added for the program's use. */
function documentOf({ traits: _, warnings: __, ...profile }: FinalProfile): Profile {
  const { overlay } = profile;
  return overlay === null ? profile : { ...profile, overlay: { ...overlay, options: jsonOfMapping(overlay.options) } };
}

function compressionOf(
  { platform }: Workplace,
  { profile, compressionLevel }: PlanRequest,
): PlannedCompression | undefined {
  const { outFormat } = profile.output;
  if (isCompressedFormat(outFormat)) return planCompression(platform.compression, outFormat, compressionLevel);
  if (compressionLevel === undefined) return undefined;
  throw invalid(`compression level ${compressionLevel}: output format ${outFormat} has none`);
}

function checkMeta({ profile, metaOrigins, skipNetworkCheck }: PlanRequest): string[] {
  if (profile.output.kind !== 'image') profile.customization.metaContents.forEach(checkMetaText);
  if (skipNetworkCheck === true) return [];
  const version = parseTalosVersion(profile.version);
  return profile.customization.metaContents
    .filter(({ key }) => key === META_KEYS.metalNetworkPlatformConfig)
    .flatMap(({ key, value }) => {
      const known = metaOrigins?.find(({ meta }) => meta.key === key && meta.value === value);
      const file = known?.origin ?? 'meta value 0xa';
      const options = version?.major === 1 ? { file, talosMinor: version.minor } : { file };
      return checkNetworkDocument(value, options).warnings;
    });
}

/** Control bytes would survive the environment, but no value Talos reads has any: one that does came from the wrong file. */
function checkMetaText({ key, value }: MetaValue): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for; tab and line breaks are text
  const found = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.exec(value);
  if (found === null) return;
  const code = found[0].charCodeAt(0).toString(16).padStart(2, '0');
  throw invalid(`meta value ${formatMetaKey(key)}: control byte 0x${code} at character ${found.index + 1}, want text`, {
    hint: 'is the file the right one? A disk image stores any value in its META partition',
  });
}

function cmdlineOf(profile: FinalProfile, overlayArguments: readonly string[] = []): Cmdline {
  return buildCmdline({
    platform: profile.platform,
    architecture: profile.arch,
    kind: profile.output.kind,
    secureBoot: profile.secureboot === true,
    traits: profile.traits,
    overlayArguments,
    meta: profile.customization.metaContents,
    extraArguments: profile.customization.extraKernelArgs,
  });
}

function argumentWarning({ argument, message, hint }: ArgumentWarning): string {
  const said = `kernel argument ${argument}: ${message}`;
  return hint === undefined ? said : `${said} (${hint})`;
}

function formatOf({ output }: FinalProfile): string {
  return output.kind === 'image' ? (output.imageOptions?.diskFormat ?? 'raw') : output.outFormat;
}

function hostsOfAssets(workplace: Workplace, { source, places }: AssetPlaces): string[] {
  const needsImage = places.some((place) => place.in === 'image');
  return needsImage && source.kind !== 'directory' ? hostsOfImage(workplace, source) : [];
}

/** None of what is no image of a registry. */
function registryReference({ reference }: PlannedInput): Reference[] {
  if (reference === undefined) return [];
  const source = parseAssetSource(reference);
  return source.kind === 'registry' ? [parseReference(source.reference)] : [];
}

/** An input as the plan names it, and how its digest is found. */
interface InputOrigin {
  readonly input: Omit<PlannedInput, 'digest'>;
  readonly digest: () => Promise<Digest>;
}

/** The image, if anything comes from it, then what lies on this machine. */
function originsOf(workplace: Workplace, { arch }: FinalProfile, { source, places }: AssetPlaces): InputOrigin[] {
  const own = places
    .filter((place) => place.in === 'machine')
    .map((place): InputOrigin => {
      const { role, path } = place;
      return { input: { role, path }, digest: () => digestOfPlace(workplace, place) };
    });
  if (source.kind === 'directory' || own.length === places.length) return own;
  const image: InputOrigin = {
    input: { role: 'imager-image', reference: formatAssetSource(source) },
    digest: () => resolveImagerImage(workplace, source, arch),
  };
  return [image, ...own];
}

async function resolveInputs(origins: readonly InputOrigin[]): Promise<PlannedInput[]> {
  const inputs: PlannedInput[] = [];
  for (const { input, digest } of origins) inputs.push({ ...input, digest: await digest() });
  return inputs;
}
