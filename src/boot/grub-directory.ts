/** `boot/grub` of an ISO, except for its menu: what GRUB loads at run time. Source: spec boot-and-images 5.6. */
import type { Bytes } from '../bytes/bytes.ts';
import { invalid } from '../errors.ts';
import { children, type Entry, fileAt, type Tree, treeOf } from '../tree/tree.ts';
import type { GrubPlatform } from './grub-modules.ts';

/** Lists that commands, file systems and the like are found by, and the emulated EFI of i386-pc. */
const PLATFORM_FILES: ReadonlySet<string> = new Set([
  'moddep.lst',
  'command.lst',
  'fs.lst',
  'partmap.lst',
  'parttool.lst',
  'video.lst',
  'crypto.lst',
  'terminal.lst',
  'modinfo.sh',
  'efiemu32.o',
  'efiemu64.o',
]);

export interface GrubDirectoryOptions {
  /** `unicode.pf2`: without it the menu is text. */
  readonly font?: Bytes;
  /** The patched El Torito image, for `i386-pc/eltorito.img`. */
  readonly elTorito?: Bytes;
  /** Seconds since 1970 for all entries. */
  readonly mtime?: number;
}

/**
 * Paths begin with `boot/grub`. `platforms` are the directories of the imager image below `/usr/lib/grub`; their files are
 * taken as they are, uncompressed. Throws `invalid-input` for a platform without modules.
 */
export function buildGrubDirectory(
  platforms: ReadonlyMap<GrubPlatform, Tree>,
  options: GrubDirectoryOptions = {},
): Tree {
  const common = { uid: 0, gid: 0, mtime: options.mtime ?? 0 };
  const directory = (path: string): Entry => ({ kind: 'directory', path, mode: 0o755, ...common });
  const file = (path: string, content: Bytes): Entry => ({ kind: 'file', path, content, mode: 0o644, ...common });
  const entries = ['boot', 'boot/grub', 'boot/grub/fonts', 'boot/grub/roms'].map(directory);
  for (const [platform, files] of platforms) {
    const top = `boot/grub/${platform}`;
    entries.push(directory(top));
    for (const [name, content] of platformFiles(files, platform)) entries.push(file(`${top}/${name}`, content));
  }
  if (options.font !== undefined) entries.push(file('boot/grub/fonts/unicode.pf2', options.font));
  if (options.elTorito !== undefined) entries.push(file('boot/grub/i386-pc/eltorito.img', options.elTorito));
  return treeOf(entries);
}

function platformFiles(files: Tree, platform: GrubPlatform): [string, Bytes][] {
  const found: [string, Bytes][] = [];
  for (const entry of children(files, '')) {
    const { path } = entry;
    if (!path.endsWith('.mod') && !PLATFORM_FILES.has(path)) continue;
    const content = entry.kind === 'file' ? entry.content : fileAt(files, path);
    if (content !== undefined) found.push([path, content]);
  }
  if (found.some(([name]) => name.endsWith('.mod'))) return found;
  throw invalid(`GRUB directory of ${platform}: no modules in it`);
}
