/** The iPXE script that boots the files beside it (specification boot-and-images 8). */
import { formatIpxeArguments } from './ipxe-argument.ts';

/** Names of files in the directory of the script. */
export type IpxeBoot =
  | { readonly kind: 'linux'; readonly kernel: string; readonly initramfs: string }
  /** Kernel and initramfs in one signed file. */
  | { readonly kind: 'uki'; readonly uki: string };

export interface IpxeScript {
  readonly boot: IpxeBoot;
  /** Without a newline. */
  readonly cmdline: string;
  /** Ends with a slash; without it files are looked for where the script came from. */
  readonly baseUrl?: string;
}

/** Name of the script in its directory. */
export const IPXE_SCRIPT_NAME = 'boot.ipxe';

/**
 * Text of the script, LF-terminated lines. It differs from Image Factory's in that arguments are escaped and `initrd=` is given: a UEFI kernel started by an
 * iPXE older than 2021 finds its initramfs by that name alone; to all others it means nothing. Throws what `formatIpxeArguments` throws.
 */
export function formatIpxeScript({ boot, cmdline, baseUrl = '' }: IpxeScript): string {
  const line = boot.kind === 'linux' ? `initrd=${boot.initramfs} ${cmdline}` : cmdline;
  const { settings, text } = formatIpxeArguments(line);
  const lines = ['#!ipxe', '', 'imgfree', ...settings];
  if (boot.kind === 'uki') lines.push(`kernel ${baseUrl}${boot.uki}${text}`);
  else lines.push(`kernel ${baseUrl}${boot.kernel}${text}`, `initrd ${baseUrl}${boot.initramfs}`);
  return [...lines, 'boot', ''].join('\n');
}
