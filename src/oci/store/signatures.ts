/** What was looked at when an image was verified, by the image's digest: so that it is verified again where nothing may be contacted. */
import { type Digest, hexOf } from '../../bytes/units.ts';
import type { Platform as Machine } from '../../platform/types.ts';
import { parseSignatureRecord, type SignatureRecord } from '../../trust/record.ts';
import { replaceFile, storePaths } from './files.ts';

/** A hundred signatures of a MiB each, in base64, and then some. */
const RECORD_LIMIT: number = 200 << 20;

function recordPath(directory: string, digest: Digest): string {
  return `${storePaths(directory).signatures}/${hexOf(digest)}.json`;
}

/** `directory` is a store's. Replaces what was kept before. Throws `io`. */
export async function keepSignatures(
  { files }: Pick<Machine, 'files'>,
  directory: string,
  digest: Digest,
  record: SignatureRecord,
): Promise<void> {
  const paths = storePaths(directory);
  await files.makeDirectory(paths.temporary);
  await files.makeDirectory(paths.signatures);
  const text = new TextEncoder().encode(JSON.stringify(record));
  await replaceFile(files, paths, recordPath(directory, digest), text);
}

/** `undefined` where there is none that can be read: what it says is verified again anyway. */
export async function keptSignatures(
  { files }: Pick<Machine, 'files'>,
  directory: string,
  digest: Digest,
): Promise<SignatureRecord | undefined> {
  const path = recordPath(directory, digest);
  try {
    const record = parseSignatureRecord(await files.read(path, RECORD_LIMIT));
    // What is used stays when the store is pruned; one that cannot be written to is not pruned either.
    await files.touch(path).catch(() => undefined);
    return record;
  } catch {
    return undefined;
  }
}
