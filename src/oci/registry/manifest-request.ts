/** Asking an endpoint for a manifest. Source: OCI distribution-spec "Pulling manifests", spec factory-and-signatures H4. */
import type { Digest } from '../../bytes/units.ts';
import { ImagerError } from '../../errors.ts';
import type { HttpResponse, Platform } from '../../platform/types.ts';
import { digestOf } from '../digest-check.ts';
import type { RawManifest } from '../image-source.ts';
import { MANIFEST_LIMIT } from '../manifest.ts';
import { DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '../media-types.ts';
import { refusal } from './registry-error.ts';
import { type RetryOptions, withRetry } from './retry.ts';
import { nameOf, type Session } from './session.ts';
import { headerOf, readBody, withBody } from './transport.ts';

const ACCEPT: string = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST].join(', ');
/** Schema 1 has no config and no layer sizes, and its digest is over something else than its bytes. */
const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;

export interface ManifestRequest {
  /** Tag or digest, checked. */
  readonly identifier: string;
  /** The digest the bytes must have, when asked for by digest. */
  readonly digest: Digest | undefined;
  /** For messages: `manifest a/b:v1`. */
  readonly what: string;
  readonly signal: AbortSignal | undefined;
}

export interface ServedManifest {
  readonly manifest: RawManifest;
  /** `Docker-Content-Digest` of the answer where it is another one than that of the bytes. */
  readonly otherDigest: string | undefined;
}

/**
 * The manifest as served, with the digest of its bytes.
 * Throws `dependency` when it is refused, `verification` for other bytes than asked for, `unsupported` for schema 1.
 */
export async function fetchManifest(
  platform: Pick<Platform, 'hash'>,
  session: Session,
  retry: RetryOptions,
  { identifier, digest, what, signal }: ManifestRequest,
): Promise<ServedManifest> {
  const where = nameOf(session.endpoint);
  const response = await withRetry(
    withBody(session.send, MANIFEST_LIMIT),
    retry,
  )({
    method: 'GET',
    url: session.url(`manifests/${identifier}`),
    headers: { accept: ACCEPT },
    ...(signal === undefined ? {} : { signal }),
  });
  if (response.status !== 200) throw await refusal(response, where, what);
  const mediaType = mediaTypeOf(response);
  if (mediaType.startsWith('text/html')) {
    throw new ImagerError('dependency', `${where}: ${what}: answered with a page for people`, {
      hint: 'is there a portal or a proxy in the way that wants a login?',
    });
  }
  if (SCHEMA_1.test(mediaType)) {
    throw new ImagerError('unsupported', `${where}: ${what}: image of schema 1, want an OCI or Docker schema 2 image`, {
      hint: 'push the image again with a current tool',
    });
  }
  const raw = await readBody(response, MANIFEST_LIMIT, where);
  const computed = digestOf(platform, raw);
  if (digest !== undefined && computed !== digest) {
    throw new ImagerError('verification', `${where}: ${what}: served bytes have digest ${computed}`);
  }
  const announced = headerOf(response, 'docker-content-digest');
  const differs = announced?.startsWith('sha256:') === true && announced !== computed;
  return { manifest: { digest: computed, mediaType, raw }, otherDigest: differs ? announced : undefined };
}

/** Lower case and without parameters; empty when the server does not say. */
export function mediaTypeOf(response: HttpResponse): string {
  return (headerOf(response, 'content-type') ?? '').split(';')[0]!.trim().toLowerCase();
}
