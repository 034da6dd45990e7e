/** A source as `resolveImage` reads it, without a store. */
import { type Hasher, readBlob } from './digest-check.ts';
import type { ImageSource, RawManifest } from './image-source.ts';
import { MANIFEST_LIMIT } from './manifest.ts';
import type { ManifestReader } from './resolve.ts';

/** Documents are asked for once, however many platforms are looked for in them; a tag keeps its meaning. */
export function sourceReader(hasher: Hasher, source: ImageSource): ManifestReader {
  const known = new Map<string, RawManifest>();
  return {
    label: source.label,
    async manifest(identifier, signal) {
      const found = known.get(identifier) ?? (await source.manifest(identifier, signal));
      known.set(identifier, found).set(found.digest, found);
      return found;
    },
    config: (descriptor, signal) => readBlob(hasher, source, descriptor, MANIFEST_LIMIT, signal),
  };
}
