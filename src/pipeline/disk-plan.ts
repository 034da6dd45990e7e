/** What of a disk image is decided and checked before anything is fetched. */
import { alignUp } from '../bytes/bytes.ts';
import { MIB } from '../bytes/units.ts';
import { type DiskBootloader, diskBootloader } from '../disk/bootloader.ts';
import { diskMetaValues } from '../disk/meta-values.ts';
import { layoutPartitions, smallestDiskSize } from '../disk/partitions.ts';
import type { DiskImageOptions } from '../disk/parts.ts';
import { META_KEYS } from '../meta/key.ts';
import { checkMetaPartition } from '../meta/partition.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import { diskChoice } from './asset-places.ts';
import { checkDiskFormatOptions } from './disk-format.ts';

/**
 * `entriesOffset` is in sectors. Warnings, one sentence each. Throws `install` for a disk that is too small, `invalid-input` for META values that do not fit,
 * `unsupported` for a boot loader that cannot start such a disk, both for options its format does not have.
 */
export function checkDisk(profile: FinalProfile, entriesOffset = 0): string[] {
  const bootloader = diskBootloader(diskChoice(profile));
  const dimensions = diskDimensions(profile);
  layoutPartitions(bootloader, profile.traits, { ...dimensions, entriesOffset });
  if (profile.output.imageOptions !== null) checkDiskFormatOptions(profile.output.imageOptions);
  const { metaContents } = profile.customization;
  checkMetaPartition(diskMetaValues(metaContents, bootloader, profile.traits));
  return [...sectorWarnings(bootloader, dimensions.sectorSize), ...metaWarnings(profile, bootloader)];
}

/** Size and sectors of the disk. */
export function diskDimensions(profile: FinalProfile): Required<Pick<DiskImageOptions, 'size' | 'sectorSize'>> {
  const { sectorSize } = diskChoice(profile);
  return { size: profile.output.imageOptions?.diskSize ?? 0, sectorSize };
}

/** The same with the smallest disk its partitions fit, in whole MiB, as hypervisors count. What is no disk stays as it is. */
export function withSmallestDisk(profile: FinalProfile): FinalProfile {
  const { output, traits } = profile;
  if (output.kind !== 'image' || output.imageOptions === null) return profile;
  const { sectorSize } = diskDimensions(profile);
  const least = smallestDiskSize(diskBootloader(diskChoice(profile)), traits, { sectorSize });
  return { ...profile, output: { ...output, imageOptions: { ...output.imageOptions, diskSize: alignUp(least, MIB) } } };
}

function sectorWarnings(bootloader: DiskBootloader, sectorSize: number): string[] {
  if (bootloader !== 'dual-boot' || sectorSize === 512) return [];
  // boot.img and diskboot.img count in sectors of 512 bytes whatever the BIOS does.
  return [
    `with sectors of ${sectorSize} bytes only UEFI starts the disk: GRUB's boot sectors for BIOS know 512 bytes alone`,
  ];
}

function metaWarnings({ customization: { metaContents }, traits }: FinalProfile, bootloader: DiskBootloader): string[] {
  const own = metaContents.some(({ key }) => key === META_KEYS.diskImageBootloader);
  const isReplaced = own && diskMetaValues([], bootloader, traits) !== undefined;
  return isReplaced ? ['META value 0x11 is replaced by dual-boot: the image says by it how it starts'] : [];
}
