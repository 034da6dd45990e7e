/** What grub-mkrescue puts on an ISO beside the user's files. Source: spec boot-and-images 5.6, 5.7. */
import type { GrubPlatform } from '../boot/grub-modules.ts';
import type { Bytes } from '../bytes/bytes.ts';
import { type Attributes, type Entry, nameOf, type Tree } from '../tree/tree.ts';

/** Below this, as the core images have it compiled in. */
const GRUB_DIRECTORY = 'boot/grub';

export const EL_TORITO_PATH: string = `${GRUB_DIRECTORY}/i386-pc/eltorito.img`;

const REQUIRED_LISTS: ReadonlySet<string> = new Set([
  'command.lst',
  'crypto.lst',
  'fs.lst',
  'moddep.lst',
  'modinfo.sh',
  'parttool.lst',
  'partmap.lst',
  'terminal.lst',
  'video.lst',
  'efiemu32.o',
  'efiemu64.o',
]);

/**
 * Modules and lists of one platform, whose directory `files` is. Modules are stored as they are: upstream compresses them with xz, which
 * saves 2 MB of space and costs a decoder at boot.
 */
export function platformEntries(platform: GrubPlatform, files: Tree, attributes: Attributes): Entry[] {
  return files.entries.flatMap((entry): Entry[] => {
    const name = nameOf(entry.path);
    const wanted = name.endsWith('.mod') || REQUIRED_LISTS.has(name);
    if (entry.kind !== 'file' || entry.path !== name || !wanted) return [];
    return [{ kind: 'file', path: `${GRUB_DIRECTORY}/${platform}/${name}`, content: entry.content, ...attributes }];
  });
}

/** The directories every GRUB ISO has, the font if there is one, and the menu. */
export function commonGrubEntries(menu: Bytes, font: Bytes | undefined, attributes: Attributes): Entry[] {
  const entries: Entry[] = ['fonts', 'locale', 'roms'].map((name) => ({
    kind: 'directory',
    path: `${GRUB_DIRECTORY}/${name}`,
    ...attributes,
  }));
  entries.push({ kind: 'file', path: `${GRUB_DIRECTORY}/grub.cfg`, content: menu, ...attributes });
  if (font !== undefined) {
    entries.push({ kind: 'file', path: `${GRUB_DIRECTORY}/fonts/unicode.pf2`, content: font, ...attributes });
  }
  return entries;
}
