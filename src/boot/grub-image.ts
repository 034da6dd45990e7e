/** The GRUB core images that outputs need. Source: spec boot-and-images 5.6, 5.7, 6.5. */
import { composeBiosCore } from '../formats/grub/bios-core.ts';
import type { CorePayload } from '../formats/grub/core-parts.ts';
import type { Tree } from '../tree/tree.ts';
import { insertPartitionMaps, readGrubFile, readGrubModules } from './grub-modules.ts';

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
 * `core.img` for the BIOS partition of a disk, `files` being the i386-pc directory. Positions are still those of a core at
 * sector 1: `diskCorePatches` gives the right ones. Throws `invalid-input`.
 */
export async function composeDiskCore(files: Tree): Promise<Uint8Array> {
  const modules = await readGrubModules(files, [...DISK_MODULES, 'biosdisk', 'part_msdos']);
  return composeBios(files, { modules, prefix: DISK_PREFIX }, { cd: false });
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
