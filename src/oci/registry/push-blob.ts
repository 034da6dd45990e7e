/** A blob the repository shall have: found there, taken over from another repository, or uploaded. Source: spec factory-and-signatures H8. */
import { ImagerError } from '../../errors.ts';
import type { ComposedBlob } from '../composed-image.ts';
import { type PushContext, signalOf } from './push-context.ts';
import { hasBlob, type Upload, uploadAt, uploadBlob } from './push-upload.ts';
import type { Session } from './session.ts';
import { headerOf } from './transport.ts';

export type BlobOutcome = 'present' | 'mounted' | 'uploaded';

export interface PushBlobOptions {
  /** A session that may also pull from another repository of the registry. */
  readonly sessionFor: (repository: string) => Session;
  readonly chunkSize?: number;
  readonly onBytes?: (done: number) => void;
}

/** `what` is for messages. Throws as `uploadBlob`. */
export async function pushBlob(
  context: PushContext,
  { descriptor: { digest }, bytes, origins }: ComposedBlob,
  what: string,
  options: PushBlobOptions,
): Promise<BlobOutcome> {
  const blob = { digest, bytes, what };
  if (await hasBlob(context, blob)) return 'present';
  let begun: Upload | undefined;
  for (const { registry, repository } of origins) {
    // Between registries nothing can be taken over.
    if (registry !== context.session.endpoint.host) continue;
    const answer = await mount({ ...context, session: options.sessionFor(repository) }, digest, repository);
    if (answer === 'mounted') return 'mounted';
    begun ??= answer;
  }
  await uploadBlob(context, blob, { ...options, ...(begun === undefined ? {} : { begun }) });
  return 'uploaded';
}

/** `undefined` when the registry does not want to; it may also have opened an upload instead. */
async function mount(context: PushContext, digest: string, from: string): Promise<'mounted' | Upload | undefined> {
  const query = `mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(from)}`;
  const url = context.session.url(`blobs/uploads/?${query}`);
  try {
    const answer = await context.session.send({
      method: 'POST',
      url,
      headers: { 'content-length': '0' },
      ...signalOf(context),
    });
    await answer.discard();
    if (answer.status === 201) return 'mounted';
    const isOpen = answer.status === 202 && headerOf(answer, 'location') !== undefined;
    return isOpen ? uploadAt(context, answer, url, 0) : undefined;
  } catch (error) {
    // Not even a token for the other repository: what cannot be taken over is uploaded.
    if (error instanceof ImagerError && error.code === 'dependency') return undefined;
    throw error;
  }
}
