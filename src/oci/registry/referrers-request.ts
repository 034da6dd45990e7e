/** Asking an endpoint for the referrers of a manifest. Source: OCI distribution-spec v1.1 "Listing Referrers", spec factory-and-signatures H7. */
import type { Digest } from '../../bytes/units.ts';
import { ImagerError } from '../../errors.ts';
import type { HttpResponse } from '../../platform/types.ts';
import type { Descriptor } from '../image-source.ts';
import { MANIFEST_LIMIT, parseManifest } from '../manifest.ts';
import { OCI_INDEX } from '../media-types.ts';
import { mediaTypeOf } from './manifest-request.ts';
import { refusal } from './registry-error.ts';
import { type RetryOptions, withRetry } from './retry.ts';
import { nameOf, type Session } from './session.ts';
import { headerOf, originOf, readBody, withBody } from './transport.ts';

/** Answers of a registry without this part of the protocol. */
const NOT_SUPPORTED: readonly number[] = [400, 404, 405, 406];
const MAX_PAGES = 64;
/** Of all pages; who lists more is not telling anything useful. */
const MAX_ENTRIES = 4096;

export interface ReferrersRequest {
  readonly digest: Digest;
  readonly artifactType: string | undefined;
  /** For messages: `referrers of a/b@sha256:...`. */
  readonly what: string;
  readonly signal: AbortSignal | undefined;
}

/** What the endpoint lists, all pages; `undefined` when it keeps no such lists. Throws `dependency`, `invalid-input` for a broken list. */
export async function fetchReferrers(
  session: Session,
  retry: RetryOptions,
  { digest, artifactType, what, signal }: ReferrersRequest,
): Promise<readonly Descriptor[] | undefined> {
  const where = nameOf(session.endpoint);
  const send = withRetry(withBody(session.send, MANIFEST_LIMIT), retry);
  const first = new URL(session.url(`referrers/${digest}`));
  if (artifactType !== undefined) first.searchParams.set('artifactType', artifactType);
  const found: Descriptor[] = [];
  let url: URL | undefined = first;
  for (let page = 0; url !== undefined; page++) {
    if (page === MAX_PAGES || found.length > MAX_ENTRIES) {
      throw new ImagerError('dependency', `${where}: ${what}: the list does not end`);
    }
    const response = await send({
      method: 'GET',
      url: url.href,
      headers: { accept: OCI_INDEX },
      ...(signal === undefined ? {} : { signal }),
    });
    if (page === 0 && NOT_SUPPORTED.includes(response.status)) return undefined;
    if (response.status !== 200) throw await refusal(response, where, what);
    const mediaType = mediaTypeOf(response);
    // Some answer unknown paths with a page for people.
    if (mediaType !== OCI_INDEX) return undefined;
    const raw = await readBody(response, MANIFEST_LIMIT, where);
    const list = parseManifest({ digest, mediaType, raw }, `${where}: ${what}`);
    if (list.kind === 'index') found.push(...list.manifests);
    url = nextPage(response, url, where, what);
  }
  return found;
}

/** Source: RFC 8288, as far as the distribution specification uses it: `Link: <url>; rel="next"`. */
function nextPage(response: HttpResponse, from: URL, where: string, what: string): URL | undefined {
  const target = /<([^<>]{1,4096})>\s*;\s*rel\s*=\s*"?next"?/i.exec(headerOf(response, 'link') ?? '')?.[1];
  if (target === undefined) return undefined;
  if (!URL.canParse(target, from.href))
    throw new ImagerError('dependency', `${where}: ${what}: goes on at no valid URL`);
  const next = new URL(target, from);
  // Another host would be a redirect, and those are checked.
  if (originOf(next.href) !== originOf(from.href)) {
    throw new ImagerError('dependency', `${where}: ${what}: goes on at another host, ${next.host}`);
  }
  return next;
}
