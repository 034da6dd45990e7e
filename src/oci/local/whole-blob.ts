/** Whether a layout has a blob already, and right. */
import { ofSource } from '../../bytes/bytes.ts';
import { chunks } from '../../bytes/read.ts';
import type { Platform as Machine } from '../../platform/types.ts';
import { finishDigest } from '../digest-check.ts';
import type { Descriptor } from '../image-source.ts';
import { blobPathOf } from './layout.ts';

/** Read and compared: nothing was flushed to the disk file by file, and power may have failed since. Throws `io`. */
export async function isWholeBlob(
  { files, hash }: Pick<Machine, 'files' | 'hash'>,
  directory: string,
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
  signal?: AbortSignal,
): Promise<boolean> {
  const path = `${directory}/${blobPathOf(digest)}`;
  if ((await files.info(path))?.size !== size) return false;
  const content = hash('sha256');
  for await (const chunk of chunks(ofSource(await files.source(path)), signal === undefined ? {} : { signal })) {
    content.update(chunk);
  }
  return finishDigest(content) === digest;
}
