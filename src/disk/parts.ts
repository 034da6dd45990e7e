/** What disk images are made of, each piece finished. */
import type { Architecture } from '../boot/architecture.ts';
import type { EnrollmentKeys } from '../boot/esp.ts';
import type { SecureBootEnrollment } from '../boot/loader-conf.ts';
import type { Bytes } from '../bytes/bytes.ts';
import type { MetaValue } from '../meta/value.ts';
import type { Traits } from '../profiles/traits.ts';
import type { Tree } from '../tree/tree.ts';
import type { OverlayFiles } from './overlay-files.ts';
import type { DiskDimensions, PartitionTraits } from './partitions.ts';

/** systemd-boot and what it starts. */
export interface SystemdBoot {
  readonly loader: Bytes;
  /** From `buildUki`; with a sharing alignment what compresses the image finds kernel and initramfs in it again. */
  readonly uki: Bytes;
  readonly keys?: EnrollmentKeys;
}

/** GRUB for BIOS. */
export interface BiosGrub {
  /** `boot.img`, 512 bytes. */
  readonly bootImage: Uint8Array;
  /** From `composeDiskCore`; where it lies is still missing. */
  readonly core: Uint8Array;
}

/** What GRUB starts. */
export interface InstalledKernel {
  readonly kernel: Bytes;
  readonly initramfs: Bytes;
  /** One line, not yet quoted for GRUB. */
  readonly cmdline: string;
}

/** A boot loader with what it needs, no more. */
export type DiskParts =
  | { readonly bootloader: 'sd-boot'; readonly systemd: SystemdBoot }
  | ({ readonly bootloader: 'dual-boot'; readonly systemd: SystemdBoot; readonly bios: BiosGrub } & InstalledKernel)
  | ({
      readonly bootloader: 'grub';
      /** Absent on arm64, which has no BIOS. */
      readonly bios?: BiosGrub | undefined;
      /** The EFI program from `composeDiskCore`. */
      readonly efiCore: Uint8Array;
    } & InstalledKernel);

export interface DiskImageOptions extends Omit<DiskDimensions, 'imageCacheSize'> {
  /** The Talos version as the user gave it. */
  readonly version: string;
  readonly architecture: Architecture;
  readonly traits: PartitionTraits & Pick<Traits, 'usesSdBootForUefi' | 'hasGrubResetEntry' | 'xfsMkfsConfig'>;
  /** Seconds since 1970, 0..2^32-1: of every file. */
  readonly epoch: number;
  readonly meta: readonly MetaValue[];
  /** Images a node need not pull, in a partition of `imageCachePartitionSize`, which `size` has to include. */
  readonly imageCache?: Tree;
  /** What an overlay adds. */
  readonly overlay?: OverlayFiles;
  /** `off` unless given. */
  readonly enrollment?: SecureBootEnrollment;
}
