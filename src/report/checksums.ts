/** Checksum files as `sha256sum --check` reads them (GNU coreutils, digest utilities). */

export interface FileChecksum {
  readonly name: string;
  /** Lower-case hexadecimal. */
  readonly checksum: string;
}

/** One LF-terminated line per file, in the order given; files are read as binary. A name that would break its line is escaped, which a backslash in front tells. */
export function formatChecksums(files: readonly FileChecksum[]): string {
  return files.map(lineOf).join('');
}

function lineOf({ name, checksum }: FileChecksum): string {
  const escaped = name.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  return `${escaped === name ? '' : '\\'}${checksum}  ${escaped}\n`;
}
