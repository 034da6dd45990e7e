/** Flags to a profile document (spec profiles-and-inputs 1.2): what the command line says, as if it were written down. */

import { ImagerError, invalid } from '../errors.ts';
import { type MetaValue, parseMetaValue } from '../meta/value.ts';
import { parseStrictReference } from '../oci/reference.ts';
import { parseCompression } from '../pipeline/compression.ts';
import type { MetaOrigin } from '../pipeline/plan.ts';
import type { Chunks, Files } from '../platform/types.ts';
import { type ContainerAsset, type GivenProfile, KEY_ENROLMENTS, OUTPUT_KINDS } from '../profiles/profile.ts';
import type { YamlMapping } from '../yaml/value.ts';
import type { FlagValues } from './flags.ts';
import { readOverlayOptions } from './overlay-options.ts';
import { decodeText, readText } from './text-input.ts';

/** Larger than anything a META partition holds. */
const META_FILE_LIMIT = 1 << 20;
/** Talos takes no larger machine configuration over its API either. */
const CONFIG_FILE_LIMIT = 4 << 20;

export interface FlagInputs {
  readonly files: Files;
  readonly hostArchitecture: string;
  /** What names stand for, by reference and digest. */
  readonly named: NamedImages;
}

export interface NamedImages {
  readonly extensions: readonly string[];
  /** Of the overlay that was named without an image. */
  readonly overlay?: string;
}

/** `--meta`, in order, with values as written. Throws `usage` as upstream does. */
export function parseMetaFlags(flags: FlagValues): MetaValue[] {
  const values = (flags.lists.get('meta') ?? []).map((text) => asUsage(() => parseMetaValue(text)));
  if (values.filter(({ value }) => value === STANDARD_INPUT).length > 1)
    throw new ImagerError('usage', 'flag --meta: standard input can be one value only');
  return values;
}

const STANDARD_INPUT = '-';

/** `VALUE`, `@FILE` and `-` to what they stand for. Throws `io` for files and `invalid-input` for what is no text. */
export async function readMetaValues(
  values: readonly MetaValue[],
  { files, stdin }: { readonly files: Files; readonly stdin: () => Chunks },
): Promise<MetaOrigin[]> {
  const read: MetaOrigin[] = [];
  for (const { key, value } of values) {
    if (value === STANDARD_INPUT) {
      const text = await readText(stdin(), META_FILE_LIMIT, 'standard input');
      read.push({ meta: { key, value: text }, origin: 'standard input' });
    } else if (value.startsWith('@')) {
      const path = value.slice(1);
      const text = decodeText(await files.read(path, META_FILE_LIMIT), path);
      read.push({ meta: { key, value: text }, origin: path });
    } else {
      read.push({ meta: { key, value }, origin: `--meta 0x${key.toString(16)}` });
    }
  }
  return read;
}

/** The document the flags stand for, to be laid over the base profile. `arch` is always set, as upstream's default is. */
export async function profileFromFlags(
  baseProfileName: string,
  flags: FlagValues,
  meta: readonly MetaOrigin[],
  inputs: FlagInputs,
): Promise<GivenProfile> {
  const text = (name: string): string | undefined => flags.text.get(name);
  const insecure = flags.switches.has('insecure');
  const enrolment = enrolmentOf(text('secureboot-enroll-keys'));
  const diskSize = text('image-disk-size');
  const compression = text('compression');
  const overlayImage = inputs.named.overlay ?? text('overlay-image');
  const options = await readOverlayOptions(flags.lists.get('overlay-option') ?? [], inputs.files);
  return {
    baseProfileName,
    arch: text('arch') ?? inputs.hostArchitecture,
    platform: text('platform') ?? '',
    customization: {
      extraKernelArgs: flags.lists.get('extra-kernel-arg') ?? [],
      metaContents: meta.map((one) => one.meta),
      embeddedMachineConfiguration: await embeddedConfiguration(text('embedded-config-path'), inputs.files),
    },
    input: {
      kernel: { path: text('kernel') ?? '' },
      initramfs: { path: text('initramfs') ?? '' },
      baseInstaller: baseInstaller(text('base-installer-image'), insecure),
      imageCache: imageCache(text('image-cache'), insecure),
      overlayInstaller: overlayAsset(overlayImage),
      secureboot: secureBoot(flags),
      systemExtensions: [
        ...(flags.lists.get('system-extension-image') ?? []).map((text) => extensionAsset(text, insecure)),
        ...inputs.named.extensions.map((imageRef) => wholeAsset(imageRef, insecure)),
      ],
    },
    overlay: overlayOf(text('overlay-name'), overlayImage, options),
    output: {
      kind: outputKind(text('output-kind')),
      ...(compression === undefined ? {} : { outFormat: parseCompression(compression).format }),
      ...(enrolment === undefined ? {} : { isoOptions: { sdBootEnrollKeys: enrolment } }),
      ...imageOptions(enrolment, diskSize),
    },
  };
}

/** A value of `--image-disk-size`. */
export const SMALLEST = 'min';

function imageOptions(enrolment: Enrolment | undefined, diskSize: string | undefined): { imageOptions?: object } {
  if (enrolment === undefined && diskSize === undefined) return {};
  return {
    imageOptions: {
      ...(enrolment === undefined ? {} : { sdBootEnrollKeys: enrolment }),
      // Decided once the partitions are known.
      ...(diskSize === undefined || diskSize === SMALLEST ? {} : { diskSize: parseSize(diskSize) }),
    },
  };
}

type Enrolment = (typeof KEY_ENROLMENTS)[number];

function enrolmentOf(text: string | undefined): Enrolment | undefined {
  if (text === undefined || text === '') return undefined;
  const found = wordOf(KEY_ENROLMENTS, text);
  if (found === undefined) throw invalid(`flag --secureboot-enroll-keys "${text}": want ${KEY_ENROLMENTS.join(', ')}`);
  return found;
}

function outputKind(text: string | undefined): (typeof OUTPUT_KINDS)[number] {
  if (text === undefined || text === '') return 'unknown';
  const found = wordOf(OUTPUT_KINDS, text);
  if (found === undefined) throw invalid(`flag --output-kind "${text}": want ${OUTPUT_KINDS.slice(1).join(', ')}`);
  return found;
}

/** Enumerations match as they are written or in lower case (spec 2.1). */
function wordOf<T extends string>(words: readonly T[], text: string): T | undefined {
  return words.find((word) => word === text) ?? words.find((word) => word === text.toLowerCase());
}

function wholeAsset(imageRef: string, forceInsecure: boolean): ContainerAsset {
  return { imageRef, forceInsecure, tarballPath: '', ociPath: '' };
}

/** Upstream knows references only. */
function extensionAsset(text: string, insecure: boolean): ContainerAsset {
  const asset = wholeAsset('', false);
  if (text.startsWith('oci:')) return { ...asset, ociPath: text.slice('oci:'.length) };
  if (text.startsWith('tar:')) return { ...asset, tarballPath: text.slice('tar:'.length) };
  return wholeAsset(text, insecure);
}

function baseInstaller(imageRef: string | undefined, insecure: boolean): Partial<ContainerAsset> {
  if (imageRef === undefined || imageRef === '') return {};
  // Upstream has no way to say so by a flag.
  return imageRef.startsWith('oci:')
    ? { ociPath: imageRef.slice('oci:'.length) }
    : { imageRef, forceInsecure: insecure };
}

/** A reference with registry and tag written out is pulled; anything else is a directory (spec 10.1), with `oci:` before it as elsewhere or without. */
function imageCache(text: string | undefined, insecure: boolean): Partial<ContainerAsset> {
  if (text === undefined || text === '') return {};
  return isStrictReference(text) ? { imageRef: text, forceInsecure: insecure } : { ociPath: text.replace(/^oci:/, '') };
}

function isStrictReference(text: string): boolean {
  try {
    parseStrictReference(text);
    return true;
  } catch {
    return false;
  }
}

function secureBoot(flags: FlagValues): NonNullable<GivenProfile['input']>['secureboot'] {
  const signer = flags.text.get('secureboot-signer-address') ?? '';
  const pcrSigner = flags.text.get('pcr-signer-address') ?? '';
  const includeWellKnownCerts = flags.switches.has('secureboot-include-well-known-certs');
  if (signer === '' && pcrSigner === '' && !includeWellKnownCerts) return null;
  return {
    secureBootSigner: { signerAddress: signer },
    pcrSigner: { signerAddress: pcrSigner },
    includeWellKnownCerts,
  };
}

function overlayOf(
  name: string | undefined,
  imageRef: string | undefined,
  options: YamlMapping,
): GivenProfile['overlay'] {
  const given = (name !== undefined && name !== '') || (imageRef !== undefined && imageRef !== '');
  return given ? { name: name ?? '', image: overlayAsset(imageRef), options } : null;
}

/** Upstream's flag takes references alone. */
function overlayAsset(text = ''): Partial<ContainerAsset> {
  return text.startsWith('oci:') ? { ociPath: text.slice('oci:'.length) } : { imageRef: text };
}

async function embeddedConfiguration(path: string | undefined, files: Files): Promise<string> {
  if (path === undefined || path === '') return '';
  return decodeText(await files.read(path, CONFIG_FILE_LIMIT), path);
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1000,
  kb: 1000,
  m: 1000 ** 2,
  mb: 1000 ** 2,
  g: 1000 ** 3,
  gb: 1000 ** 3,
  t: 1000 ** 4,
  tb: 1000 ** 4,
  ki: 1024,
  kib: 1024,
  mi: 1024 ** 2,
  mib: 1024 ** 2,
  gi: 1024 ** 3,
  gib: 1024 ** 3,
  ti: 1024 ** 4,
  tib: 1024 ** 4,
};

/** `4GiB`, `1500 MB`, `1306525696`: bytes. */
export function parseSize(text: string): number {
  const match = /^\s*(\d{1,15}(?:\.\d{1,6})?)\s*([a-zA-Z]*)\s*$/.exec(text);
  const unit = SIZE_UNITS[match?.[2]?.toLowerCase() ?? 'none'];
  const size = match === null || unit === undefined ? Number.NaN : Math.floor(Number(match[1]) * unit);
  if (!Number.isSafeInteger(size))
    throw invalid(`size "${text}": want a number with a unit, like 4GiB or 1500MB, or min`);
  return size;
}

/** A malformed flag value is a usage error whatever the parser of the value calls it. */
function asUsage<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof ImagerError)) throw error;
    const details = error.hint === undefined ? { cause: error } : { cause: error, hint: error.hint };
    throw new ImagerError('usage', `flag --meta: ${error.message}`, details);
  }
}
