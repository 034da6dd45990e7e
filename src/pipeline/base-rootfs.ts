/** The root file system of a base initramfs, taken out once per content and kept in the store. */
import { sha256 } from '@noble/hashes/sha2.js';
import type { Bytes } from '../bytes/bytes.ts';
import { toHex } from '../bytes/field.ts';
import { copyRootfs } from '../extensions/base-rootfs.ts';
import type { Store } from '../oci/store/store.ts';
import { contentKey } from './content-key.ts';
import type { Workplace } from './workplace.ts';

/** Revised when the same initramfs gives another file system. */
const REVISION = 1;

export interface KeptRootfs {
  /** Names the initramfs. */
  readonly source: string;
  /** A squashfs image. */
  readonly image: Bytes;
}

/** Throws `invalid-input` for what is no initramfs of Talos, what the store throws. */
export async function keptRootfs(workplace: Workplace, store: Store, base: Bytes): Promise<KeptRootfs> {
  const { compression } = workplace.platform;
  const { source, range } = await contentKey(workplace, base);
  const parameters = { revision: REVISION, ...range };
  const options = workplace.signal === undefined ? {} : { signal: workplace.signal };
  const image = await store.derived(
    { source, kind: 'rootfs', parameters },
    (sink) => copyRootfs(base, compression, sink, options),
    options,
  );
  return { source: digestOf([source, JSON.stringify(parameters)]), image };
}

function digestOf(parts: readonly string[]): string {
  return `sha256:${toHex(sha256(new TextEncoder().encode(JSON.stringify(parts))))}`;
}
