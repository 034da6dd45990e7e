/** The overlay of a profile: its image fetched, and whether its program may run here. Source: spec profiles-and-inputs 8. */
import type { Digest } from '../bytes/units.ts';
import { ImagerError, invalid } from '../errors.ts';
import { parseReference } from '../oci/reference.ts';
import type { OverlayInstaller } from '../overlays/installer.ts';
import type { OverlayImage } from '../overlays/layout.ts';
import { type OverlayProfiles, overlayProfiles } from '../overlays/profiles.ts';
import { eraOfRelease } from '../overlays/protocol.ts';
import type { ContainerAsset, OverlayOptions, Profile } from '../profiles/profile.ts';
import { parseTalosVersion } from '../profiles/talos-version.ts';
import { nameForRules } from '../trust/rules.ts';
import { fetchTree } from './extension-images.ts';
import { containerSource, type ExtensionSource, nameOfExtension } from './extension-source.ts';
import type { ImageVerification } from './verify-image.ts';
import type { Workplace } from './workplace.ts';

export interface FetchedOverlay extends OverlayImage {
  readonly digest: Digest;
  readonly source: ExtensionSource;
  /** Whether its signatures were verified, just now or when what is pinned was planned. */
  readonly isVerified: boolean;
}

/** Where `overlay.image` comes from. Throws `invalid-input` when the profile does not say. */
export function overlaySource({ image }: OverlayOptions): ExtensionSource {
  return containerSource(image, 'overlay.image');
}

/** The image whose program runs here: for the architecture of this machine, whatever the target's is. Throws what pulling throws. */
export async function fetchOverlay(
  workplace: Workplace,
  overlay: OverlayOptions,
  pinned?: Digest,
): Promise<FetchedOverlay> {
  const { architecture } = workplace.platform;
  if (architecture === 'other') {
    throw new ImagerError(
      'unsupported',
      'overlay: its installer program runs on this machine, which is neither amd64 nor arm64',
    );
  }
  return fetchFor(workplace, overlaySource(overlay), architecture, pinned);
}

/** The image that goes into an installer, for the target; the one of `overlay.image` unless the profile has another. */
export async function fetchOverlayInstaller(
  workplace: Workplace,
  profile: Profile,
  pinned?: Digest,
): Promise<FetchedOverlay> {
  return fetchFor(workplace, overlayInstallerSource(profile), profile.arch, pinned);
}

/** Where it comes from. Throws `invalid-input` when the profile does not say. */
export function overlayInstallerSource({ input, overlay }: Profile): ExtensionSource {
  const own = input.overlayInstaller;
  return isGiven(own) ? containerSource(own, 'input.overlayInstaller') : overlaySource(overlay!);
}

function isGiven({ imageRef, ociPath, tarballPath }: ContainerAsset): boolean {
  return imageRef !== '' || ociPath !== '' || tarballPath !== '';
}

async function fetchFor(
  workplace: Workplace,
  source: ExtensionSource,
  architecture: string,
  pinned: Digest | undefined,
): Promise<FetchedOverlay> {
  const seen: ImageVerification[] = [];
  const around: Workplace = {
    ...workplace,
    onVerification(verification, warnings) {
      seen.push(verification);
      workplace.onVerification?.(verification, warnings);
    },
  };
  const { tree, digest } = await fetchTree(around, source, architecture, pinned, 'overlay');
  const verified = pinned === undefined ? seen : plannedUses(workplace, source);
  const isVerified = verified.length > 0 && verified.every(({ status }) => status === 'verified');
  return { tree, digest, source, image: nameOfExtension(source), isVerified };
}

/** What the plan found out about images of that name: one rule decides for all of them. */
function plannedUses(
  { planned = [] }: Workplace,
  source: ExtensionSource,
): readonly Pick<ImageVerification, 'status'>[] {
  if (source.kind !== 'image' || source.image.kind !== 'registry') return [];
  const image = nameForRules(parseReference(source.image.reference));
  return planned.filter((one) => one.image === image);
}

/**
 * Returns when the program of an overlay may run here: that of an image whose signatures were verified, of a file or layout on this machine, and any the user allowed. Throws
 * `verification`, and `unsupported` where no program may.
 */
export function requireRunnable(
  { overlayPrograms = 'verified' }: Workplace,
  { image, source, isVerified }: FetchedOverlay,
): void {
  if (overlayPrograms === 'forbidden') {
    throw new ImagerError('unsupported', `overlay image ${image}: its installer program may not run here`);
  }
  const isOwn = source.kind === 'tarball' || source.image.kind !== 'registry';
  if (isOwn || isVerified || overlayPrograms === 'allowed') return;
  throw new ImagerError('verification', `overlay image ${image}: not verified, so its installer program does not run`, {
    hint: 'say who signs it (--verify-key, --verify-identity, --policy), or allow it with --allow-overlay-program',
  });
}

/** The program a profile names, with what it is told. */
export function overlayInstaller(overlay: OverlayImage, { version, ...profile }: Profile): OverlayInstaller {
  const { name, options } = profile.overlay!;
  const talos = parseTalosVersion(version);
  return { overlay, name, options, era: eraOfRelease(talos?.major === 1 ? talos.minor : undefined) };
}

/**
 * The profiles that `overlay` brings, for `resolveProfile`; `baseProfileName` is the one that has to be right. Contacts registries where the image is not here. Throws
 * `invalid-input` for that profile, with file, line and column; what pulling throws.
 *
 * @example
 * const { profiles } = await fetchOverlayProfiles(workplace, given.overlay, given.baseProfileName);
 * const profile = finaliseProfile(resolveProfile(given, { overlayProfiles: profiles }));
 */
export async function fetchOverlayProfiles(
  workplace: Workplace,
  overlay: OverlayOptions,
  baseProfileName: string,
): Promise<OverlayProfiles> {
  if (baseProfileName === '') throw invalid('overlay profiles: want the name of a base profile');
  return overlayProfiles(await fetchOverlay(workplace, overlay), baseProfileName);
}
