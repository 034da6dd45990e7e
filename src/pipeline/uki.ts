/** The UKI of a build, and the boot loader beside it. */
import { type EnrollmentKeys, SHARING_ALIGNMENT } from '../boot/esp.ts';
import { inspectKernel, type Kernel } from '../boot/kernel.ts';
import { formatOsRelease } from '../boot/os-release.ts';
import { buildUki } from '../boot/uki.ts';
import { extraUkiProfiles } from '../boot/uki-profiles.ts';
import { type Bytes, ofMemory } from '../bytes/bytes.ts';
import { toMemory } from '../bytes/read.ts';
import { MIB } from '../bytes/units.ts';
import { invalid } from '../errors.ts';
import { MACHINE, machineName } from '../formats/pe/coff-header.ts';
import { readPe } from '../formats/pe/image.ts';
import type { UkiLayout } from '../formats/pe/uki.ts';
import type { BuildInput } from './build-input.ts';
import { enrolledKeys } from './secureboot.ts';

/** Far above any stub; what is larger is something else. */
const STUB_LIMIT = 16 * MIB;

/** The UKI with its menu entries for the profile's output kind; kernel and initramfs begin where other containers can share them. */
export async function ukiOf(input: BuildInput): Promise<UkiLayout> {
  const { profile, epoch, cmdline, assets, workplace, secureBoot } = input;
  const kernel = await inspectedKernel(input);
  if (!kernel.isEfi) {
    workplace.onWarning?.(`kernel: a ${kernel.format} without an EFI stub, UEFI cannot start it from the UKI`);
  }
  const parts = {
    stub: await toMemory(assets.file('systemd-stub'), STUB_LIMIT, 'UEFI stub'),
    architecture: profile.arch,
    osRelease: formatOsRelease(profile),
    cmdline,
    kernelVersion: kernel.version,
    kernel: assets.file('kernel'),
    initramfs: assets.file('initramfs'),
    extraProfiles: extraUkiProfiles(profile.output.kind, cmdline),
    traits: profile.traits,
  };
  const options = { timestamp: epoch, sharingAlignment: SHARING_ALIGNMENT };
  if (secureBoot === undefined) return buildUki(parts, options);
  const { signPe } = await import('../boot/sign-pe.ts');
  const { pcrSectionsOf } = await import('../boot/sign-uki.ts');
  const pcr = await pcrSectionsOf(workplace.platform, parts, secureBoot.pcrKey, workplace);
  const { bytes, sections } = buildUki({ ...parts, pcr }, options);
  return { bytes: await signPe(workplace.platform, bytes, secureBoot.signer, epoch, 'UKI', workplace), sections };
}

/** Throws `invalid-input` for a kernel that is none, or one for another architecture. */
export function inspectedKernel({ profile, assets }: BuildInput): Promise<Kernel> {
  return inspectKernel(assets.file('kernel'), profile.arch);
}

/** systemd-boot, checked to be a program for the target, signed where it must be. Throws `invalid-input`, and what signing throws. */
export async function systemdBootOf({ workplace, profile, epoch, assets, secureBoot }: BuildInput): Promise<Bytes> {
  const loader = assets.file('systemd-boot');
  const { coff } = await readPe(loader, 'systemd-boot');
  if (coff.machine !== MACHINE[profile.arch]) {
    throw invalid(`systemd-boot: for ${machineName(coff.machine)}, want ${profile.arch}`);
  }
  if (secureBoot === undefined) return loader;
  const { signPe } = await import('../boot/sign-pe.ts');
  return signPe(workplace.platform, loader, secureBoot.signer, epoch, 'systemd-boot', workplace);
}

/** What firmware in setup mode is given; nothing without SecureBoot. */
export async function enrollmentOf({
  workplace,
  epoch,
  secureBoot,
}: BuildInput): Promise<{ readonly keys?: EnrollmentKeys; readonly certificate?: Bytes }> {
  if (secureBoot === undefined) return {};
  const keys = await enrolledKeys(workplace, secureBoot, epoch);
  return { keys, certificate: ofMemory(secureBoot.signer.certificate) };
}
