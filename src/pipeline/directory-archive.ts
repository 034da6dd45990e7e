/** `--tar-to-stdout`: a whole output directory as one gzip stream (spec profiles-and-inputs 1.4). */
import { chunks } from '../bytes/read.ts';
import { layoutTar } from '../formats/tar/layout-tar.ts';
import type { Chunks, Platform } from '../platform/types.ts';
import { treeOfDirectory } from '../tree/directory.ts';

/** Go's default, which upstream uses. */
const LEVEL = 6;

/** Everything in `directory`, owned by 0:0. */
export async function archiveDirectory(platform: Platform, directory: string, signal?: AbortSignal): Promise<Chunks> {
  const archive = layoutTar(await treeOfDirectory(platform.files, directory));
  return platform.compression.gzip(chunks(archive, signal === undefined ? {} : { signal }), { level: LEVEL }, signal);
}
