/**
 * Images into a registry: blobs first, several at once and only those that are missing, then manifests, the index over them, and the tag last, so that nobody ever
 * pulls half an image. Mirrors have no part in it. Sources: OCI distribution-spec v1.1, spec factory-and-signatures H8.
 */
import type { Digest } from '../../bytes/units.ts';
import type { Platform } from '../../platform/types.ts';
import { atOnce } from '../at-once.ts';
import { blobsOf, type ComposedBlob, type ComposedImage, topManifest } from '../composed-image.ts';
import type { RawManifest } from '../image-source.ts';
import { type BlobOutcome, type PushBlobOptions, pushBlob } from './push-blob.ts';
import type { PushContext } from './push-context.ts';
import { pushManifest } from './push-manifest.ts';
import { openPushSessions } from './push-session.ts';
import type { PushTarget } from './push-target.ts';
import type { RegistryOptions } from './registry.ts';

export interface PushOptions extends Omit<RegistryOptions, 'report'> {
  readonly signal?: AbortSignal;
  /** Blobs on their way at once; 4 unless told. */
  readonly concurrency?: number;
  /** Bytes of one request; whole blobs unless told, or the registry does not take them. */
  readonly chunkSize?: number;
  readonly onProgress?: (progress: PushProgress) => void;
}

/** Bytes of all blobs together. */
export interface PushProgress {
  readonly task: string;
  readonly done: number;
  readonly total: number;
  readonly unit: 'bytes';
}

/** A configuration or layer, and what it took to have it in the repository. */
export interface PushedBlob {
  readonly digest: Digest;
  readonly size: number;
  readonly outcome: BlobOutcome;
}

/** What a push did. */
export interface PushReport {
  /** Of the one manifest, or of the index over several. */
  readonly digest: Digest;
  readonly mediaType: string;
  readonly blobs: readonly PushedBlob[];
  /** Manifests and the index, by digest; and the tag. */
  readonly manifests: readonly { readonly identifier: string; readonly outcome: 'present' | 'put' }[];
}

const DEFAULT_CONCURRENCY = 4;

/**
 * Pushes the images, several as one index in their order. Credentials are those of pulls. Throws `dependency` when the registry is out of reach or refuses, `verification` when it
 * ends up with other content, `io` from the content, `canceled`.
 */
export async function pushImages(
  platform: Platform,
  target: PushTarget,
  images: readonly ComposedImage[],
  options: PushOptions = {},
): Promise<PushReport> {
  const { registry, repository, tag } = target;
  const sessions = await openPushSessions(platform, target, options);
  const { tries, clock, insecure } = sessions.options;
  const context: PushContext = {
    session: sessions.open(),
    retry: { tries, clock },
    insecure,
    signal: options.signal,
  };
  const blobs = await pushBlobs(context, `${registry}/${repository}`, blobsOf(images), {
    ...options,
    sessionFor: sessions.open,
  });
  const top = topManifest(platform, images);
  const children = images.length > 1 ? images.map(({ manifest }) => manifest) : [];
  const manifests: PushReport['manifests'][number][] = [];
  const put = async (manifest: RawManifest, identifier: string): Promise<void> => {
    const separator = identifier === tag ? ':' : '@';
    const what = `manifest ${repository}${separator}${identifier}`;
    manifests.push({ identifier, outcome: await pushManifest(context, manifest, identifier, what) });
  };
  for (const manifest of [...children, top]) await put(manifest, manifest.digest);
  if (tag !== undefined) await put(top, tag);
  return { digest: top.digest, mediaType: top.mediaType, blobs, manifests };
}

/** Several at once; the first failure stops the others. */
async function pushBlobs(
  context: PushContext,
  label: string,
  blobs: readonly ComposedBlob[],
  options: PushOptions & Pick<PushBlobOptions, 'sessionFor'>,
): Promise<PushedBlob[]> {
  const { signal, concurrency = DEFAULT_CONCURRENCY, chunkSize, sessionFor } = options;
  const progress = progressOf(label, blobs, options.onProgress);
  const outcomes = new Map<ComposedBlob, BlobOutcome>();
  await atOnce(blobs, { concurrency, signal, what: label }, async (blob, either) => {
    const { digest, size } = blob.descriptor;
    const report = progress();
    const outcome = await pushBlob({ ...context, signal: either }, blob, `blob ${digest}`, {
      sessionFor,
      onBytes: report,
      ...(chunkSize === undefined ? {} : { chunkSize }),
    });
    outcomes.set(blob, outcome);
    report(size);
  });
  return blobs.map((blob) => {
    const { digest, size } = blob.descriptor;
    return { digest, size, outcome: outcomes.get(blob)! };
  });
}

/** One count over all blobs, by a reporter for each. */
function progressOf(
  label: string,
  blobs: readonly ComposedBlob[],
  onProgress: PushOptions['onProgress'],
): () => (done: number) => void {
  const total = blobs.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  let sum = 0;
  return () => {
    let last = 0;
    return (done) => {
      sum += done - last;
      last = done;
      onProgress?.({ task: `pushing to ${label}`, done: sum, total, unit: 'bytes' });
    };
  };
}
