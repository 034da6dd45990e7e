/** A signature of either format, read but not believed yet. */
import type { Bundle } from '@sigstore/bundle';

/** Where a signature was found. */
export type Place = 'referrer' | 'bundle-tag' | 'signature-tag';

/** One thing that signed bytes are about. */
export interface Subject {
  /** `sha256:...` of an image. */
  readonly digest: string;
  /** The repository it was signed in. */
  readonly reference?: string;
  readonly annotations: Readonly<Record<string, unknown>>;
}

/** What the signed bytes say. */
export interface Claims {
  readonly subjects: readonly Subject[];
  /** Of statements; a legacy payload can be nothing but a signature. */
  readonly predicateType?: string;
}

/**
 * Both formats come down to a sigstore bundle: a legacy signature is a message signature over its payload, with one log entry that has a
 * promise and no proof.
 */
export interface Evidence {
  readonly format: 'bundle' | 'legacy';
  readonly bundle: Bundle;
  /** What the signature is over: a payload, or the pre-authentication encoding of an envelope. */
  readonly signed: Uint8Array;
  /** What a log entry has the digest of; an envelope's is its payload. */
  readonly payload: Uint8Array;
  readonly signature: Buffer;
  readonly claims: Claims;
}
