/** GRUB as a build takes it: the platform directories and the font, from an image or from this machine. */
import type { GrubPlatform } from '../boot/grub-modules.ts';
import { type Bytes, ofSource } from '../bytes/bytes.ts';
import { ImagerError } from '../errors.ts';
import type { Files } from '../platform/types.ts';
import { treeOfDirectory } from '../tree/directory.ts';
import { children, fileAt, resolve, subtree, type Tree } from '../tree/tree.ts';
import { GRUB_DIRECTORY } from './asset-places.ts';

export interface GrubFiles {
  /** GRUB's platform directories (`i386-pc`, `x86_64-efi`, ...) by name. */
  readonly platforms: Tree;
  /** `unicode.pf2`, where there is one. */
  readonly font: Bytes | undefined;
  /** Same text, same files: what derived results are kept under. Absent for a directory, which somebody may change. */
  readonly identity: string | undefined;
}

const GRUB_FONT = '/usr/share/grub/unicode.pf2';

/** From an image that has the directory. */
export function grubOfImage(tree: Tree, identity: string): GrubFiles {
  const directory = resolve(tree, GRUB_DIRECTORY)!;
  return { platforms: subtree(tree, directory.path), font: fileAt(tree, GRUB_FONT), identity };
}

/** From a directory; the font is looked for where it lies relative to the usual one. Throws `io`. */
export async function grubOfDirectory(files: Files, directory: string): Promise<GrubFiles> {
  return {
    platforms: await treeOfDirectory(files, directory),
    font: await fontBeside(files, directory),
    identity: undefined,
  };
}

async function fontBeside(files: Files, directory: string): Promise<Bytes | undefined> {
  if (!directory.endsWith(GRUB_DIRECTORY)) return undefined;
  const path = `${directory.slice(0, -GRUB_DIRECTORY.length)}${GRUB_FONT}`;
  return (await files.info(path))?.kind === 'file' ? ofSource(await files.source(path)) : undefined;
}

export function hasPlatform({ platforms }: GrubFiles, platform: GrubPlatform): boolean {
  return platforms.byPath.get(platform)?.kind === 'directory';
}

/** The directory of one platform. Throws `dependency` when it is not there. */
export function platformFiles(grub: GrubFiles, platform: GrubPlatform): Tree {
  if (!hasPlatform(grub, platform)) throw missingPlatform(grub, platform);
  return subtree(grub.platforms, platform);
}

export function missingPlatform({ platforms }: GrubFiles, wanted: string): ImagerError {
  const found = children(platforms, '').map(({ path }) => path);
  return new ImagerError('dependency', `GRUB platform ${wanted}: not among ${found.join(', ') || 'nothing'}`, {
    hint: 'the imager image has it; name another directory with --grub-dir',
  });
}
