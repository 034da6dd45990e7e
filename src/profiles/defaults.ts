/** What a profile gets that nobody set, by version and architecture (specification profiles-and-inputs 2.5, 2.6). */
import { MIB } from '../bytes/units.ts';
import type {
  Bootloader,
  ContainerAsset,
  FileAsset,
  ImageOptions,
  Input,
  Output,
  Profile,
  SecureBootAssets,
} from './profile.ts';
import {
  CONTAINER_ASSET,
  emptyGroup,
  IMAGE_OPTIONS,
  ISO_OPTIONS,
  isEmptyGroup,
  PCR_SIGNER,
  SECURE_BOOT,
  SECURE_BOOT_SIGNER,
} from './schema.ts';
import type { Traits } from './traits.ts';

/** The release that is built when nobody names one. */
export const DEFAULT_TALOS_VERSION = 'v1.13.9';

const DEFAULT_NAME = 'Talos';
const SIGNING_KEY = '/secureboot/uki-signing-key.pem';
const SIGNING_CERTIFICATE = '/secureboot/uki-signing-cert.pem';
const PCR_KEY = '/secureboot/pcr-signing-key.pem';

/** Enrolment databases by profile field: filled in only where the building host has the file. */
export const ENROLMENT_FILES = {
  platformKeyPath: '/secureboot/PK.auth',
  keyExchangeKeyPath: '/secureboot/KEK.auth',
  signatureKeyPath: '/secureboot/db.auth',
} as const;

/** Of the boot partition, that disk sizes of profiles include. */
const INCLUDED_BOOT_SIZE = 1000 * MIB;

export interface DefaultsContext {
  readonly traits: Traits;
  readonly defaultVersion: string;
  /** Which of `ENROLMENT_FILES` exist. */
  readonly existingSecureBootFiles: ReadonlySet<string>;
}

/** Adds to the disk size what the version's boot partitions take, so applying it twice is not applying it once. */
export function applyDefaults(profile: Profile, context: DefaultsContext): Profile {
  const version = profile.version || context.defaultVersion;
  const named = { ...profile, name: profile.name || DEFAULT_NAME, version };
  return { ...named, input: defaultInput(named, context), output: defaultOutput(named, context.traits) };
}

/** True only when the profile says so. */
export function isSecureBoot(profile: Pick<Profile, 'secureboot'>): boolean {
  return profile.secureboot === true;
}

function defaultInput(profile: Profile, context: DefaultsContext): Input {
  const { input, arch, version } = profile;
  const directory = `/usr/install/${arch}`;
  const repository = context.traits.usesUnifiedInstaller ? 'installer-base' : 'installer';
  return {
    ...input,
    kernel: fileOr(input.kernel, `${directory}/vmlinuz`),
    initramfs: fileOr(input.initramfs, `${directory}/initramfs.xz`),
    sdStub: fileOr(input.sdStub, `${directory}/systemd-stub.efi`),
    sdBoot: fileOr(input.sdBoot, `${directory}/systemd-boot.efi`),
    baseInstaller: imageOr(input.baseInstaller, `ghcr.io/siderolabs/${repository}:${version}`),
    secureboot: isSecureBoot(profile) ? defaultSecureBoot(input.secureboot, context) : input.secureboot,
  };
}

function fileOr(asset: FileAsset, path: string): FileAsset {
  return asset.path === '' ? { path } : asset;
}

function imageOr(asset: ContainerAsset, imageRef: string): ContainerAsset {
  return isEmptyGroup(CONTAINER_ASSET, asset) ? { ...asset, imageRef } : asset;
}

function defaultSecureBoot(given: SecureBootAssets | null, context: DefaultsContext): SecureBootAssets {
  const assets = given ?? emptyGroup(SECURE_BOOT);
  const { secureBootSigner, pcrSigner } = assets;
  const signer = isEmptyGroup(SECURE_BOOT_SIGNER, secureBootSigner)
    ? { ...secureBootSigner, keyPath: SIGNING_KEY, certPath: SIGNING_CERTIFICATE }
    : secureBootSigner;
  const pcr = isEmptyGroup(PCR_SIGNER, pcrSigner) ? { ...pcrSigner, keyPath: PCR_KEY } : pcrSigner;
  const enrolment = Object.entries(ENROLMENT_FILES).map(([field, path]) => {
    const value = assets[field as keyof typeof ENROLMENT_FILES];
    return [field, value === '' && context.existingSecureBootFiles.has(path) ? path : value];
  });
  return { ...assets, secureBootSigner: signer, pcrSigner: pcr, ...Object.fromEntries(enrolment) };
}

function defaultOutput(profile: Profile, traits: Traits): Output {
  const { output } = profile;
  if (output.kind === 'image') {
    const options = output.imageOptions ?? emptyGroup(IMAGE_OPTIONS);
    const bootloader = chooseBootloader(options.bootloader, profile, traits);
    return { ...output, imageOptions: { ...options, bootloader, diskSize: grownSize(options, bootloader, traits) } };
  }
  if (output.kind === 'iso' && traits.isoBootloaderIsChosen) {
    const options = output.isoOptions ?? emptyGroup(ISO_OPTIONS);
    return { ...output, isoOptions: { ...options, bootloader: chooseBootloader(options.bootloader, profile, traits) } };
  }
  return output;
}

/** Secure boot leaves no choice; only systemd-boot boots on arm64 with UEFI alone, GRUB where there is no systemd-boot. */
function chooseBootloader(requested: Bootloader, profile: Profile, traits: Traits): Bootloader {
  if (isSecureBoot(profile)) return 'sd-boot';
  if (requested !== 'none') return requested;
  if (!traits.usesSdBootForUefi) return 'grub';
  return profile.arch === 'arm64' ? 'sd-boot' : 'dual-boot';
}

/** Bytes: with the boot partition of the version, and for dual boot with a second one and the BIOS partition. */
function grownSize({ diskSize }: ImageOptions, bootloader: Bootloader, { partitionSizes }: Traits): number {
  const { boot, bios } = partitionSizes;
  return diskSize + boot - INCLUDED_BOOT_SIZE + (bootloader === 'dual-boot' ? bios + boot : 0);
}
