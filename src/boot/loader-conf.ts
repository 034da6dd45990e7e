/** `loader/loader.conf`, the configuration of systemd-boot (spec boot-and-images 4.3). */

/** When systemd-boot enrols the keys it finds: in a virtual machine only, from its menu, at once, never. */
export type SecureBootEnrollment = 'if-safe' | 'manual' | 'force' | 'off';

/** The text for a medium. An ISO says `off` aloud, a disk leaves the line out. */
export function loaderConf(medium: 'iso' | 'disk', enrollment: SecureBootEnrollment): string {
  const common = '# systemd-boot configuration\n\ntimeout 10\n';
  return medium === 'disk' && enrollment === 'off' ? common : `${common}\nsecure-boot-enroll ${enrollment}\n`;
}
