/** The configuration of an installer image. Source: spec profiles-and-inputs 9.4, image-spec config.md. */
import type { Digest } from '../bytes/units.ts';
import type { Architecture } from '../profiles/profile.ts';
import { carriedConfig } from './container-config.ts';
import { encodeGoJson } from './go-json.ts';

export interface ImageConfigParts {
  readonly architecture: Architecture;
  /** Seconds since 1970. */
  readonly epoch: number;
  /** Digests of the plain layers, lowest first. */
  readonly diffIds: readonly Digest[];
  /** The configuration of the base image, whose `config` (entry point, labels, ...) is carried over; its history is not. */
  readonly base: Readonly<Record<string, unknown>>;
  /** What messages call the base. */
  readonly baseName: string;
}

/** Go's zero time: nobody said when a layer was made. */
const UNSAID_TIME = '0001-01-01T00:00:00Z';

/** JSON in UTF-8. Throws `invalid-input` for a base whose `config` is not of the form it must have. */
export function encodeImageConfig({ architecture, epoch, diffIds, base, baseName }: ImageConfigParts): Uint8Array {
  const document = {
    architecture,
    created: new Date(epoch * 1000).toISOString().replace('.000Z', 'Z'),
    history: diffIds.map(() => ({ created: UNSAID_TIME })),
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: diffIds },
    config: carriedConfig(base.config, `${baseName}: config`),
  };
  return new TextEncoder().encode(encodeGoJson(document));
}
