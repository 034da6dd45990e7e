/**
 * Feature sets of XFS volumes. A volume is made for the oldest kernel that has to mount it, so the sets are those of the `lts_*.conf` files
 * of xfsprogs (spec boot-and-images 6.8). All are version 5 (checksums) with ftype, finobt, sparse inodes, reflink, inobtcount and bigtime.
 */
export type FeatureSet = 'lts_6.1' | 'lts_6.6' | 'lts_6.12' | 'lts_6.18';

export interface Features {
  /** A reverse mapping B+tree per allocation group: who owns each block. */
  readonly rmapbt: boolean;
  /** 64-bit counts of extents in inodes. */
  readonly nrext64: boolean;
  /** Contents of two files can be exchanged atomically. Nothing on the disk but the bit. */
  readonly exchange: boolean;
  /** Each inode names the directories that hold it, in extended attributes. */
  readonly parent: boolean;
}

export const FEATURE_SETS: Readonly<Record<FeatureSet, Features>> = {
  'lts_6.1': { rmapbt: false, nrext64: false, exchange: false, parent: false },
  'lts_6.6': { rmapbt: true, nrext64: true, exchange: false, parent: false },
  'lts_6.12': { rmapbt: true, nrext64: true, exchange: false, parent: false },
  'lts_6.18': { rmapbt: true, nrext64: true, exchange: true, parent: true },
};

/** Bits of `sb_features_ro_compat`. */
export const READ_ONLY_COMPATIBLE = { finobt: 1, rmapbt: 2, reflink: 4, inobtcount: 8 } as const;

/** Bits of `sb_features_incompat`. */
export const INCOMPATIBLE = {
  ftype: 1,
  sparse: 2,
  metaUuid: 4,
  bigtime: 8,
  needsRepair: 0x10,
  nrext64: 0x20,
  exchange: 0x40,
  parent: 0x80,
} as const;

export function readOnlyCompatibleBits(features: Features): number {
  const { finobt, rmapbt, reflink, inobtcount } = READ_ONLY_COMPATIBLE;
  return finobt | reflink | inobtcount | (features.rmapbt ? rmapbt : 0);
}

export function incompatibleBits(features: Features): number {
  const { ftype, sparse, bigtime, nrext64, exchange, parent } = INCOMPATIBLE;
  return (
    ftype |
    sparse |
    bigtime |
    (features.nrext64 ? nrext64 : 0) |
    (features.exchange ? exchange : 0) |
    (features.parent ? parent : 0)
  );
}
