/** The layer of boot assets that an installer writes to a disk. Source: spec profiles-and-inputs 9.2. */
import type { Bytes } from '../bytes/bytes.ts';
import type { Architecture } from '../profiles/profile.ts';
import type { Traits } from '../profiles/traits.ts';
import type { FileEntry } from '../tree/tree.ts';

/** systemd-boot with a UKI, or the kernel and initramfs that GRUB starts. */
export type InstalledAssets =
  | { readonly bootloader: 'sd-boot'; readonly loader: Bytes; readonly uki: Bytes }
  | { readonly bootloader: 'grub'; readonly kernel: Bytes; readonly initramfs: Bytes };

export interface InstallerTarget {
  readonly architecture: Architecture;
  readonly secureBoot: boolean;
  readonly traits: Pick<Traits, 'usesSdBootForUefi'>;
}

/** What the installer of a Talos version brings to machines; SecureBoot leaves no choice. */
export function installedBootloader({
  secureBoot,
  traits,
}: Omit<InstallerTarget, 'architecture'>): InstalledAssets['bootloader'] {
  return secureBoot || traits.usesSdBootForUefi ? 'sd-boot' : 'grub';
}

/** Mode 0, as upstream has it: the installer runs as root, and equal layers have equal digests. */
const UNREADABLE = { mode: 0, uid: 0, gid: 0, mtime: 0 } as const;

/** The files in the order of the archive, without directories. */
export function artifactEntries(assets: InstalledAssets, target: InstallerTarget): readonly FileEntry[] {
  const file = (name: string, content: Bytes): FileEntry => ({
    kind: 'file',
    path: `usr/install/${target.architecture}/${name}`,
    content,
    ...UNREADABLE,
  });
  if (assets.bootloader === 'sd-boot') {
    return [file('systemd-boot.efi', assets.loader), file(ukiName(target), assets.uki)];
  }
  return [file('initramfs.xz', assets.initramfs), file('vmlinuz', assets.kernel)];
}

/** Installers that knew systemd-boot for SecureBoot alone looked for another name. */
function ukiName({ secureBoot, traits }: InstallerTarget): string {
  return secureBoot && !traits.usesSdBootForUefi ? 'vmlinuz.efi.signed' : 'vmlinuz.efi';
}
