/** Which sections a UKI gets, in which order, and what of them systemd-stub measures. Source: spec boot-and-images 1.1. */

export interface UkiSectionRule {
  readonly name: string;
  /** Into PCR 11, in this order. */
  readonly measured: boolean;
  /** Only in a signed UKI. */
  readonly signed: boolean;
}

/** Behind the stub's own, of which `.sbat` is measured first. */
export const BASE_SECTIONS: readonly UkiSectionRule[] = [
  { name: '.osrel', measured: true, signed: false },
  { name: '.cmdline', measured: true, signed: false },
  { name: '.uname', measured: true, signed: false },
  { name: '.splash', measured: true, signed: false },
  { name: '.pcrpkey', measured: true, signed: true },
  { name: '.linux', measured: true, signed: false },
  { name: '.initrd', measured: true, signed: false },
  { name: '.profile', measured: true, signed: false },
  { name: '.pcrsig', measured: false, signed: true },
];

/** Of each further profile: they replace those of the same name when it is chosen. */
export const PROFILE_SECTIONS: readonly UkiSectionRule[] = [
  { name: '.profile', measured: true, signed: false },
  { name: '.cmdline', measured: true, signed: false },
  { name: '.pcrsig', measured: false, signed: true },
];
