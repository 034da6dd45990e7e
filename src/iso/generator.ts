/** Which of three kinds of ISO a build gets. Source: spec boot-and-images 5.1. */
import type { Architecture } from '../boot/architecture.ts';
import { ImagerError, invalid } from '../errors.ts';
import type { Bootloader } from '../profiles/profile.ts';
import type { Traits } from '../profiles/traits.ts';

/**
 * `hybrid`: GRUB for BIOS, systemd-boot for UEFI. `uefi`: systemd-boot alone. `grub`: GRUB for both.
 */
export type IsoGenerator = 'hybrid' | 'uefi' | 'grub';

export interface IsoChoice {
  readonly architecture: Architecture;
  readonly secureBoot: boolean;
  /** As the profile asks for it; absent gives the version's default. Versions before 1.12 have no choice. */
  readonly bootloader?: Bootloader | undefined;
  readonly traits: Pick<Traits, 'isoBootloaderIsChosen' | 'usesSdBootForUefi'>;
}

const GENERATOR_OF = { 'dual-boot': 'hybrid', 'sd-boot': 'uefi', grub: 'grub' } as const satisfies Partial<
  Record<Bootloader, IsoGenerator>
>;

/** Throws `invalid-input` for no bootloader at all, `unsupported` for dual-boot on arm64, which has no BIOS. */
export function isoGenerator({ architecture, secureBoot, bootloader, traits }: IsoChoice): IsoGenerator {
  if (secureBoot) return 'uefi';
  if (!traits.usesSdBootForUefi && (bootloader === undefined || !traits.isoBootloaderIsChosen)) return 'grub';
  if (!traits.isoBootloaderIsChosen) return 'hybrid';
  const chosen = bootloader ?? (architecture === 'arm64' ? 'sd-boot' : 'dual-boot');
  if (chosen === 'none') throw invalid('output.isoOptions.bootloader none: want dual-boot, sd-boot or grub');
  if (chosen === 'dual-boot' && architecture === 'arm64') {
    throw new ImagerError('unsupported', 'output.isoOptions.bootloader dual-boot on arm64: want sd-boot or grub');
  }
  return GENERATOR_OF[chosen];
}
