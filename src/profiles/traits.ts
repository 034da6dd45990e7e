/**
 * Everything that depends on the Talos version, as one plain record made once per build; nothing behind it decides by a
 * version (specification profiles-and-inputs 3.2, 3.3).
 */
import { GIB, MIB } from '../bytes/units.ts';
import { compareTalosVersions, parseTalosVersion, type TalosVersion } from './talos-version.ts';

/** Bytes. */
export interface PartitionSizes {
  /** EFI system partition beside a BOOT partition. */
  readonly grubEfi: number;
  readonly bios: number;
  readonly boot: number;
  /** EFI system partition that holds the UKI: as large as EFI, BIOS and BOOT together, so that a layout can be turned into the other. */
  readonly ukiEfi: number;
  readonly meta: number;
  readonly state: number;
  /** Least size; it takes what is left. */
  readonly ephemeral: number;
}

/** What a Talos version can do and how it is laid out. */
export interface Traits {
  /** A reset entry in GRUB menus. */
  readonly hasGrubResetEntry: boolean;
  readonly supportsUki: boolean;
  readonly supportsMultiDocumentConfig: boolean;
  /** META values in the environment may be compressed. */
  readonly readsCompressedMeta: boolean;
  readonly supportsOverlays: boolean;
  /** Of squashfs images and of what is appended to the initramfs. */
  readonly compression: 'xz' | 'zstd';
  readonly labelsIso: boolean;
  /** `console=ttyS0` on metal, amd64. */
  readonly usesSerialConsoleOnMetal: boolean;
  /** The ISO asks to halt when Talos is on the disk already. */
  readonly haltsIfInstalled: boolean;
  /** Disk images come without STATE and EPHEMERAL. */
  readonly skipsDataPartitions: boolean;
  /** Images need not be pulled that lie in `imagecache` on an ISO or in a partition of that name. */
  readonly readsImageCache: boolean;
  readonly usesSelinux: boolean;
  readonly usesIma: boolean;
  /** systemd-boot is what UEFI machines boot with: bootloader choice, installer content, the META key that tells it. */
  readonly usesSdBootForUefi: boolean;
  readonly modulesPath: string;
  readonly firmwarePath: string;
  readonly supportsUkiProfiles: boolean;
  /** One installer image; the base is `installer-base`. */
  readonly usesUnifiedInstaller: boolean;
  readonly offersTalosctl: boolean;
  readonly supportsEmbeddedConfig: boolean;
  /** `module.sig_enforce=1` is said on the command line, so that it can be taken away. */
  readonly enforcesModuleSignatures: boolean;
  readonly isoBootloaderIsChosen: boolean;
  readonly forbidsProcMemWrites: boolean;
  readonly dropsInitOnAlloc: boolean;
  readonly limitsNvmeTimeoutToAws: boolean;
  /** `lockdown=confidentiality` with secure boot. */
  readonly forcesLockdown: boolean;
  /** Bytes; 0 is none. At run time only, no matter of images. */
  readonly xfsMinAllocationGroupSize: number;
  /** File of mkfs.xfs that suits the oldest kernel which must mount it. */
  readonly xfsMkfsConfig: string;
  readonly partitionSizes: PartitionSizes;
}

/** What 1.0 has: below every row of the table. */
const OLDEST: Traits = {
  hasGrubResetEntry: false,
  supportsUki: false,
  supportsMultiDocumentConfig: false,
  readsCompressedMeta: false,
  supportsOverlays: false,
  compression: 'xz',
  labelsIso: false,
  usesSerialConsoleOnMetal: true,
  haltsIfInstalled: false,
  skipsDataPartitions: false,
  readsImageCache: false,
  usesSelinux: false,
  usesIma: true,
  usesSdBootForUefi: false,
  modulesPath: '/lib/modules',
  firmwarePath: '/lib/firmware',
  supportsUkiProfiles: false,
  usesUnifiedInstaller: false,
  offersTalosctl: false,
  supportsEmbeddedConfig: false,
  enforcesModuleSignatures: false,
  isoBootloaderIsChosen: false,
  forbidsProcMemWrites: false,
  dropsInitOnAlloc: false,
  limitsNvmeTimeoutToAws: false,
  forcesLockdown: true,
  xfsMinAllocationGroupSize: 0,
  xfsMkfsConfig: mkfsConfig('6.1'),
  partitionSizes: partitionSizes(1000 * MIB),
};

/** Since which release which fields have which values; ascending. A pre-release counts as its release. */
const CHANGES: readonly (readonly [since: string, change: Partial<Traits>])[] = [
  ['1.4.0', { hasGrubResetEntry: true }],
  ['1.5.0', { supportsUki: true, supportsMultiDocumentConfig: true }],
  ['1.6.3', { readsCompressedMeta: true }],
  ['1.7.0', { supportsOverlays: true }],
  ['1.8.0', { compression: 'zstd', labelsIso: true, haltsIfInstalled: true, skipsDataPartitions: true }],
  ['1.8.0', { usesSerialConsoleOnMetal: false, xfsMkfsConfig: mkfsConfig('6.6') }],
  ['1.9.0', { readsImageCache: true }],
  ['1.10.0', { usesSelinux: true, usesSdBootForUefi: true, supportsUkiProfiles: true, usesUnifiedInstaller: true }],
  ['1.10.0', { modulesPath: '/usr/lib/modules', firmwarePath: '/usr/lib/firmware', xfsMkfsConfig: mkfsConfig('6.12') }],
  // The last version with IMA is not 1.10.0's whole series by number, but everything up to 1.10.99.
  ['1.10.100', { usesIma: false }],
  ['1.11.0', { partitionSizes: partitionSizes(2000 * MIB), offersTalosctl: true }],
  ['1.12.0', { supportsEmbeddedConfig: true, enforcesModuleSignatures: true, isoBootloaderIsChosen: true }],
  ['1.13.0', { forbidsProcMemWrites: true, xfsMkfsConfig: mkfsConfig('6.18') }],
  ['1.14.0', { dropsInitOnAlloc: true, limitsNvmeTimeoutToAws: true, forcesLockdown: false }],
  ['1.14.0', { xfsMinAllocationGroupSize: 64 * GIB }],
];

/** Text that is no version stands for the newest release, but systemd-boot needs a version that is known to have it. */
const UNKNOWN_VERSION: Partial<Traits> = { usesSdBootForUefi: false };

/** What the Talos release `version` can do and how it is laid out. Never throws: text that is no version has traits too. */
export function traitsOf(version: string): Traits {
  const parsed = parseTalosVersion(version);
  const changes = CHANGES.filter(([since]) => parsed === undefined || isSince(parsed, since)).map(
    ([, change]) => change,
  );
  return Object.assign({}, OLDEST, ...changes, parsed === undefined ? UNKNOWN_VERSION : {});
}

function isSince(version: TalosVersion, release: string): boolean {
  return compareTalosVersions(version, parseTalosVersion(release)!) >= 0;
}

function partitionSizes(boot: number): PartitionSizes {
  const grubEfi = 100 * MIB;
  const bios = MIB;
  return { grubEfi, bios, boot, ukiEfi: grubEfi + bios + boot, meta: MIB, state: 100 * MIB, ephemeral: 2 * GIB };
}

function mkfsConfig(kernel: string): string {
  return `/usr/share/xfsprogs/mkfs/lts_${kernel}.conf`;
}
