/** What starts a disk. Source: spec boot-and-images 6.2, 6.6. */
import type { Architecture } from '../boot/architecture.ts';
import { ImagerError, invalid } from '../errors.ts';
import type { Bootloader } from '../profiles/profile.ts';
import type { Traits } from '../profiles/traits.ts';

/** `sd-boot`: systemd-boot, for UEFI alone. `grub`: GRUB for BIOS and UEFI. `dual-boot`: GRUB for BIOS, systemd-boot for UEFI. */
export type DiskBootloader = Exclude<Bootloader, 'none'>;

export interface DiskChoice {
  readonly bootloader: Bootloader;
  readonly architecture: Architecture;
  /** Bytes. */
  readonly sectorSize: number;
  readonly traits: Pick<Traits, 'supportsUki'>;
}

/** The boot loader, once it is sure that it can start such a disk. Throws `invalid-input` for none at all, else `unsupported`. */
export function diskBootloader({ bootloader, architecture, sectorSize, traits }: DiskChoice): DiskBootloader {
  const refusal = (what: string, hint?: string): ImagerError =>
    new ImagerError(
      'unsupported',
      `output.imageOptions.bootloader ${bootloader} ${what}`,
      hint === undefined ? {} : { hint },
    );
  if (bootloader === 'none') throw invalid('output.imageOptions.bootloader none: want dual-boot, sd-boot or grub');
  if (bootloader === 'dual-boot' && architecture === 'arm64') throw refusal('on arm64: want sd-boot or grub');
  if (bootloader !== 'grub' && !traits.supportsUki) throw refusal('before Talos 1.5, which has no UKI: want grub');
  if (bootloader === 'grub' && sectorSize !== 512) {
    // 100 MiB hold 25600 clusters of one sector, and FAT32 begins at 65525. Upstream goes on, but OVMF takes it for FAT16 and finds nothing in it.
    throw refusal(
      `with sectors of ${sectorSize} bytes: its EFI partition is too small to be a FAT32 of such sectors`,
      'sd-boot and dual-boot have a larger one',
    );
  }
  return bootloader;
}
