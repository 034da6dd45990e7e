/** Which sections a UKI gets, in which order; systemd-stub measures them in an order of its own (`pcr-signature.ts`). Source: spec boot-and-images 1.1. */

/** Behind the stub's own. */
export const BASE_SECTIONS = [
  '.osrel',
  '.cmdline',
  '.uname',
  '.splash',
  '.pcrpkey',
  '.linux',
  '.initrd',
  '.profile',
  '.pcrsig',
] as const;

/** Of each further profile: they replace those of the same name when it is chosen. */
export const PROFILE_SECTIONS = ['.profile', '.cmdline', '.pcrsig'] as const;
