/** The disk image row of the output table: finishes the pieces the chosen boot loader needs. */
import { composeDiskCore } from '../boot/grub-image.ts';
import { type EfiPlatform, type GrubPlatform, readGrubFile } from '../boot/grub-modules.ts';
import type { Bytes } from '../bytes/bytes.ts';
import { bootPartitionFeatures } from '../disk/boot-partition.ts';
import { diskBootloader } from '../disk/bootloader.ts';
import { buildDisk } from '../disk/build.ts';
import { imageCachePartitionSize } from '../disk/image-cache-partition.ts';
import { layoutPartitions } from '../disk/partitions.ts';
import type { BiosGrub, DiskImageOptions, DiskParts, InstalledKernel, SystemdBoot } from '../disk/parts.ts';
import { knownXfsFeatures } from '../formats/grub/xfs-features.ts';
import { INCOMPATIBLE } from '../formats/xfs/features.ts';
import type { Architecture } from '../profiles/profile.ts';
import type { Tree } from '../tree/tree.ts';
import { diskChoice } from './asset-places.ts';
import type { BuildInput } from './build-input.ts';
import { inDiskFormat } from './disk-format.ts';
import { diskDimensions } from './disk-plan.ts';
import { keptCore } from './grub-core.ts';
import { platformFiles } from './grub-files.ts';
import { needsSigning } from './secureboot.ts';
import { enrollmentOf, inspectedKernel, systemdBootOf, ukiOf } from './uki.ts';

/** The whole disk in its format, referring to the assets. Throws what `buildDisk`, the makers of its parts and `inDiskFormat` throw. */
export async function diskOf(input: BuildInput): Promise<Bytes> {
  const { profile, epoch, imageCache } = input;
  const { size, sectorSize } = diskDimensions(profile);
  const cache = imageCache === undefined ? {} : { imageCache };
  const cacheSize = imageCache === undefined ? 0 : imageCachePartitionSize(imageCache, epoch);
  const dimensions = { size: size + cacheSize, sectorSize, entriesOffset: input.overlay?.planned.offset ?? 0 };
  const disk = buildDisk(await partsOf(input), {
    ...dimensions,
    ...cache,
    ...(await overlayFilesOf(input, dimensions, cacheSize)),
    version: profile.version,
    architecture: profile.arch,
    traits: profile.traits,
    meta: profile.customization.metaContents,
    epoch,
    ...(needsSigning(profile) ? { enrollment: profile.output.imageOptions?.sdBootEnrollKeys ?? 'if-safe' } : {}),
  });
  return inDiskFormat(input, disk);
}

/** Its program sees a disk of the size this one gets. */
async function overlayFilesOf(
  input: BuildInput,
  dimensions: Required<DiskDimensionsOfOverlay>,
  cacheSize: number,
): Promise<Pick<DiskImageOptions, 'overlay'>> {
  const { overlay, profile } = input;
  if (overlay === undefined) return {};
  const cache = cacheSize === 0 ? {} : { imageCacheSize: cacheSize };
  const bootloader = diskBootloader(diskChoice(profile));
  const table = layoutPartitions(bootloader, profile.traits, { ...dimensions, ...cache });
  const { installOverlay } = await import('./overlay-install.ts');
  return { overlay: await installOverlay(input, overlay.fetched, dimensions.size, table) };
}

type DiskDimensionsOfOverlay = Pick<DiskImageOptions, 'size' | 'sectorSize' | 'entriesOffset'>;

async function partsOf(input: BuildInput): Promise<DiskParts> {
  const bootloader = diskBootloader(diskChoice(input.profile));
  switch (bootloader) {
    case 'sd-boot':
      return { bootloader, systemd: await systemdParts(input) };
    case 'dual-boot':
      return {
        bootloader,
        ...(await installedKernel(input)),
        systemd: await systemdParts(input),
        bios: await biosGrub(input),
      };
    case 'grub':
      return { bootloader, ...(await installedKernel(input)), ...(await everyGrub(input)) };
  }
}

async function systemdParts(input: BuildInput): Promise<SystemdBoot> {
  const { keys } = await enrollmentOf(input);
  return {
    loader: await systemdBootOf(input),
    uki: (await ukiOf(input)).bytes,
    ...(keys === undefined ? {} : { keys }),
  };
}

async function installedKernel(input: BuildInput): Promise<InstalledKernel> {
  await inspectedKernel(input);
  const { assets, cmdline } = input;
  return { kernel: assets.file('kernel'), initramfs: assets.file('initramfs'), cmdline };
}

const EFI_PLATFORM = { amd64: 'x86_64-efi', arm64: 'arm64-efi' } as const satisfies Record<Architecture, EfiPlatform>;

/** arm64 machines have no BIOS. */
async function everyGrub(
  input: BuildInput,
): Promise<{ readonly bios: BiosGrub | undefined; readonly efiCore: Uint8Array }> {
  const { arch } = input.profile;
  return {
    bios: arch === 'arm64' ? undefined : await biosGrub(input),
    efiCore: await diskCore(input, EFI_PLATFORM[arch]),
  };
}

async function biosGrub(input: BuildInput): Promise<BiosGrub> {
  const files = platformFiles(input.assets.grub!, 'i386-pc');
  return { bootImage: await readGrubFile(files, 'boot.img'), core: await diskCore(input, 'i386-pc') };
}

async function diskCore(input: BuildInput, platform: GrubPlatform): Promise<Uint8Array> {
  const { workplace, assets } = input;
  const grub = assets.grub!;
  const files = platformFiles(grub, platform);
  await warnOfOldGrub(input, files, platform);
  return keptCore(workplace, grub, `${platform}-disk`, {}, () => composeDiskCore(files, platform));
}

/** A GRUB that is older than the XFS of BOOT starts and then finds nothing. */
async function warnOfOldGrub({ workplace, profile }: BuildInput, files: Tree, platform: GrubPlatform): Promise<void> {
  const known = knownXfsFeatures(await readGrubFile(files, 'xfs.mod'));
  const unknown = known === undefined ? 0 : bootPartitionFeatures(profile.traits) & ~known;
  if (unknown === 0) return;
  const names = Object.entries(INCOMPATIBLE).flatMap(([name, bit]) => ((unknown & bit) === 0 ? [] : [name]));
  workplace.onWarning?.(
    `GRUB for ${platform} is too old to read the BOOT partition of Talos ${profile.version}: it does not know the XFS features ${names.join(' and ')}`,
  );
}
