/** The one door to the three generators. */
import type { Bytes } from '../bytes/bytes.ts';
import { invalid } from '../errors.ts';
import { type GrubIsoParts, layoutGrubIso } from './grub.ts';
import { type HybridParts, layoutHybridIso } from './hybrid.ts';
import type { IsoOptions, SystemdBoot } from './parts.ts';
import { layoutUefiIso } from './uefi.ts';

/** A generator with what it needs, no more. */
export type IsoParts =
  | ({ readonly generator: 'hybrid' } & HybridParts)
  | ({ readonly generator: 'grub' } & GrubIsoParts)
  | { readonly generator: 'uefi'; readonly systemd: SystemdBoot };

/** FAT and PE have no later times than 32 bits hold, and none before 1970. */
const LATEST_EPOCH = 0xffffffff;

/** The whole image, nothing of it read. Throws `invalid-input` where the epoch, the version or a part does not fit. */
export function buildIso(parts: IsoParts, options: IsoOptions): Bytes {
  const { epoch } = options;
  if (!Number.isInteger(epoch) || epoch < 0 || epoch > LATEST_EPOCH) {
    throw invalid(`epoch ${epoch}: want whole seconds since 1970, 0..${LATEST_EPOCH}`);
  }
  switch (parts.generator) {
    case 'hybrid':
      return layoutHybridIso(parts, options);
    case 'grub':
      return layoutGrubIso(parts, options);
    case 'uefi':
      return layoutUefiIso(parts.systemd, options);
  }
}
