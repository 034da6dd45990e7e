/** Boot menu entries of a UKI beside its main one, by the kind of output that holds it (specification profiles-and-inputs 1.6). */
import type { OutputKind } from './profile.ts';

export interface UkiProfile {
  readonly id: string;
  readonly title: string;
  /** Put behind the kernel command line. */
  readonly extraArguments: readonly string[];
}

const RESET: UkiProfile = {
  id: 'reset',
  title: 'Reset system disk',
  extraArguments: ['talos.experimental.wipe=system'],
};

const RESET_MAINTENANCE: UkiProfile = {
  id: 'reset-maintenance',
  title: 'Reset to maintenance mode',
  extraArguments: ['talos.experimental.wipe=system:EPHEMERAL,STATE'],
};

/** Only for versions that support UKI profiles. */
export const UKI_PROFILES: Readonly<Record<OutputKind, readonly UkiProfile[]>> = {
  iso: [RESET],
  image: [RESET_MAINTENANCE],
  installer: [RESET_MAINTENANCE],
  uki: [],
  kernel: [],
  initramfs: [],
  cmdline: [],
};
