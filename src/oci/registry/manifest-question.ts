/** Asking several endpoints for a manifest of which, behind a tag, nobody knows beforehand what it must be. */
import { type Digest, parseDigest } from '../../bytes/units.ts';
import { ImagerError, invalid } from '../../errors.ts';
import type { Platform } from '../../platform/types.ts';
import type { RawManifest } from '../image-source.ts';
import { isTag } from '../reference.ts';
import type { Attempt, Question } from './endpoint-search.ts';
import { fetchManifest, type ServedManifest } from './manifest-request.ts';
import type { Endpoint } from './mirrors.ts';
import { printable } from './registry-error.ts';
import type { RegistryEvent } from './registry-event.ts';
import { nameOf } from './session.ts';

export interface ManifestQuestion {
  readonly question: Question;
  /** A manifest that is not what its endpoint announced counts as a failure: another endpoint may do better. */
  readonly request: (attempt: Attempt) => Promise<RawManifest>;
  /** Where none does, the bytes are what there is, and their digest is what counts. */
  readonly orDoubtful: (error: unknown) => RawManifest;
}

/** Of which repository, and who is told. */
export interface ManifestSubject {
  readonly platform: Pick<Platform, 'hash'>;
  readonly label: string;
  readonly repository: string;
  readonly report: (event: RegistryEvent) => void;
}

/** Throws `invalid-input` for what is neither tag nor digest. */
export function manifestQuestion(
  { platform, label, repository, report }: ManifestSubject,
  identifier: string,
  order: readonly Endpoint[],
  signal: AbortSignal | undefined,
): ManifestQuestion {
  const digest = digestIn(identifier, label);
  const what = `manifest ${repository}${digest === undefined ? ':' : '@'}${identifier}`;
  const question = { what, order, signal };
  let doubtful: { readonly manifest: RawManifest; readonly event: RegistryEvent } | undefined;
  return {
    question,
    async request({ session, retry: within, signal: limited }) {
      const fetch = (): Promise<ServedManifest> =>
        fetchManifest(platform, session, within, { identifier, digest, what, signal: limited });
      const endpoint = nameOf(session.endpoint);
      const first = await fetch();
      if (first.otherDigest === undefined) return first.manifest;
      const announced = printable(first.otherDigest, 100);
      const event = { kind: 'digest-differs', what, endpoint, announced } as const;
      if (digest !== undefined) {
        report(event);
        return first.manifest;
      }
      // Damaged on the way, or is that what the endpoint has?
      const second = await fetch();
      if (second.otherDigest === undefined) return second.manifest;
      doubtful ??= { manifest: second.manifest, event };
      throw new ImagerError(
        'dependency',
        `${endpoint}: ${what}: announced as ${announced}, has ${second.manifest.digest}`,
      );
    },
    orDoubtful(error) {
      if (doubtful === undefined || !(error instanceof ImagerError) || error.code === 'canceled') throw error;
      report(doubtful.event);
      report({ kind: 'served', what, endpoint: doubtful.event.endpoint });
      return doubtful.manifest;
    },
  };
}

/** The digest an identifier is, `undefined` for a tag. Checked, because it becomes a part of a URL. */
function digestIn(identifier: string, label: string): Digest | undefined {
  if (identifier.includes(':')) return parseDigest(identifier);
  if (!isTag(identifier)) throw invalid(`${label}: "${printable(identifier, 140)}": want a tag or a digest`);
  return undefined;
}
