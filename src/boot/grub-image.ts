/** The GRUB core images that outputs need. Source: spec boot-and-images 5.6, 5.7, 6.5. */
import { invalid } from '../errors.ts';
import { composeBiosCore } from '../formats/grub/bios-core.ts';
import { composeEfiCore } from '../formats/grub/efi-core.ts';
import type { EfiMachine } from '../formats/grub/efi-kernel.ts';
import type { CorePayload } from '../formats/grub/payload.ts';
import type { Tree } from '../tree/tree.ts';
import {
  type EfiPlatform,
  type GrubPlatform,
  insertPartitionMaps,
  readGrubFile,
  readGrubModules,
} from './grub-modules.ts';

/** Where GRUB's files are on an ISO. */
const ISO_PREFIX = '/boot/grub';
/** The third partition is BOOT in every image that has GRUB. */
const DISK_PREFIX = '(hd0,gpt3)/grub';

/** What an installed GRUB has built in: all it needs to read BOOT and its menu, and commands to help oneself. */
const DISK_MODULES = [
  'part_gpt',
  'ext2',
  'fat',
  'xfs',
  'normal',
  'configfile',
  'linux',
  'boot',
  'search',
  'search_fs_uuid',
  'search_fs_file',
  'ls',
  'cat',
  'echo',
  'test',
  'help',
  'reboot',
  'halt',
  'all_video',
] as const;

/** For module files that were compressed with xz. Ours are not; kept so that the image is upstream's. */
const XZ_MODULES = ['xzio', 'gcry_crc'] as const;

/**
 * `boot/grub/i386-pc/eltorito.img`: starts from CD, and from disk by way of `boot_hybrid.img`. `files` is the i386-pc
 * directory. The root is where the BIOS started from. Boot info is still missing: `elToritoPatches` gives it.
 * Throws `invalid-input`.
 */
export async function composeElToritoImage(files: Tree): Promise<Uint8Array> {
  const modules = await readGrubModules(files, ['biosdisk', 'iso9660', ...XZ_MODULES]);
  const config = await insertPartitionMaps(files);
  return composeBios(files, { modules, prefix: ISO_PREFIX, config }, { cd: true });
}

/**
 * The core of an installed GRUB, `files` being the directory of `platform`. For i386-pc it is `core.img` of the BIOS
 * partition, whose positions are still those of a core at sector 1: `diskCorePatches` gives the right ones. For the others
 * it is the EFI program. Throws `invalid-input`.
 */
export async function composeDiskCore(files: Tree, platform: GrubPlatform): Promise<Uint8Array> {
  if (platform === 'i386-pc') {
    const modules = await readGrubModules(files, [...DISK_MODULES, 'biosdisk', 'part_msdos']);
    return composeBios(files, { modules, prefix: DISK_PREFIX }, { cd: false });
  }
  const modules = await readGrubModules(files, DISK_MODULES);
  return composeEfi(files, { modules, prefix: DISK_PREFIX }, platform);
}

/**
 * `efi/boot/bootx64.efi` or `bootaa64.efi` of a GRUB ISO, `files` being the directory of `platform`. It looks for the file
 * `isoMarker(identifier)` on all devices, so that it also starts when the files were copied to another medium.
 * Throws `invalid-input`.
 */
export async function composeIsoEfiCore(files: Tree, platform: EfiPlatform, identifier: string): Promise<Uint8Array> {
  const apple = platform === 'x86_64-efi' ? ['part_apple'] : [];
  const modules = ['part_gpt', 'part_msdos', 'fat', 'ntfs', ...apple, 'search', 'iso9660', ...XZ_MODULES];
  const config = [
    `search --set=root --file /${isoMarker(identifier)}\n`,
    `set prefix=(\${root})${ISO_PREFIX}\n`,
    await insertPartitionMaps(files),
  ].join('');
  return composeEfi(files, { modules: await readGrubModules(files, modules), prefix: ISO_PREFIX, config }, platform);
}

/** What GRUB ISOs made at `epoch` (seconds since 1970) are told apart by: `2019-06-01-21-34-52-00`. Throws `invalid-input`. */
export function isoIdentifier(epoch: number): string {
  const time = new Date(epoch * 1000);
  if (!Number.isSafeInteger(epoch) || Number.isNaN(time.getTime()) || !/^\d{4}-/.test(time.toISOString())) {
    throw invalid(`time ${epoch}: want whole seconds since 1970, in years of four digits`);
  }
  return `${time.toISOString().slice(0, 19).replace(/[T:]/g, '-')}-00`;
}

/** Path of the empty file that says "this is the ISO". */
export function isoMarker(identifier: string): string {
  // It stands unquoted in a GRUB script and is a file name.
  if (!/^[0-9A-Za-z][0-9A-Za-z-]*$/.test(identifier)) {
    throw invalid(`ISO identifier "${identifier}": want letters, digits and hyphens`);
  }
  return `.disk/${identifier}.uuid`;
}

const EFI_MACHINES = {
  'x86_64-efi': 'x86_64',
  'arm64-efi': 'aarch64',
} as const satisfies Record<EfiPlatform, EfiMachine>;

async function composeEfi(files: Tree, payload: CorePayload, platform: EfiPlatform): Promise<Uint8Array> {
  return composeEfiCore(await readGrubFile(files, 'kernel.img'), payload, EFI_MACHINES[platform]);
}

async function composeBios(files: Tree, payload: CorePayload, options: { readonly cd: boolean }): Promise<Uint8Array> {
  const [kernel, decompressor, diskBoot] = await Promise.all([
    readGrubFile(files, 'kernel.img'),
    readGrubFile(files, 'lzma_decompress.img'),
    readGrubFile(files, 'diskboot.img'),
  ]);
  const parts = { kernel, decompressor, diskBoot };
  if (!options.cd) return composeBiosCore(parts, payload);
  return composeBiosCore({ ...parts, cdBoot: await readGrubFile(files, 'cdboot.img') }, payload);
}
