/** Command lines in GRUB's scripts. Source: spec boot-and-images 5.3. */

/** With a backslash before what GRUB's scripts would read as something else; `'`, `#` and `*` are left as upstream leaves them. */
export function quoteForGrub(cmdline: string): string {
  return cmdline.replaceAll(/[\\{}&$|;<>"]/g, '\\$&');
}
