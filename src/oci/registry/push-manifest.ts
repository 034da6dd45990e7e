/** Putting a manifest or index into a repository. Sources: OCI distribution-spec "Pushing Manifests", spec factory-and-signatures H8. */
import type { RawManifest } from '../image-source.ts';
import { type PushContext, placeOf, signalOf } from './push-context.ts';
import { pushRefusal } from './push-error.ts';
import { checkStored } from './push-upload.ts';
import { withRetry } from './retry.ts';
import { headerOf } from './transport.ts';

/**
 * Under `identifier`, a tag or its own digest, unless it is there already: where tags may not be changed, putting the same again is an error too.
 * Throws `dependency` when it is refused, `verification` when the registry computes another digest.
 */
export async function pushManifest(
  context: PushContext,
  manifest: RawManifest,
  identifier: string,
  what: string,
): Promise<'present' | 'put'> {
  const { session, retry } = context;
  const { digest, mediaType, raw } = manifest;
  const send = withRetry(session.send, retry);
  const url = session.url(`manifests/${identifier}`);
  const found = await send({ method: 'HEAD', url, headers: { accept: mediaType }, ...signalOf(context) });
  await found.discard();
  if (found.status === 200 && headerOf(found, 'docker-content-digest') === digest) return 'present';
  const answer = await send({
    method: 'PUT',
    url,
    headers: { 'content-type': mediaType },
    body: raw,
    ...signalOf(context),
  });
  if (answer.status !== 201 && answer.status !== 200) throw await pushRefusal(answer, placeOf(context), what);
  await answer.discard();
  checkStored(answer, digest, `${placeOf(context)}: ${what}`);
  return 'put';
}
