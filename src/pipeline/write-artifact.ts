/** An artefact as a file. */
import { type WriteOptions, writeToFile } from '../bytes/write.ts';
import type { Platform } from '../platform/types.ts';
import type { Artifact } from './artifact.ts';

/**
 * Writes the artefact under its name into `directory`, which is made when it is not there, and returns the path. The file appears whole or not at
 * all. Writers of the same path at once need different `temporarySuffix`es. Throws `io`, `canceled`, and `io` from inputs that are gone or changed.
 *
 * @example
 * const path = await writeArtifact(platform, artifact, '_out', { sync: true }); // _out/metal-amd64.iso
 */
export async function writeArtifact(
  { files }: Pick<Platform, 'files'>,
  artifact: Artifact,
  directory: string,
  options: WriteOptions = {},
): Promise<string> {
  await files.makeDirectory(directory);
  const path = `${directory.replace(/\/+$/, '')}/${artifact.name}`;
  await writeToFile(files, path, artifact.bytes, options);
  return path;
}
