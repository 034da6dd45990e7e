/** A repository or a layout, seen as what holds signatures. */
import { parseDigest } from '../bytes/units.ts';
import { SIGNATURE_LIMIT, type SignatureSource } from '../trust/collect.ts';
import { checkDigest, digestOf, type Hasher, readBlob } from './digest-check.ts';
import type { ImageSource } from './image-source.ts';
import { referrersOf } from './referrers.ts';
import { isDigest } from './resolve.ts';

/** Everything is compared with its digest on the way. Throws as the source does, and `verification` for what is not what it is called. */
export function signatureSource(hasher: Hasher, source: ImageSource, signal?: AbortSignal): SignatureSource {
  return {
    async manifest(identifier) {
      const found = await source.findManifest(identifier, signal);
      if (found === undefined) return undefined;
      const digest = digestOf(hasher, found.raw);
      const wanted = isDigest(identifier) ? parseDigest(identifier) : found.digest;
      checkDigest(digest, wanted, `${source.label} ${identifier}`);
      return { digest, raw: found.raw };
    },
    referrers: (digest) => referrersOf(source, digest, signal === undefined ? {} : { signal }),
    blob: (descriptor) => readBlob(hasher, source, descriptor, SIGNATURE_LIMIT, signal),
  };
}
