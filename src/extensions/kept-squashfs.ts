/** The squashfs image of an extension: made once per content, then kept in the store. */
import type { Bytes } from '../bytes/bytes.ts';
import {
  type SquashfsOptions,
  type SquashfsWatch,
  squashfsMaker,
  squashfsOf,
  writeSquashfs,
} from '../formats/squashfs/write.ts';
import type { Store } from '../oci/store/store.ts';
import type { Platform } from '../platform/types.ts';
import type { Tree } from '../tree/tree.ts';

/** Says what a tree holds without looking at its contents: two trees with the same identity are the same in everything. */
export interface TreeIdentity {
  /** Digest of what the tree comes from: of the extension's image, of an archive. */
  readonly source: string;
  /** What was done to it since, as JSON: paths taken out, labels and times given. Members in the order written count. */
  readonly changes: unknown;
}

/**
 * The image of `tree`, from the store or made now, its blocks going to the store as they are compressed. Options and the compressor's version
 * belong to what it is kept by. Throws as `writeSquashfs` does, and `io`, `canceled`.
 */
export async function keptSquashfs(
  store: Store,
  machine: Pick<Platform, 'compression' | 'hash'>,
  { source, changes }: TreeIdentity,
  tree: Tree,
  options: SquashfsOptions,
  watch: SquashfsWatch = {},
): Promise<Bytes> {
  const parameters = { maker: squashfsMaker(options, machine), options, changes };
  const kept = await store.derived(
    { source, kind: 'squashfs', parameters },
    (sink) => writeSquashfs(tree, options, machine, sink, watch),
    watch.signal === undefined ? {} : { signal: watch.signal },
  );
  return squashfsOf(kept);
}
