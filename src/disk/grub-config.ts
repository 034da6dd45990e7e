/** `grub/grub.cfg` of a disk image. Source: spec boot-and-images 6.4. */
import { quoteForGrub } from '../boot/grub-quoting.ts';
import { invalid } from '../errors.ts';

/** Of the first of two installations that Talos switches between. */
export const KERNEL_PATH = 'A/vmlinuz';
export const INITRAMFS_PATH = 'A/initramfs.xz';

const RESET_TITLE = 'Reset Talos installation and return to maintenance mode';
const WIPE_SYSTEM = 'talos.experimental.wipe=system:EPHEMERAL,STATE';

export interface GrubDiskConfigOptions {
  /** Whether there is an entry that wipes the system. */
  readonly reset: boolean;
}

/** The menu. Talos reads it back when it upgrades, so nothing but what upstream writes. Throws `invalid-input` for a version that would break it. */
export function grubDiskConfig(version: string, cmdline: string, { reset }: GrubDiskConfigOptions): string {
  // It stands in quotes in a script.
  if (/["$`\\\p{Cc}]/u.test(version))
    throw invalid(`version ${JSON.stringify(version)}: want a text that GRUB can quote`);
  const title = `A - Talos ${version}`;
  const args = quoteForGrub(cmdline);
  const entries = [menuEntry(title, args), ...(reset ? [menuEntry(RESET_TITLE, `${args} ${WIPE_SYSTEM}`)] : [])];
  return `set default="${title}"

set timeout=3

insmod all_video

terminal_input console
terminal_output console

${entries.join('')}`;
}

function menuEntry(title: string, args: string): string {
  return `menuentry "${title}" {
  set gfxmode=auto
  set gfxpayload=text
  linux /${KERNEL_PATH} ${args}
  initrd /${INITRAMFS_PATH}
}
`;
}
