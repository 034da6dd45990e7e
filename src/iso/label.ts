/** How an ISO volume is called. Talos looks for volumes whose label begins with `TALOS_`. Source: spec boot-and-images 5.5. */
import type { Traits } from '../profiles/traits.ts';

export interface IsoLabel {
  /** At most 32 of `A-Z 0-9 _`. */
  readonly volumeId: string;
  /** At most 128 characters of printable ASCII. */
  readonly volumeSetId: string;
}

/** What xorriso calls a volume without a name. */
const UNLABELLED: IsoLabel = { volumeId: 'ISOIMAGE', volumeSetId: '' };

const VOLUME_ID_SIZE = 32;
const VOLUME_SET_ID_SIZE = 128;

/** The label of an ISO with this Talos version, as the user gave it. */
export function isoLabel(version: string, traits: Pick<Traits, 'labelsIso'>): IsoLabel {
  if (!traits.labelsIso) return UNLABELLED;
  const label = `Talos-${version}`;
  const volumeId = label
    .toUpperCase()
    .replaceAll(/[-.]/g, '_')
    .replaceAll(/[^A-Z0-9_]/g, '');
  const volumeSetId = label.replaceAll(/[^\x20-\x7e]/gu, '_');
  return { volumeId: volumeId.slice(0, VOLUME_ID_SIZE), volumeSetId: volumeSetId.slice(0, VOLUME_SET_ID_SIZE) };
}
