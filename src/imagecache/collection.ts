/** What a cache is going to hold, while it is put together. */
import type { Digest } from '../bytes/units.ts';
import { invalid } from '../errors.ts';
import { digestOf, type Hasher } from '../oci/digest-check.ts';
import type { BlobSource, Descriptor, ImageSource, RawManifest } from '../oci/image-source.ts';
import type { ImageManifest } from '../oci/manifest.ts';
import { digestPath, type RepositoryName, tagPath } from './names.ts';

export interface WantedBlob {
  readonly descriptor: Pick<Descriptor, 'digest' | 'size'>;
  readonly source: BlobSource;
}

export interface Collection {
  readonly hasher: Hasher;
  readonly blobs: Map<Digest, WantedBlob>;
  readonly documents: Map<string, Uint8Array>;
  readonly tags: Map<string, Uint8Array>;
}

export function addDocument({ documents }: Collection, name: RepositoryName, { digest, raw }: RawManifest): void {
  documents.set(digestPath(name, digest), raw);
}

export function addTag(
  { tags, hasher }: Collection,
  name: RepositoryName,
  tag: string,
  { digest, raw }: RawManifest,
): void {
  const path = tagPath(name, tag);
  const before = tags.get(path);
  const other = before === undefined ? digest : digestOf(hasher, before);
  if (other !== digest) throw invalid(`tag ${tag} stands for ${digest} and, elsewhere in the list, for ${other}`);
  tags.set(path, raw);
}

/** The same blob may be in any number of images. */
export function addBlobs({ blobs }: Collection, source: ImageSource, { config, layers }: ImageManifest): void {
  for (const { digest, size } of [config, ...layers]) {
    const known = blobs.get(digest)?.descriptor.size ?? size;
    if (known !== size) throw invalid(`${source.label}: blob ${digest} has ${size} bytes here, elsewhere ${known}`);
    if (!blobs.has(digest)) blobs.set(digest, { descriptor: { digest, size }, source });
  }
}
