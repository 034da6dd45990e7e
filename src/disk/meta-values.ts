/** What the META partition of a disk image holds. Source: spec boot-and-images 6.7, profiles-and-inputs 5.4. */
import { META_KEYS } from '../meta/key.ts';
import type { MetaValue } from '../meta/value.ts';
import type { Traits } from '../profiles/traits.ts';
import type { DiskBootloader } from './bootloader.ts';

/**
 * The values of the profile, and for dual-boot the one by which Talos knows at its first start that one of two boot loaders has to go: it takes the
 * place of a value with that key. `undefined` when there is nothing to say: then the partition stays zero.
 */
export function diskMetaValues(
  values: readonly MetaValue[],
  bootloader: DiskBootloader,
  { usesSdBootForUefi }: Pick<Traits, 'usesSdBootForUefi'>,
): readonly MetaValue[] | undefined {
  const tag = { key: META_KEYS.diskImageBootloader, value: 'dual-boot' };
  const all = bootloader === 'dual-boot' && usesSdBootForUefi ? [...values, tag] : values;
  return all.length === 0 ? undefined : all;
}
