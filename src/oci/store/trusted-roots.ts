/** Trusted roots that were fetched, with the metadata they came with: by the repository and the root that was believed first. */
import { type Digest, hexOf } from '../../bytes/units.ts';
import type { Platform as Machine } from '../../platform/types.ts';
import { replaceFile, storePaths } from './files.ts';

/** Metadata of a repository and its root, in base64. */
const RECORD_LIMIT: number = 16 << 20;

function recordPath(directory: string, key: Digest): string {
  return `${storePaths(directory).trustedRoots}/${hexOf(key)}.json`;
}

/** `directory` is a store's. Replaces what was kept before. Throws `io`. */
export async function keepTrustedRoot(
  { files }: Pick<Machine, 'files'>,
  directory: string,
  key: Digest,
  record: object,
): Promise<void> {
  const paths = storePaths(directory);
  await files.makeDirectory(paths.temporary);
  await files.makeDirectory(paths.trustedRoots);
  await replaceFile(files, paths, recordPath(directory, key), new TextEncoder().encode(JSON.stringify(record)));
}

/** `undefined` where there is none that can be read. */
export async function keptTrustedRoot(
  { files }: Pick<Machine, 'files'>,
  directory: string,
  key: Digest,
): Promise<unknown> {
  try {
    return JSON.parse(new TextDecoder().decode(await files.read(recordPath(directory, key), RECORD_LIMIT)));
  } catch {
    return undefined;
  }
}
