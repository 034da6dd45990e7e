/** What an overlay adds to a disk image. Source: spec boot-and-images 6.4. */
import type { Placement } from '../bytes/bytes.ts';
import { children, nameOf, overlay, parentOf, type Tree, treeOf } from '../tree/tree.ts';

export interface OverlayFiles {
  /** For the root of the EFI partition: what boards look for, and boot loaders of their own. */
  readonly efi: Tree;
  /** For BOOT; with systemd-boot there is none. */
  readonly boot: Tree;
  /** Before the first partition, and not over the partition table. */
  readonly gap: readonly Placement[];
}

/** `upper` over `lower` for a file system that takes `EFI/BOOT` and `EFI/boot` for one: the spelling of `lower` stays. */
export function overlayIgnoringCase(lower: Tree, upper: Tree): Tree {
  const spelled = new Map<string, string>([['', '']]);
  const entries = upper.entries.map((entry) => {
    const parent = spelled.get(parentOf(entry.path))!;
    const name = nameOf(entry.path);
    const own = children(lower, parent).find((one) => nameOf(one.path).toUpperCase() === name.toUpperCase());
    const path = own?.path ?? (parent === '' ? name : `${parent}/${name}`);
    const result = entry.path === '' ? '' : path;
    spelled.set(entry.path, result);
    return { ...entry, path: result };
  });
  return overlay(lower, treeOf(entries));
}
