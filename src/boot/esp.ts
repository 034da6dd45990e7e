/** The EFI system partition of ISOs and disks that start with systemd-boot (spec boot-and-images 4.3, 5.2, 5.4, 6.4). */
import { alignUp, type Bytes, ofText, zeros } from '../bytes/bytes.ts';
import { MIB } from '../bytes/units.ts';
import { invalid } from '../errors.ts';
import { type FatLayout, layoutFat32 } from '../formats/fat/layout.ts';
import { smallestFat32 } from '../formats/fat/volume.ts';
import { type Attributes, type Entry, type Tree, treeOf } from '../tree/tree.ts';
import { loaderConf, type SecureBootEnrollment } from './loader-conf.ts';

/**
 * Bytes. Content that two file systems of a medium share begins at a multiple of this in both, so that cluster and block sizes up to it can
 * refer to it.
 */
export const SHARING_ALIGNMENT = 65536;

/** Signed EFI variable contents, as systemd-boot enrols them. */
export interface EnrollmentKeys {
  readonly platformKey: Bytes;
  readonly keyExchangeKey: Bytes;
  readonly signatureDatabase: Bytes;
}

export interface EspParts {
  /** systemd-boot, signed where it must be. */
  readonly loader: Bytes;
  readonly uki: Bytes;
  /** Keys to enrol: for SecureBoot only. */
  readonly keys?: EnrollmentKeys;
  /** The signer's certificate in DER form: for SecureBoot ISOs only. */
  readonly certificate?: Bytes;
}

export interface EspOptions {
  readonly medium: 'iso' | 'disk';
  readonly architecture: 'amd64' | 'arm64';
  /** The Talos version as the user gave it. */
  readonly version: string;
  /** `off` unless given. */
  readonly enrollment?: SecureBootEnrollment;
  /** Seconds since 1970, of every file and directory. */
  readonly mtime: number;
}

/** Path of the loader below the root of the partition. Firmware ignores the case, but the tree of an ISO does not. */
export function loaderPath(medium: 'iso' | 'disk', architecture: 'amd64' | 'arm64'): string {
  const name = architecture === 'amd64' ? 'BOOTX64' : 'BOOTAA64';
  return medium === 'iso' ? `EFI/BOOT/${name}.EFI` : `EFI/boot/${name}.efi`;
}

/** Path of the UKI below the root of the partition. Throws `invalid-input` when the version cannot be part of a file name. */
export function ukiPath(version: string): string {
  if (!/^[^/\\\0]{1,200}$/.test(version)) throw invalid(`version "${version}": want a text without slashes`);
  return `EFI/Linux/Talos-${version}.efi`;
}

/**
 * Everything in the partition. Keys lie on a SecureBoot ISO whatever the enrollment, on a disk only when they are to be enrolled. The random
 * seed of an ISO is a placeholder: systemd-boot 261 would try to create one on the read-only medium, and some firmware faults there.
 */
export function espTree(parts: EspParts, options: EspOptions): Tree {
  const { medium, architecture, version, enrollment = 'off', mtime } = options;
  const entries: Entry[] = [];
  const owned: Attributes = { mode: 0o644, uid: 0, gid: 0, mtime };
  const add = (path: string, content: Bytes, mode = 0o644): void => {
    entries.push({ kind: 'file', path, content, ...owned, mode });
  };
  add(loaderPath(medium, architecture), parts.loader);
  add(ukiPath(version), parts.uki);
  add('loader/loader.conf', ofText(loaderConf(medium, enrollment)));
  if (medium === 'iso') add('loader/random-seed', zeros(32), 0o444);
  if (parts.keys !== undefined && (medium === 'iso' || enrollment !== 'off')) {
    add('loader/keys/auto/PK.auth', parts.keys.platformKey);
    add('loader/keys/auto/KEK.auth', parts.keys.keyExchangeKey);
    add('loader/keys/auto/db.auth', parts.keys.signatureDatabase);
  }
  if (parts.certificate !== undefined && medium === 'iso') {
    add('EFI/keys/uki-signing-cert.der', parts.certificate);
  }
  return treeOf([...directoriesOf(entries, mtime), ...entries]);
}

function directoriesOf(entries: readonly Entry[], mtime: number): Entry[] {
  const paths = new Set(['']);
  for (const { path } of entries) {
    for (let cut = path.indexOf('/'); cut >= 0; cut = path.indexOf('/', cut + 1)) paths.add(path.slice(0, cut));
  }
  return [...paths].map((path) => ({ kind: 'directory', path, mode: 0o755, uid: 0, gid: 0, mtime }));
}

/** Clusters are doubled, up to 4 KiB, as long as that leaves the volume this many of them, tables included. */
const CLUSTER_LIMIT = 67573;

/**
 * Bytes of the FAT image in an ISO, and its cluster size: 10 MiB beside loader and UKI in whole MiB. Upstream goes below what is a valid
 * FAT32, with loaders and UKIs smaller than real ones; here 33 MiB is the least.
 */
export function isoEspSize(
  loaderSize: number,
  ukiSize: number,
): { readonly size: number; readonly sectorsPerCluster: number } {
  const wanted = 10 * MIB + alignUp(loaderSize, MIB) + alignUp(ukiSize, MIB);
  const size = Math.max(wanted, alignUp(smallestFat32(), MIB));
  let sectorsPerCluster = 1;
  while (sectorsPerCluster < 8 && size / 512 / (sectorsPerCluster * 2) >= CLUSTER_LIMIT) sectorsPerCluster *= 2;
  return { size, sectorsPerCluster };
}

/** The FAT image of an ISO, which will lie `base` bytes from the start of the medium: files from 64 KiB on begin at shareable places. */
export function layoutIsoEsp(parts: EspParts, options: EspOptions, base: number): FatLayout {
  const { size, sectorsPerCluster } = isoEspSize(parts.loader.size, parts.uki.size);
  return layoutFat32(espTree(parts, options), size, {
    sectorsPerCluster,
    largeFiles: { from: SHARING_ALIGNMENT, alignment: SHARING_ALIGNMENT, base },
  });
}
