/**
 * Features of ext4 volumes. Ours are the defaults of mke2fs 1.47.2 (`mke2fs.conf` as its authors ship it); Linux 5.15 is the first kernel
 * that mounts them all writable.
 */

/** Bits of `s_feature_compat`: who does not know them may still write. */
const COMPATIBLE = {
  hasJournal: 0x4,
  extendedAttributes: 0x8,
  resizeInode: 0x10,
  directoryIndex: 0x20,
  orphanFile: 0x1000,
} as const;

/** Bits of `s_feature_incompat`: who does not know them must not mount. */
export const INCOMPATIBLE = {
  fileType: 0x2,
  recover: 0x4,
  extents: 0x40,
  bits64: 0x80,
  flexibleGroups: 0x200,
  checksumSeed: 0x2000,
  largeDirectory: 0x4000,
} as const;

/** Bits of `s_feature_ro_compat`: who does not know them may only read. */
export const READ_ONLY_COMPATIBLE = {
  sparseSuper: 0x1,
  largeFile: 0x2,
  hugeFile: 0x8,
  manyLinks: 0x20,
  extraInodeSize: 0x40,
  metadataChecksums: 0x400,
} as const;

export const COMPATIBLE_BITS: number =
  COMPATIBLE.hasJournal |
  COMPATIBLE.extendedAttributes |
  COMPATIBLE.resizeInode |
  COMPATIBLE.directoryIndex |
  COMPATIBLE.orphanFile;

export const INCOMPATIBLE_BITS: number =
  INCOMPATIBLE.fileType |
  INCOMPATIBLE.extents |
  INCOMPATIBLE.bits64 |
  INCOMPATIBLE.flexibleGroups |
  INCOMPATIBLE.checksumSeed;

export const READ_ONLY_COMPATIBLE_BITS: number =
  READ_ONLY_COMPATIBLE.sparseSuper |
  READ_ONLY_COMPATIBLE.largeFile |
  READ_ONLY_COMPATIBLE.hugeFile |
  READ_ONLY_COMPATIBLE.manyLinks |
  READ_ONLY_COMPATIBLE.extraInodeSize |
  READ_ONLY_COMPATIBLE.metadataChecksums;
