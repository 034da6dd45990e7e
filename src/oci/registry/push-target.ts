/** Where images are pushed to. */
import { invalid } from '../../errors.ts';
import { formatReference, parseReference, type Reference } from '../reference.ts';

/** Without a tag the images are there by digest alone: to be signed, say, before anybody sees them. */
export interface PushTarget extends Pick<Reference, 'registry' | 'repository'> {
  readonly tag: string | undefined;
}

/**
 * `registry.example/installer:v1.13.0`. The tag has to be written: an installer is for one Talos version, and what machines upgrade to should not change because
 * somebody left it out. Throws `invalid-input`.
 */
export function parsePushTarget(text: string): PushTarget {
  const { registry, repository, tag, digest } = parseReference(text);
  if (digest !== undefined) throw invalid(`push to "${text}": want a tag, the digest comes with the image`);
  if (!text.slice(text.lastIndexOf('/') + 1).includes(':')) {
    throw invalid(`push to "${text}": want a tag`, { hint: `like ${text}:v1.13.0` });
  }
  return { registry, repository, tag };
}

/** As a reference. */
export function formatPushTarget(target: PushTarget): string {
  return formatReference({ ...target, digest: undefined });
}
