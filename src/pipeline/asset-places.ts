/** Which boot assets an output is made of, and where each of them lies: decided without looking. */
import { type DiskBootloader, type DiskChoice, diskBootloader } from '../disk/bootloader.ts';
import { type InstalledAssets, installedBootloader } from '../installer/artifacts-layer.ts';
import { type IsoChoice, type IsoGenerator, isoGenerator } from '../iso/generator.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import type { AssetSource } from './asset-source.ts';

/** An asset that is one file. */
export type FileRole = 'kernel' | 'initramfs' | 'systemd-stub' | 'systemd-boot';

/** `grub` is a directory: GRUB's platform directories. */
export type AssetRole = FileRole | 'grub';

/** What a build is made of: `imager-image` brings every asset that no path names. */
export type InputRole =
  | AssetRole
  | 'imager-image'
  | 'system-extension'
  | 'image-cache'
  | 'base-installer'
  | 'secureboot-certificate'
  | 'pcr-key'
  | 'secureboot-database'
  | 'overlay'
  | 'overlay-installer';

/** Where one asset is. */
export interface AssetPlace {
  readonly role: AssetRole;
  /** In the imager image, or a path on this machine. */
  readonly in: 'image' | 'machine';
  /** Absolute within the image. */
  readonly path: string;
}

export interface AssetPlaces {
  readonly source: AssetSource;
  readonly places: readonly AssetPlace[];
}

/** A profile, and where its assets are to come from. */
export interface AssetWishes {
  readonly profile: FinalProfile;
  /** Where the assets come from for which the profile has no path of its own; the imager image of the version unless given. */
  readonly assets?: AssetSource;
  /** Directory with GRUB's platform directories (`i386-pc`, ...), in place of the imager image's. */
  readonly grubDirectory?: string;
}

/** Bytes, where a profile says nothing. */
const DEFAULT_SECTOR_SIZE = 512;

/** In images as on Debian-like machines. */
export const GRUB_DIRECTORY = '/usr/lib/grub';

/** The image a version's boot assets come from by default. */
export function defaultAssets(version: string): AssetSource {
  return { kind: 'registry', reference: `ghcr.io/siderolabs/imager:${version}` };
}

/**
 * A path that is the profile's default means that file of the imager image, any other is a file of the user's. GRUB comes from the imager image
 * too; when the profile names every file itself and no source was given, from this machine, so that nothing is pulled for it alone.
 * Throws what `isoGenerator` and `diskBootloader` throw.
 */
export function placeAssets({ profile, assets, grubDirectory }: AssetWishes): AssetPlaces {
  const source = assets ?? defaultAssets(profile.version);
  const inSource = (role: AssetRole, path: string): AssetPlace =>
    source.kind === 'directory'
      ? { role, in: 'machine', path: `${source.directory}${path}` }
      : { role, in: 'image', path };
  const onMachine = (role: AssetRole, path: string): AssetPlace => ({ role, in: 'machine', path });

  const { files, grub } = needsOf(profile);
  const places = files.map((role): AssetPlace => {
    const { path, isDefault } = pathOf(profile, role);
    return isDefault ? inSource(role, path) : onMachine(role, path);
  });
  if (!grub) return { source, places };
  const isLocal = assets === undefined && places.every((place) => place.in === 'machine');
  const ownDirectory = grubDirectory ?? (isLocal ? GRUB_DIRECTORY : undefined);
  const grubPlace = ownDirectory === undefined ? inSource('grub', GRUB_DIRECTORY) : onMachine('grub', ownDirectory);
  return { source, places: [...places, grubPlace] };
}

interface Needs {
  readonly files: readonly FileRole[];
  readonly grub: boolean;
}

const UKI_FILES = ['kernel', 'initramfs', 'systemd-stub'] as const;
const SYSTEMD_FILES = [...UKI_FILES, 'systemd-boot'] as const;

const ISO_NEEDS = {
  grub: { files: ['kernel', 'initramfs'], grub: true },
  hybrid: { files: SYSTEMD_FILES, grub: true },
  uefi: { files: SYSTEMD_FILES, grub: false },
} as const satisfies Record<IsoGenerator, Needs>;

const DISK_NEEDS = {
  grub: { files: ['kernel', 'initramfs'], grub: true },
  'dual-boot': { files: SYSTEMD_FILES, grub: true },
  'sd-boot': { files: SYSTEMD_FILES, grub: false },
} as const satisfies Record<DiskBootloader, Needs>;

/** GRUB itself is in the base installer. */
const INSTALLER_NEEDS = {
  'sd-boot': { files: SYSTEMD_FILES, grub: false },
  grub: { files: ['kernel', 'initramfs'], grub: false },
} as const satisfies Record<InstalledAssets['bootloader'], Needs>;

function needsOf(profile: FinalProfile): Needs {
  switch (profile.output.kind) {
    case 'cmdline':
      return { files: [], grub: false };
    case 'kernel':
    case 'initramfs':
      return { files: [profile.output.kind], grub: false };
    case 'uki':
      return { files: UKI_FILES, grub: false };
    case 'iso':
      return isoNeeds(profile);
    case 'image':
      return DISK_NEEDS[diskBootloader(diskChoice(profile))];
    case 'installer':
      return INSTALLER_NEEDS[installedBootloader({ secureBoot: profile.secureboot === true, traits: profile.traits })];
  }
}

function isoNeeds(profile: FinalProfile): Needs {
  const generator = isoGenerator(isoChoice(profile));
  // The GRUB of a hybrid ISO is for BIOS, which arm64 machines do not have.
  return generator === 'hybrid' && profile.arch === 'arm64' ? ISO_NEEDS.uefi : ISO_NEEDS[generator];
}

/** What decides which kind of ISO a profile gets. */
export function isoChoice({ arch, secureboot, output, traits }: FinalProfile): IsoChoice {
  return {
    architecture: arch,
    secureBoot: secureboot === true,
    bootloader: output.isoOptions?.bootloader,
    traits,
  };
}

/** What decides how a disk image starts. */
export function diskChoice({ arch, output, traits }: FinalProfile): DiskChoice {
  const { bootloader = 'none', diskSectorSize = 0 } = output.imageOptions ?? {};
  return { bootloader, architecture: arch, sectorSize: diskSectorSize || DEFAULT_SECTOR_SIZE, traits };
}

const FILES = {
  kernel: { field: 'kernel', name: 'vmlinuz' },
  initramfs: { field: 'initramfs', name: 'initramfs.xz' },
  'systemd-stub': { field: 'sdStub', name: 'systemd-stub.efi' },
  'systemd-boot': { field: 'sdBoot', name: 'systemd-boot.efi' },
} as const satisfies Record<FileRole, { readonly field: keyof FinalProfile['input']; readonly name: string }>;

function pathOf({ arch, input }: FinalProfile, role: FileRole): { readonly path: string; readonly isDefault: boolean } {
  const { field, name } = FILES[role];
  const { path } = input[field];
  return { path, isDefault: path === `/usr/install/${arch}/${name}` };
}
