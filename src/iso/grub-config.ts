/** `boot/grub/grub.cfg` of an ISO. Source: spec boot-and-images 5.3. */
import { quoteForGrub } from '../boot/grub-quoting.ts';
import type { Traits } from '../profiles/traits.ts';

const HEAD = `set default=0
set timeout=3

insmod all_video

terminal_input console
terminal_output console

`;

const WIPE_SYSTEM_DISK = 'talos.experimental.wipe=system';

/** A menu that starts Talos with this command line, and a second entry that wipes the system disk first where Talos knows how. */
export function grubIsoConfig(cmdline: string, traits: Pick<Traits, 'hasGrubResetEntry'>): string {
  const args = quoteForGrub(cmdline);
  const reset = traits.hasGrubResetEntry ? menuEntry('Reset Talos installation', `${args} ${WIPE_SYSTEM_DISK}`) : '';
  return `${HEAD}${menuEntry('Talos ISO', args)}\n${reset}`;
}

function menuEntry(title: string, args: string): string {
  return `menuentry "${title}" {
\tset gfxmode=auto
\tset gfxpayload=text
\tlinux /boot/vmlinuz ${args}
\tinitrd /boot/initramfs.xz
}
`;
}
