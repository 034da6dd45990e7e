/** What ISOs are made of, each piece finished. */
import type { Architecture } from '../boot/architecture.ts';
import type { EnrollmentKeys } from '../boot/esp.ts';
import type { EfiPlatform } from '../boot/grub-modules.ts';
import type { SecureBootEnrollment } from '../boot/loader-conf.ts';
import type { Bytes } from '../bytes/bytes.ts';
import type { UkiLayout } from '../formats/pe/uki.ts';
import type { Traits } from '../profiles/traits.ts';
import type { Tree } from '../tree/tree.ts';
import type { BiosBoot } from './system-area.ts';

/** systemd-boot and what it starts. */
export interface SystemdBoot {
  readonly loader: Bytes;
  /** From `buildUki`; with a sharing alignment of 2048 or more its kernel and initramfs are not stored again. */
  readonly uki: Pick<UkiLayout, 'bytes' | 'sections'>;
  readonly keys?: EnrollmentKeys;
  /** The signer's certificate in DER form. */
  readonly certificate?: Bytes;
}

/** GRUB for BIOS: the core image from `composeElToritoImage`, and the i386-pc directory its modules come from. */
export interface BiosGrub extends BiosBoot {
  readonly files: Tree;
}

/** GRUB for UEFI: the core image from `composeIsoEfiCore` with the `isoIdentifier` of the epoch, and the platform directory. */
export interface EfiGrub {
  readonly platform: EfiPlatform;
  readonly files: Tree;
  readonly core: Uint8Array;
}

/** What hybrid and GRUB ISOs need beside GRUB itself. */
export interface KernelParts {
  readonly kernel: Bytes;
  readonly initramfs: Bytes;
  /** One line, not yet quoted for GRUB. */
  readonly cmdline: string;
  /** `unicode.pf2`. */
  readonly font?: Bytes;
}

export interface IsoOptions {
  /** The Talos version as the user gave it. */
  readonly version: string;
  readonly architecture: Architecture;
  readonly traits: Pick<Traits, 'labelsIso' | 'hasGrubResetEntry'>;
  /** Seconds since 1970, 0..2^32-1: of every file and of the volume. */
  readonly epoch: number;
  /** `off` unless given. */
  readonly enrollment?: SecureBootEnrollment;
  /** Images Talos need not pull. */
  readonly imageCache?: Tree;
}

/** Who made the volume, as its descriptor says. Without a version, so that an update alone changes no image. */
export const PREPARER_ID = 'BOOTWRIGHT';
