/** File names of build results (specification profiles-and-inputs 2.10). */
import { isSecureBoot } from './defaults.ts';
import type { Profile } from './profile.ts';

type NameParts = Pick<Profile, 'arch' | 'platform' | 'secureboot' | 'output'>;

/** The asset itself, before it is compressed. */
export function outputFileName(profile: NameParts): string {
  const { arch, platform, output } = profile;
  const suffix = isSecureBoot(profile) ? '-secureboot' : '';
  const name = `${platform}-${arch}${suffix}`;
  switch (output.kind) {
    case 'image':
      return `${name}.${output.imageOptions?.diskFormat ?? 'unknown'}`;
    case 'installer':
      return `installer-${arch}${suffix}.tar`;
    case 'kernel':
      return `kernel-${arch}`;
    case 'initramfs':
      return `initramfs-${name}.xz`;
    case 'uki':
      return `${name}-uki.efi`;
    case 'cmdline':
      return `cmdline-${name}`;
    default:
      return `${name}.${output.kind}`;
  }
}

/** What lies in the output directory at the end: with the suffix of the output format. */
export function artifactFileName(profile: NameParts): string {
  const { outFormat } = profile.output;
  const suffix = outFormat.startsWith('.') ? outFormat : '';
  return outputFileName(profile) + suffix;
}
