/** Which profiles can be built: upstream's own checks, and what upstream finds out only later or never (specification 2.7, 11). */
import { ImagerError, invalid } from '../errors.ts';
import { knownPlatform, PLATFORM_NAMES } from '../machineconfig/platform.ts';
import { nearName, quoted } from '../yaml/diagnostic.ts';
import { isSecureBoot } from './defaults.ts';
import { ARCHITECTURES, type Profile } from './profile.ts';
import type { Traits } from './traits.ts';

/**
 * Upstream's checks, in its order, on a profile with defaults. Throws `invalid-input` for all of them: upstream calls some
 * of them unsupported, but exits with 2 for each.
 */
export function checkProfile(profile: Profile, traits: Traits): void {
  const { arch, platform, version, output } = profile;
  if (!(ARCHITECTURES as readonly string[]).includes(arch)) {
    throw invalid(`arch${arch === '' ? ': missing' : ` ${quoted(arch)}`}: want amd64 or arm64`, archHint(arch));
  }
  if (platform === '')
    throw invalid('platform: missing: want the place it is for', { hint: 'for example metal or aws' });
  if (isSecureBoot(profile) && !traits.supportsUki) {
    throw invalid(`secureboot with Talos ${quoted(version)}: want 1.5.0 or later`);
  }
  CHECKS[output.kind](profile, traits);
}

/** What others call them. */
const ARCH_NAMES: ReadonlyMap<string, string> = new Map([
  ['x86_64', 'amd64'],
  ['x64', 'amd64'],
  ['aarch64', 'arm64'],
]);

type Check = (profile: Profile, traits: Traits) => void;

const CHECKS: Readonly<Record<Profile['output']['kind'], Check>> = {
  unknown: () => {
    throw invalid('output.kind: missing: want iso, image, installer, kernel, initramfs, uki or cmdline');
  },
  iso: ({ output }, traits) => {
    if (traits.isoBootloaderIsChosen && output.isoOptions?.bootloader === 'none') {
      throw invalid('output.isoOptions.bootloader none: want dual-boot, sd-boot or grub');
    }
  },
  image: ({ output }) => {
    const { diskSize = 0, bootloader = 'none' } = output.imageOptions ?? {};
    if (diskSize === 0) throw missingDiskSize();
    if (bootloader === 'none') throw invalid('output.imageOptions.bootloader none: want dual-boot, sd-boot or grub');
  },
  installer: (profile) => refuseMeta(profile),
  kernel: (profile) => refuseCustomization(profile),
  initramfs: (profile) => refuseCustomization(profile),
  uki: () => {},
  cmdline: () => {},
};

function refuseMeta({ customization, output }: Profile): void {
  if (customization.metaContents.length > 0) {
    throw invalid(`customization.metaContents for ${output.kind} output: want none, it has no place for them`);
  }
}

function refuseCustomization(profile: Profile): void {
  const { customization, output } = profile;
  if (isSecureBoot(profile)) throw invalid(`secureboot for ${output.kind} output: want false, it is not signed`);
  if (customization.extraKernelArgs.length > 0) {
    throw invalid(`customization.extraKernelArgs for ${output.kind} output: want none, it has no command line`);
  }
  refuseMeta(profile);
}

function missingDiskSize(): ImagerError {
  return invalid('output.imageOptions.diskSize: missing: want the size of the disk in bytes', {
    hint: 'the built-in profiles have 1306525696 or more',
  });
}

const SECTOR_SIZES = [0, 512, 4096];

/**
 * What upstream notices after it has built everything, or not at all. `given` is the profile before defaults, where a missing
 * disk size can still be told from one. Throws `invalid-input`, or `unsupported` for combinations nobody can build.
 */
export function checkBuildable(given: Profile, profile: Profile, traits: Traits): void {
  checkPlatform(profile.platform);
  checkOutput(given, profile, traits);
  checkCustomization(profile);
}

function checkPlatform(platform: string): void {
  if (knownPlatform(platform) !== undefined) return;
  throw invalid(
    `platform ${quoted(platform)}: want one of ${PLATFORM_NAMES.join(', ')}`,
    nearHint(platform, PLATFORM_NAMES),
  );
}

function checkOutput(given: Profile, { version, output }: Profile, traits: Traits): void {
  if (output.kind === 'uki' && !traits.supportsUki) {
    throw new ImagerError('unsupported', `UKI output with Talos ${quoted(version)}: want 1.5.0 or later`);
  }
  if (output.kind === 'image') {
    if ((given.output.imageOptions?.diskSize ?? 0) === 0) throw missingDiskSize();
    const { diskFormat = 'unknown', diskSectorSize = 0 } = output.imageOptions ?? {};
    if (diskFormat === 'unknown') {
      throw new ImagerError('unsupported', 'output.imageOptions.diskFormat: missing: want raw, qcow2, vhd or ova');
    }
    if (!SECTOR_SIZES.includes(diskSectorSize)) {
      throw invalid(`output.imageOptions.diskSectorSize ${diskSectorSize}: want 512 or 4096`);
    }
  }
  if (output.outFormat === 'unknown') throw invalid('output.outFormat: missing: want raw, .xz, .gz, .zst or .tar.gz');
}

function checkCustomization({ customization, overlay }: Profile): void {
  for (const [index, { key }] of customization.metaContents.entries()) {
    if (key === 0) throw invalid(`customization.metaContents[${index}].key 0x0: want 0x1 to 0xff`);
  }
  if (overlay?.name.split('/').some((segment) => segment === '..') || overlay?.name.includes('\0')) {
    throw invalid(`overlay.name ${quoted(overlay.name)}: want a name below the overlay's installers directory`);
  }
}

/** What can be built but may surprise: one sentence each. */
export function profileWarnings(given: Profile, profile: Profile, traits: Traits): readonly string[] {
  const { customization, overlay, version } = profile;
  const requested = requestedBootloader(given);
  return [
    ...when(
      overlay !== null && !traits.supportsOverlays,
      `Talos ${quoted(version)} does not know overlays (since 1.7.0)`,
    ),
    ...when(
      customization.embeddedMachineConfiguration !== '' && !traits.supportsEmbeddedConfig,
      `Talos ${quoted(version)} does not read an embedded machine configuration (since 1.12.0)`,
    ),
    ...when(
      isSecureBoot(profile) && requested !== 'none' && requested !== 'sd-boot',
      `secure boot needs sd-boot: the bootloader ${requested} is not used`,
    ),
  ];
}

function requestedBootloader({ output }: Profile): string {
  if (output.kind === 'iso') return output.isoOptions?.bootloader ?? 'none';
  return output.kind === 'image' ? (output.imageOptions?.bootloader ?? 'none') : 'none';
}

function when(condition: boolean, text: string): readonly string[] {
  return condition ? [text] : [];
}

function archHint(name: string): { readonly hint?: string } {
  const meant = ARCH_NAMES.get(name.trim()) ?? nearName(name, ARCHITECTURES);
  return meant === undefined ? {} : { hint: `did you mean ${meant}?` };
}

function nearHint(name: string, known: readonly string[]): { readonly hint?: string } {
  const meant = nearName(name, known);
  return meant === undefined ? {} : { hint: `did you mean ${meant}?` };
}
