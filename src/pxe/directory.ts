/** What a directory for network boot holds. */
import type { OutputKind } from '../profiles/profile.ts';

/** What decides it. */
export interface PxeChoice {
  readonly secureBoot: boolean;
  /** Of the Talos version. */
  readonly supportsUki: boolean;
}

/**
 * Output kinds of the files beside the script, the one that is made of most inputs first. With SecureBoot only a signed UKI boots, so kernel and initramfs
 * apart from it are of no use.
 */
export function pxeKinds({ secureBoot, supportsUki }: PxeChoice): readonly OutputKind[] {
  if (secureBoot) return ['uki', 'cmdline'];
  return [...(supportsUki ? (['uki'] as const) : []), 'initramfs', 'kernel', 'cmdline'];
}

/** Algorithms of the checksum files, by their names. */
export const CHECKSUM_FILES = { SHA256SUMS: 'sha256', SHA512SUMS: 'sha512' } as const;
