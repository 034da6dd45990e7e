/** Checksum files as `sha256sum --check` reads them. */

export interface FileChecksum {
  readonly name: string;
  /** Lower-case hexadecimal. */
  readonly checksum: string;
}

/** One LF-terminated line per file, in the order given; files are read as binary. */
export function formatChecksums(files: readonly FileChecksum[]): string {
  return files.map(({ name, checksum }) => `${checksum}  ${name}\n`).join('');
}
