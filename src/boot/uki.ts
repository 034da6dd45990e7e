/** Unified kernel images; what signs them is beside. Source: spec boot-and-images 1. */
import { type Bytes, ofText } from '../bytes/bytes.ts';
import { ImagerError, invalid } from '../errors.ts';
import { MACHINE, machineName } from '../formats/pe/coff-header.ts';
import { decodePe } from '../formats/pe/image.ts';
import { SUBSYSTEM_EFI_APPLICATION } from '../formats/pe/optional-header.ts';
import { layoutUki, type UkiLayout, type UkiSection } from '../formats/pe/uki.ts';
import type { Architecture } from '../profiles/profile.ts';
import type { Traits } from '../profiles/traits.ts';
import { defaultSplash } from './splash.ts';
import { checkExtraProfiles, formatUkiProfile, MAIN_PROFILE, type UkiProfile } from './uki-profiles.ts';
import { BASE_SECTIONS, PROFILE_SECTIONS } from './uki-sections.ts';

export interface UkiParts {
  /** systemd-stub, a few hundred KiB at most. */
  readonly stub: Uint8Array;
  readonly architecture: Architecture;
  /** Text of `formatOsRelease`. */
  readonly osRelease: string;
  readonly cmdline: string;
  /** From `readKernelVersion`; `undefined` leaves `.uname` out. */
  readonly kernelVersion: string | undefined;
  /** A BMP file; ours unless given. */
  readonly splash?: Bytes;
  readonly kernel: Bytes;
  readonly initramfs: Bytes;
  /** Beside the main one; dropped for a Talos version without profiles. */
  readonly extraProfiles?: readonly UkiProfile[];
  readonly traits: Pick<Traits, 'supportsUki' | 'supportsUkiProfiles'>;
  /** Of a signed UKI. */
  readonly pcr?: PcrSections;
}

/** What binds disk keys to the UKI. */
export interface PcrSections {
  /** PEM. */
  readonly publicKey: string;
  /** Texts for the main profile and each extra one, in order; none while they are being made. */
  readonly signatures: readonly string[];
}

export interface BuildUkiOptions {
  /** Seconds since 1970, 0..2^32-1. */
  readonly timestamp: number;
  /**
   * Kernel and initramfs begin at multiples of this in the file, so that a container which places the file so can share their bytes:
   * `SHARING_ALIGNMENT`. Absent gives upstream's layout.
   */
  readonly sharingAlignment?: number;
}

/** What `sharingAlignment` is in every image we build: one number for the UKI and the file systems around it. */
export { SHARING_ALIGNMENT } from './esp.ts';

/** What other containers want to point to. */
const SHARED_SECTIONS = ['.linux', '.initrd'];

/**
 * Throws `unsupported` for a Talos version without UKIs, `invalid-input` for a stub that is none or for another machine, for profiles without an id of their own, and what
 * `layoutUki` throws.
 */
export function buildUki(parts: UkiParts, options: BuildUkiOptions): UkiLayout {
  if (!parts.traits.supportsUki)
    throw new ImagerError('unsupported', 'UKI: this Talos version has none, want 1.5 or later');
  checkStub(parts.stub, parts.architecture);
  const { sharingAlignment } = options;
  const sections = ukiSections(parts).map((section) =>
    sharingAlignment !== undefined && SHARED_SECTIONS.includes(section.name)
      ? { ...section, rawAlignment: sharingAlignment }
      : section,
  );
  return layoutUki(parts.stub, sections, { timestamp: options.timestamp });
}

function checkStub(stub: Uint8Array, architecture: Architecture): void {
  const { coff, optional, sections } = decodePe(stub, 'UEFI stub');
  if (coff.machine !== MACHINE[architecture]) {
    throw invalid(`UEFI stub: for ${machineName(coff.machine)}, want ${architecture}`);
  }
  if (optional.subsystem !== SUBSYSTEM_EFI_APPLICATION) {
    throw invalid(`UEFI stub: PE subsystem ${optional.subsystem}, want ${SUBSYSTEM_EFI_APPLICATION} (EFI application)`);
  }
  if (!sections.some(({ name }) => name === '.sbat')) {
    throw invalid('UEFI stub: no .sbat section, want a systemd-stub', {
      hint: 'linux<arch>.efi.stub of systemd 252 or later',
    });
  }
}

/** In order; names repeat when there is more than one profile. */
export function ukiSections(parts: UkiParts): UkiSection[] {
  const base: Readonly<Record<(typeof BASE_SECTIONS)[number], Bytes | undefined>> = {
    '.osrel': ofText(parts.osRelease),
    '.cmdline': ofText(parts.cmdline),
    '.uname': textIfAny(parts.kernelVersion),
    '.splash': parts.splash ?? defaultSplash(),
    '.pcrpkey': textIfAny(parts.pcr?.publicKey),
    '.linux': parts.kernel,
    '.initrd': parts.initramfs,
    '.profile': parts.traits.supportsUkiProfiles ? ofText(formatUkiProfile(MAIN_PROFILE)) : undefined,
    '.pcrsig': textIfAny(parts.pcr?.signatures[0]),
  };
  const extra = parts.extraProfiles ?? [];
  checkExtraProfiles(extra);
  return [
    ...inOrder(BASE_SECTIONS, base),
    ...(parts.traits.supportsUkiProfiles
      ? extra.flatMap((profile, index) => profileSections(profile, parts.pcr?.signatures[index + 1]))
      : []),
  ];
}

function profileSections(profile: UkiProfile, signature: string | undefined): UkiSection[] {
  return inOrder(PROFILE_SECTIONS, {
    '.profile': ofText(formatUkiProfile(profile)),
    '.cmdline': textIfAny(profile.cmdline),
    '.pcrsig': textIfAny(signature),
  });
}

function inOrder<Name extends string>(
  names: readonly Name[],
  contents: Readonly<Record<Name, Bytes | undefined>>,
): UkiSection[] {
  return names.flatMap((name) => {
    const content = contents[name];
    return content === undefined ? [] : [{ name, content }];
  });
}

function textIfAny(text: string | undefined): Bytes | undefined {
  return text === undefined || text === '' ? undefined : ofText(text);
}
