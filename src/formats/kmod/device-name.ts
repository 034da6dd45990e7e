/** `modules.devname`: nodes in `/dev` that load a module when they are opened. Source: kmod, tools/depmod.c. */

/** A module's line, the message of what its line lacks, or neither. */
export function deviceLine(
  module: string,
  aliases: readonly string[],
): { readonly line?: string; readonly lack?: string } {
  let name: string | undefined;
  let device: string | undefined;
  for (const alias of aliases) {
    if (alias.startsWith('devname:')) name = alias.slice('devname:'.length);
    else device = numberOf(alias) ?? device;
    if (name !== undefined && device !== undefined) return { line: `${module} ${name} ${device}\n` };
  }
  if (name === undefined) return {};
  return { lack: `module ${module}: device name ${name} without major and minor number` };
}

/** `c10:229`. What follows the numbers does not count. */
function numberOf(alias: string): string | undefined {
  const [, kind, major, minor] = /^(char|block)-major-(\d{1,10})-(\d{1,10})/.exec(alias) ?? [];
  return kind === undefined ? undefined : `${kind[0]}${Number(major)}:${Number(minor)}`;
}
