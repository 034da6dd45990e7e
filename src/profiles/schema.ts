/**
 * The profile document as data: one row per key, in the order in which documents are written. Reading, writing, merging and
 * completing all follow these rows (specification profiles-and-inputs 2.2 to 2.5).
 */

import type { MetaValue } from '../meta/value.ts';
import {
  BOOTLOADERS,
  type ContainerAsset,
  type Customization,
  DISK_FORMATS,
  type FileAsset,
  type ImageOptions,
  type Input,
  type IsoOptions,
  KEY_ENROLMENTS,
  OUTPUT_FORMATS,
  OUTPUT_KINDS,
  type Output,
  type OverlayOptions,
  type PcrSigner,
  type Profile,
  type SecureBootAssets,
  type SecureBootSigner,
} from './profile.ts';

export type Row = (
  | { readonly type: 'text' }
  | { readonly type: 'flag' }
  /** True, false or null, and null differs from false. */
  | { readonly type: 'optional flag' }
  | { readonly type: 'integer'; readonly maximum: number }
  /** The first spelling is the zero value. */
  | { readonly type: 'word'; readonly words: readonly string[] }
  | { readonly type: 'list'; readonly item: ItemRow }
  | { readonly type: 'group'; readonly rows: Rows }
  /** Null when nobody gave it. */
  | { readonly type: 'optional group'; readonly rows: Rows }
  /** Names to values of any kind. */
  | { readonly type: 'free' }
) & {
  /** Written even when empty. */
  readonly shown?: true;
  /** The Talos release that brought the key: older dumps do not have it. */
  readonly since?: '1.14';
};

export type ItemRow = { readonly type: 'text' } | { readonly type: 'group'; readonly rows: Rows };

/** Keys are own properties of a plain object in document order; none looks like a number. */
export type Rows = Readonly<Record<string, Row>>;

export type RowsOf<T> = { readonly [K in keyof T]-?: Row };

const TEXT: Row = { type: 'text' };
const FLAG: Row = { type: 'flag' };
const SHOWN_TEXT: Row = { type: 'text', shown: true };

const FILE_ASSET: RowsOf<FileAsset> = { path: SHOWN_TEXT };

export const CONTAINER_ASSET: RowsOf<ContainerAsset> = {
  imageRef: SHOWN_TEXT,
  forceInsecure: FLAG,
  tarballPath: TEXT,
  ociPath: TEXT,
};

const META_VALUE: RowsOf<MetaValue> = {
  key: { type: 'integer', maximum: 255, shown: true },
  value: SHOWN_TEXT,
};

const CUSTOMIZATION: RowsOf<Customization> = {
  extraKernelArgs: { type: 'list', item: { type: 'text' } },
  metaContents: { type: 'list', item: { type: 'group', rows: META_VALUE } },
  embeddedMachineConfiguration: TEXT,
};

export const SECURE_BOOT_SIGNER: RowsOf<SecureBootSigner> = {
  keyPath: TEXT,
  certPath: TEXT,
  azureVaultURL: TEXT,
  azureCertificateID: TEXT,
  awsKMSKeyID: TEXT,
  awsRegion: TEXT,
  awsCertPath: TEXT,
  awsCertARN: TEXT,
  signerAddress: TEXT,
};

export const PCR_SIGNER: RowsOf<PcrSigner> = {
  keyPath: TEXT,
  azureVaultURL: TEXT,
  azureKeyID: TEXT,
  azureKeyVersion: TEXT,
  awsKMSKeyID: TEXT,
  awsRegion: TEXT,
  signerAddress: TEXT,
};

export const SECURE_BOOT: RowsOf<SecureBootAssets> = {
  secureBootSigner: { type: 'group', rows: SECURE_BOOT_SIGNER, shown: true },
  pcrSigner: { type: 'group', rows: PCR_SIGNER, shown: true },
  platformKeyPath: TEXT,
  keyExchangeKeyPath: TEXT,
  signatureKeyPath: TEXT,
  includeWellKnownCerts: FLAG,
};

const INPUT: RowsOf<Input> = {
  kernel: { type: 'group', rows: FILE_ASSET, shown: true },
  initramfs: { type: 'group', rows: FILE_ASSET, shown: true },
  sdStub: { type: 'group', rows: FILE_ASSET },
  sdBoot: { type: 'group', rows: FILE_ASSET },
  baseInstaller: { type: 'group', rows: CONTAINER_ASSET },
  imageCache: { type: 'group', rows: CONTAINER_ASSET },
  overlayInstaller: { type: 'group', rows: CONTAINER_ASSET },
  secureboot: { type: 'optional group', rows: SECURE_BOOT },
  systemExtensions: { type: 'list', item: { type: 'group', rows: CONTAINER_ASSET } },
  policy: TEXT,
};

const OVERLAY: RowsOf<OverlayOptions> = {
  name: SHOWN_TEXT,
  image: { type: 'group', rows: CONTAINER_ASSET, shown: true },
  options: { type: 'free' },
};

export const IMAGE_OPTIONS: RowsOf<ImageOptions> = {
  // Upstream counts in 64 bits; numbers are exact up to 8 PiB here.
  diskSize: { type: 'integer', maximum: Number.MAX_SAFE_INTEGER, shown: true },
  diskFormat: { type: 'word', words: DISK_FORMATS },
  diskFormatOptions: TEXT,
  diskSectorSize: { type: 'integer', maximum: Number.MAX_SAFE_INTEGER, since: '1.14' },
  bootloader: { type: 'word', words: BOOTLOADERS },
  sdBootEnrollKeys: { type: 'word', words: KEY_ENROLMENTS, since: '1.14' },
};

export const ISO_OPTIONS: RowsOf<IsoOptions> = {
  sdBootEnrollKeys: { type: 'word', words: KEY_ENROLMENTS, shown: true },
  bootloader: { type: 'word', words: BOOTLOADERS },
};

const OUTPUT: RowsOf<Output> = {
  kind: { type: 'word', words: OUTPUT_KINDS, shown: true },
  imageOptions: { type: 'optional group', rows: IMAGE_OPTIONS },
  isoOptions: { type: 'optional group', rows: ISO_OPTIONS },
  outFormat: { type: 'word', words: OUTPUT_FORMATS, shown: true },
};

export const PROFILE: RowsOf<Profile> = {
  baseProfileName: TEXT,
  arch: SHOWN_TEXT,
  platform: SHOWN_TEXT,
  secureboot: { type: 'optional flag', shown: true },
  name: TEXT,
  version: SHOWN_TEXT,
  customization: { type: 'group', rows: CUSTOMIZATION },
  input: { type: 'group', rows: INPUT, shown: true },
  overlay: { type: 'optional group', rows: OVERLAY },
  output: { type: 'group', rows: OUTPUT, shown: true },
};

/** A key that older releases knew: what has become of it. */
export interface RetiredKey {
  readonly path: string;
  readonly message: string;
  readonly hint: string;
}

export const RETIRED_KEYS: readonly RetiredKey[] = [
  {
    path: 'board',
    message: 'boards are gone since Talos 1.13: want an overlay',
    hint: 'set overlay.name and overlay.image.imageRef, for example rpi_generic of ghcr.io/siderolabs/sbc-raspberrypi',
  },
];

export type FieldValue = unknown;
export type Fields = Readonly<Record<string, FieldValue>>;

/** What a field holds that nobody set. */
export function zeroOf(row: Row): FieldValue {
  switch (row.type) {
    case 'text':
      return '';
    case 'flag':
      return false;
    case 'integer':
      return 0;
    case 'word':
      return row.words[0];
    case 'list':
      return [];
    case 'free':
      return {};
    case 'optional flag':
    case 'optional group':
      return null;
    case 'group':
      return mapRows(row.rows, zeroOf);
  }
}

/** A group in which nobody set anything. */
export function emptyGroup<T>(rows: RowsOf<T>): T {
  return mapRows(rows as Rows, zeroOf) as T;
}

export function isEmptyGroup<T>(rows: RowsOf<T>, group: T): boolean {
  return isZero({ type: 'group', rows: rows as Rows }, group);
}

/** Whether a field holds nothing, groups by their fields. */
export function isZero(row: Row, value: FieldValue): boolean {
  switch (row.type) {
    case 'list':
      return (value as readonly unknown[]).length === 0;
    case 'free':
      return value instanceof Map ? value.size === 0 : Object.keys(value as object).length === 0;
    case 'group':
      return Object.entries(row.rows).every(([key, field]) => isZero(field, (value as Fields)[key]));
    default:
      return value === zeroOf(row);
  }
}

/** What a field takes, as messages say it. */
export function wishOf(row: Row): string {
  switch (row.type) {
    case 'text':
      return 'text';
    case 'flag':
    case 'optional flag':
      return 'true or false';
    case 'integer':
      return `an integer, 0 to ${row.maximum}`;
    case 'word':
      return row.words.filter((word) => word !== 'unknown').join(', ');
    case 'list':
      return 'a list';
    default:
      return 'a mapping';
  }
}

/** `output.kind` from `output` and `kind`. */
export function below(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

/** A record with what `make` says for each row. */
export function mapRows(rows: Rows, make: (row: Row, key: string) => FieldValue): Fields {
  return Object.fromEntries(Object.entries(rows).map(([key, row]) => [key, make(row, key)]));
}
