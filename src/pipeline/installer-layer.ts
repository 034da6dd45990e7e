/** A layer of our own: a tar archive, compressed so that it has the same digest wherever and whenever it is made. */
import { Deflate, Z_SYNC_FLUSH } from 'pako';
import { ofMemory } from '../bytes/bytes.ts';
import { joinMemory } from '../bytes/field.ts';
import { type Digest, MIB } from '../bytes/units.ts';
import { layoutTarEntries } from '../formats/tar/layout-tar.ts';
import type { ComposedBlob } from '../oci/composed-image.ts';
import { OCI_LAYER } from '../oci/media-types.ts';
import type { Entry } from '../tree/tree.ts';
import { gzipContent } from './compress-content.ts';
import { digestOfContent } from './input-digest.ts';
import type { Packer } from './packer.ts';
import type { Workplace } from './workplace.ts';

export interface InstallerLayer {
  readonly blob: ComposedBlob;
  /** Of the plain archive. */
  readonly diffId: Digest;
}

/** As upstream has it. Kernel, initramfs and squashfs are compressed already and stored; this is for what is not, an arm64 kernel say. */
const LEVEL = 1;

/** The port to JavaScript, not the platform's zlib, which is another one in every release of Node: digests of layers must not depend on it. */
const LAYER_PACKER: Packer = {
  identity: `portable deflate 1 level ${LEVEL}`,
  pieceSize: MIB,
  needsCrc: true,
  async pack(data) {
    const deflate = new Deflate({ level: LEVEL, raw: true, legacyHash: true });
    deflate.push(data, Z_SYNC_FLUSH);
    return ofMemory(joinMemory(deflate.chunks));
  },
};

/** The entries in their order, as a gzip layer that refers to their contents. They are read for the digests. Throws what reading and the store throw, `canceled`. */
export async function installerLayer(workplace: Workplace, entries: readonly Entry[]): Promise<InstallerLayer> {
  const archive = layoutTarEntries(entries, { directories: 'plain' });
  const bytes = await gzipContent(workplace, archive, LAYER_PACKER);
  const descriptor = {
    mediaType: `${OCI_LAYER}+gzip`,
    digest: await digestOfContent(workplace, bytes),
    size: bytes.size,
  };
  const diffId = await digestOfContent(workplace, archive);
  return { blob: { descriptor, bytes, origins: [] }, diffId };
}
