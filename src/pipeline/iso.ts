/** The ISO row of the output table: finishes the pieces the chosen generator needs. */
import { composeElToritoImage, composeIsoEfiCore, isoIdentifier } from '../boot/grub-image.ts';
import { type EfiPlatform, type GrubPlatform, readGrubFile } from '../boot/grub-modules.ts';
import type { Bytes } from '../bytes/bytes.ts';
import { buildIso, type IsoParts } from '../iso/build.ts';
import { isoGenerator } from '../iso/generator.ts';
import type { BiosGrub, EfiGrub, KernelParts, SystemdBoot } from '../iso/parts.ts';
import type { Architecture } from '../profiles/profile.ts';
import { isoChoice } from './asset-places.ts';
import type { BuildInput } from './build-input.ts';
import { keptCore } from './grub-core.ts';
import { type GrubFiles, hasPlatform, missingPlatform, platformFiles } from './grub-files.ts';
import { needsSigning } from './secureboot.ts';
import { enrollmentOf, inspectedKernel, systemdBootOf, ukiOf } from './uki.ts';
import type { Workplace } from './workplace.ts';

/** The whole ISO, referring to the assets. Throws what `buildIso` and the makers of its parts throw. */
export async function isoOf(input: BuildInput): Promise<Bytes> {
  const { profile, epoch, imageCache } = input;
  return buildIso(await partsOf(input), {
    version: profile.version,
    architecture: profile.arch,
    traits: profile.traits,
    epoch,
    ...(needsSigning(profile) ? { enrollment: profile.output.isoOptions?.sdBootEnrollKeys ?? 'if-safe' } : {}),
    ...(imageCache === undefined ? {} : { imageCache }),
  });
}

async function partsOf(input: BuildInput): Promise<IsoParts> {
  const generator = isoGenerator(isoChoice(input.profile));
  switch (generator) {
    case 'uefi':
      return { generator, systemd: await systemdParts(input) };
    case 'hybrid':
      return {
        generator,
        ...(await kernelParts(input)),
        systemd: await systemdParts(input),
        bios: await hybridBios(input),
      };
    case 'grub':
      return { generator, ...(await kernelParts(input)), ...(await everyGrub(input)) };
  }
}

async function systemdParts(input: BuildInput): Promise<SystemdBoot> {
  return { loader: await systemdBootOf(input), uki: await ukiOf(input), ...(await enrollmentOf(input)) };
}

async function kernelParts(input: BuildInput): Promise<KernelParts> {
  await inspectedKernel(input);
  const { assets, cmdline } = input;
  const font = assets.grub?.font;
  return {
    kernel: assets.file('kernel'),
    initramfs: assets.file('initramfs'),
    cmdline,
    ...(font === undefined ? {} : { font }),
  };
}

/** arm64 machines have no BIOS. */
async function hybridBios({ workplace, profile, assets }: BuildInput): Promise<BiosGrub | undefined> {
  return profile.arch === 'arm64' ? undefined : biosGrub(workplace, assets.grub!);
}

/** Platforms that start machines of an architecture. */
const STARTERS = {
  amd64: ['i386-pc', 'x86_64-efi'],
  arm64: ['arm64-efi'],
} as const satisfies Record<Architecture, readonly GrubPlatform[]>;

/** As grub-mkrescue does: every platform there is, whatever the target; but one of them must start it. */
async function everyGrub({
  workplace,
  profile,
  epoch,
  assets,
}: BuildInput): Promise<{ readonly bios?: BiosGrub; readonly efi: readonly EfiGrub[] }> {
  const grub = assets.grub!;
  const starters = STARTERS[profile.arch];
  if (!starters.some((platform) => hasPlatform(grub, platform))) throw missingPlatform(grub, starters.join(' or '));
  const efi: EfiGrub[] = [];
  for (const platform of ['x86_64-efi', 'arm64-efi'] as const) {
    if (hasPlatform(grub, platform)) efi.push(await efiGrub(workplace, grub, platform, epoch));
  }
  return hasPlatform(grub, 'i386-pc') ? { bios: await biosGrub(workplace, grub), efi } : { efi };
}

async function biosGrub(workplace: Workplace, grub: GrubFiles): Promise<BiosGrub> {
  const files = platformFiles(grub, 'i386-pc');
  const elTorito = await keptCore(workplace, grub, 'i386-pc-eltorito', {}, () => composeElToritoImage(files));
  return { files, hybridBoot: await readGrubFile(files, 'boot_hybrid.img'), elTorito };
}

async function efiGrub(workplace: Workplace, grub: GrubFiles, platform: EfiPlatform, epoch: number): Promise<EfiGrub> {
  const files = platformFiles(grub, platform);
  const identifier = isoIdentifier(epoch);
  const core = await keptCore(workplace, grub, platform, { identifier }, () =>
    composeIsoEfiCore(files, platform, identifier),
  );
  return { platform, files, core };
}
