/** The one door to the three generators. */
import { checkEpoch } from '../boot/epoch.ts';
import type { Bytes } from '../bytes/bytes.ts';
import { type GrubIsoParts, layoutGrubIso } from './grub.ts';
import { type HybridParts, layoutHybridIso } from './hybrid.ts';
import type { IsoOptions, SystemdBoot } from './parts.ts';
import { layoutUefiIso } from './uefi.ts';

/** A generator with what it needs, no more. */
export type IsoParts =
  | ({ readonly generator: 'hybrid' } & HybridParts)
  | ({ readonly generator: 'grub' } & GrubIsoParts)
  | { readonly generator: 'uefi'; readonly systemd: SystemdBoot };

/** The whole image, nothing of it read. Throws `invalid-input` where the epoch, the version or a part does not fit. */
export function buildIso(parts: IsoParts, options: IsoOptions): Bytes {
  checkEpoch(options.epoch);
  switch (parts.generator) {
    case 'hybrid':
      return layoutHybridIso(parts, options);
    case 'grub':
      return layoutGrubIso(parts, options);
    case 'uefi':
      return layoutUefiIso(parts.systemd, options);
  }
}
