/** GRUB's core images, made once for each GRUB. */
import { read } from '../bytes/read.ts';
import type { GrubFiles } from './grub-files.ts';
import { openWorkplaceStore, type Workplace } from './workplace.ts';

/** Raised when a core image of the same modules comes out differently. */
const CORE_REVISION = 2;

/**
 * A core image out of the store, where it is kept: composing takes a tenth of a second, reading back a millisecond. Of a directory of the user's,
 * which may change, nothing is kept.
 */
export async function keptCore(
  workplace: Workplace,
  { identity }: GrubFiles,
  core: string,
  parameters: Readonly<Record<string, string>>,
  compose: () => Promise<Uint8Array>,
): Promise<Uint8Array> {
  if (identity === undefined) return compose();
  const store = await openWorkplaceStore(workplace);
  const key = { source: identity, kind: `grub-core ${CORE_REVISION}`, parameters: { core, ...parameters } };
  return read(await store.derived(key, async (writer) => writer.write(await compose())));
}
