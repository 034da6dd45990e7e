/** Artefacts as files, written by a process that may be killed in the middle. */
import type { WriteOptions } from '../bytes/write.ts';
import type { Artifact } from '../pipeline/artifact.ts';
import { writeArtifact } from '../pipeline/write-artifact.ts';
import type { Files, Platform } from '../platform/types.ts';

/** Of all temporary names of this process: builds at work at once do not meet, and it is known whose a file left behind is. */
export const TEMPORARY_SUFFIX: string = `${process.pid}.partial`;

/**
 * Writes the artefact under its name into `directory` and returns the path; what killed processes left of that name goes first. Throws what
 * `writeArtifact` throws.
 */
export async function writeOutput(
  platform: Platform,
  artifact: Artifact,
  directory: string,
  options: Omit<WriteOptions, 'temporarySuffix'> = {},
): Promise<string> {
  await removeAbandoned(platform.files, directory, artifact.name);
  return writeArtifact(platform, artifact, directory, { ...options, temporarySuffix: TEMPORARY_SUFFIX });
}

/** What killed processes left of `name` in `directory`. */
export async function removeAbandoned(files: Files, directory: string, name: string): Promise<void> {
  if ((await files.info(directory))?.kind !== 'directory') return;
  for (const entry of await files.list(directory)) {
    const [, owner] = /^\.(\d{1,10})\.partial$/.exec(entry.startsWith(name) ? entry.slice(name.length) : '') ?? [];
    if (owner === undefined || isAlive(Number(owner))) continue;
    await files.remove(`${directory.replace(/\/+$/, '')}/${entry}`);
  }
}

/** A process of somebody else, which may not be signalled, is alive too. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
