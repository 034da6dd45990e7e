/** The installer row of the output table: the base installer with the boot assets of this build in a layer of its own. */
import type { Bytes } from '../bytes/bytes.ts';
import {
  artifactEntries,
  type InstalledAssets,
  type InstallerTarget,
  installedBootloader,
} from '../installer/artifacts-layer.ts';
import { keptLayers } from '../installer/base.ts';
import { encodeImageConfig } from '../installer/image-config.ts';
import { overlayEntries } from '../installer/overlay-layer.ts';
import { loadedTags } from '../installer/tags.ts';
import { type ComposedBlob, type ComposedImage, composeImage } from '../oci/composed-image.ts';
import { layoutDockerArchive } from '../oci/local/docker-archive.ts';
import { inOciWords } from '../oci/media-types.ts';
import { parseReference } from '../oci/reference.ts';
import type { PulledLayer } from '../oci/store/store.ts';
import { DEFAULT_INSTALLER } from '../overlays/layout.ts';
import { encodeOptions } from '../overlays/protocol.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import type { BuildInput } from './build-input.ts';
import { type InstallerLayer, installerLayer } from './installer-layer.ts';
import { overlayInstaller } from './overlay-image.ts';
import { inspectedKernel, systemdBootOf, ukiOf } from './uki.ts';

/** As `docker load` reads it. Throws what `installerImage` throws. */
export async function installerOf(input: BuildInput): Promise<Bytes> {
  return installerArchive(input, await installerImage(input));
}

export function installerArchive({ profile }: Pick<BuildInput, 'profile'>, image: ComposedImage): Bytes {
  return layoutDockerArchive(image, loadedTags(profile.input.baseInstaller.imageRef));
}

/**
 * The image, referring to the store and the assets. Throws `invalid-input` for assets that are for another machine and for a base installer whose configuration is broken,
 * and what the makers of the parts throw.
 */
export async function installerImage(input: BuildInput): Promise<ComposedImage> {
  const { workplace, profile, epoch, baseInstaller } = input;
  const base = baseInstaller!;
  const kept = keptLayers(base.layers);
  const own = [await artifactsLayer(input), ...(await overlayLayer(input))];
  const config = encodeImageConfig({
    architecture: profile.arch,
    epoch,
    diffIds: [...kept, ...own].map(({ diffId }) => diffId),
    base: base.config.document,
    baseName: `base installer ${base.manifestDigest}`,
  });
  const layers = [...kept.map((layer) => carriedLayer(layer, profile)), ...own.map(({ blob }) => blob)];
  return composeImage(workplace.platform, { os: 'linux', architecture: profile.arch }, config, layers);
}

/** Bytes and digest stay; the media type becomes OCI's name for the same, as the manifest is OCI's. */
function carriedLayer({ descriptor, blob }: PulledLayer, { input }: FinalProfile): ComposedBlob {
  const { digest, size, mediaType } = descriptor;
  return {
    descriptor: { mediaType: inOciWords(mediaType), digest, size },
    bytes: blob,
    origins: originsOf(input.baseInstaller),
  };
}

/** Of a layout nobody knows which registry has it. */
function originsOf({ imageRef, ociPath }: FinalProfile['input']['baseInstaller']): ComposedBlob['origins'] {
  return ociPath === '' ? [parseReference(imageRef)] : [];
}

async function artifactsLayer(input: BuildInput): Promise<InstallerLayer> {
  const { arch, secureboot, traits } = input.profile;
  const target = { architecture: arch, secureBoot: secureboot === true, traits };
  return installerLayer(input.workplace, artifactEntries(await installedAssets(input, target), target));
}

/** What a node runs when it installs or upgrades itself; none without an overlay. */
async function overlayLayer({ workplace, profile, overlayInstaller: image }: BuildInput): Promise<InstallerLayer[]> {
  if (image === undefined) return [];
  const { name, options, era } = overlayInstaller(image, profile);
  const parts = {
    tree: image.tree,
    name: name || DEFAULT_INSTALLER,
    options: encodeOptions(options, era),
    image: image.image,
  };
  return [await installerLayer(workplace, overlayEntries(parts))];
}

async function installedAssets(input: BuildInput, target: InstallerTarget): Promise<InstalledAssets> {
  const bootloader = installedBootloader(target);
  if (bootloader === 'sd-boot') {
    return { bootloader, loader: await systemdBootOf(input), uki: (await ukiOf(input)).bytes };
  }
  await inspectedKernel(input);
  return { bootloader, kernel: input.assets.file('kernel'), initramfs: input.assets.file('initramfs') };
}
