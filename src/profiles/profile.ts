/**
 * The profile document: what to build, for what, from what (specification profiles-and-inputs 2.2 to 2.5). A `Profile` has every
 * field; what nobody set holds its zero value: `''`, `0`, `false`, the first spelling of an enumeration, `null` for optional groups.
 */
import type { MetaValue } from '../meta/value.ts';
import type { YamlMapping } from '../yaml/value.ts';

export const ARCHITECTURES = ['amd64', 'arm64'] as const;
/** Of the machine that boots, as images name it. */
export type Architecture = (typeof ARCHITECTURES)[number];

export const OUTPUT_KINDS = ['unknown', 'iso', 'image', 'installer', 'kernel', 'initramfs', 'uki', 'cmdline'] as const;
/** What is built. */
export type OutputKind = Exclude<(typeof OUTPUT_KINDS)[number], 'unknown'>;

export const DISK_FORMATS = ['unknown', 'raw', 'qcow2', 'vhd', 'ova'] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];

/** What the finished artefact is packed into; a leading dot is part of the spelling. */
export const OUTPUT_FORMATS = ['unknown', 'raw', '.tar.gz', '.xz', '.gz', '.zst'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

export const BOOTLOADERS = ['none', 'dual-boot', 'sd-boot', 'grub'] as const;
/** `none` is what nobody chose; the version and the architecture then decide. */
export type Bootloader = (typeof BOOTLOADERS)[number];

export const KEY_ENROLMENTS = ['if-safe', 'manual', 'force', 'off'] as const;
export type KeyEnrolment = (typeof KEY_ENROLMENTS)[number];

/** A whole profile document, as upstream’s imager reads and prints it. `GivenProfile` is the form to write by hand. */
export interface Profile {
  /** The profile this one is laid over; empty once that is done. */
  readonly baseProfileName: string;
  readonly arch: string;
  readonly platform: string;
  /** `null` reads as false, but lets a base profile decide. */
  readonly secureboot: boolean | null;
  /** Product name, as the UKI's os-release has it. */
  readonly name: string;
  /** Talos version; goes into image references as it is written. */
  readonly version: string;
  readonly customization: Customization;
  readonly input: Input;
  readonly overlay: OverlayOptions | null;
  readonly output: Output;
}

export interface Customization {
  readonly extraKernelArgs: readonly string[];
  readonly metaContents: readonly MetaValue[];
  /** Machine configuration to put into the image. */
  readonly embeddedMachineConfiguration: string;
}

export interface FileAsset {
  readonly path: string;
}

/** An image by reference, or a local copy of one. */
export interface ContainerAsset {
  readonly imageRef: string;
  /** Registry without TLS or with a certificate nobody knows. */
  readonly forceInsecure: boolean;
  readonly tarballPath: string;
  /** An OCI layout directory. */
  readonly ociPath: string;
}

export interface Input {
  readonly kernel: FileAsset;
  readonly initramfs: FileAsset;
  readonly sdStub: FileAsset;
  readonly sdBoot: FileAsset;
  readonly baseInstaller: ContainerAsset;
  readonly imageCache: ContainerAsset;
  /** The overlay for the target's architecture, put into installer images. */
  readonly overlayInstaller: ContainerAsset;
  readonly secureboot: SecureBootAssets | null;
  readonly systemExtensions: readonly ContainerAsset[];
  /** Path of the rules that say by whom images must be signed; no field of upstream's. */
  readonly policy: string;
}

export interface SecureBootAssets {
  readonly secureBootSigner: SecureBootSigner;
  readonly pcrSigner: PcrSigner;
  readonly platformKeyPath: string;
  readonly keyExchangeKeyPath: string;
  readonly signatureKeyPath: string;
  readonly includeWellKnownCerts: boolean;
}

export interface SecureBootSigner {
  readonly keyPath: string;
  readonly certPath: string;
  readonly azureVaultURL: string;
  readonly azureCertificateID: string;
  readonly awsKMSKeyID: string;
  readonly awsRegion: string;
  readonly awsCertPath: string;
  readonly awsCertARN: string;
  readonly signerAddress: string;
}

export interface PcrSigner {
  readonly keyPath: string;
  readonly azureVaultURL: string;
  readonly azureKeyID: string;
  readonly azureKeyVersion: string;
  readonly awsKMSKeyID: string;
  readonly awsRegion: string;
  readonly signerAddress: string;
}

export interface OverlayOptions {
  readonly name: string;
  readonly image: ContainerAsset;
  /** Handed to the overlay's installer as it is. */
  readonly options: YamlMapping;
}

export interface Output {
  readonly kind: (typeof OUTPUT_KINDS)[number];
  readonly imageOptions: ImageOptions | null;
  readonly isoOptions: IsoOptions | null;
  readonly outFormat: OutputFormat;
}

export interface ImageOptions {
  /** Bytes. In a profile as given: without what the boot partition adds. */
  readonly diskSize: number;
  readonly diskFormat: DiskFormat;
  /** Comma-separated options of the container format, `cluster_size=8k`. */
  readonly diskFormatOptions: string;
  /** Bytes; 0 is 512. */
  readonly diskSectorSize: number;
  readonly bootloader: Bootloader;
  readonly sdBootEnrollKeys: KeyEnrolment;
}

export interface IsoOptions {
  readonly sdBootEnrollKeys: KeyEnrolment;
  readonly bootloader: Bootloader;
}

/** A profile as somebody writes it: only what they care about, at any depth. */
export type GivenProfile = Given<Profile>;

type Given<T> = T extends readonly (infer Item)[]
  ? readonly Given<Item>[]
  : T extends YamlMapping
    ? T
    : T extends object
      ? { readonly [K in keyof T]?: Given<T[K]> | undefined }
      : T;
