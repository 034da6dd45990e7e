/** What a signature must show to count: who made it, and what else has to stand behind it. */
/** cosign's predicate for "this image is signed"; every other statement is an attestation. */
export const SIGN_PREDICATE = 'https://sigstore.dev/cosign/sign/v1';

export type Requirement = 'require' | 'ignore';
export type SignatureHash = 'sha256' | 'sha384' | 'sha512';

interface CommonPolicy {
  /** An entry of a transparency log; of keyless signatures required unless told, of keys ignored. */
  readonly transparencyLog?: Requirement;
  /** An RFC 3161 timestamp; ignored unless told, but what a keyless signature has of them must be right: they tell when its certificate was used. */
  readonly timestamp?: Requirement;
  /** Values that the signed part must carry, by name. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** The repository the signed part must name. */
  readonly requireReference?: string;
  /** `SIGN_PREDICATE` unless told. */
  readonly predicateType?: string;
}

/**
 * Short-lived certificates of an identity. Of subject and issuer, text is compared as a whole and expressions (RE2) search; where both are
 * given both must hold. Each needs at least one of the two: `.*` is how to say that any will do.
 */
export interface KeylessPolicy extends CommonPolicy {
  readonly kind: 'keyless';
  readonly subject?: string;
  readonly subjectRegExp?: string;
  readonly issuer?: string;
  readonly issuerRegExp?: string;
  /** Proof in the certificate that it was published; required unless told. */
  readonly sct?: Requirement;
}

/** One public key, as PEM (`PUBLIC KEY` or `RSA PUBLIC KEY`). */
export interface KeyPolicy extends CommonPolicy {
  readonly kind: 'key';
  readonly publicKeyPem: string;
  /** Of legacy signatures; `sha256` unless told. */
  readonly hash?: SignatureHash;
}

export type SignaturePolicy = KeylessPolicy | KeyPolicy;

/** Whether a trusted root is asked: a key without a log needs nobody's word. */
export function needsTrustedRoot(policy: SignaturePolicy): boolean {
  return policy.kind === 'keyless' || policy.transparencyLog === 'require' || policy.timestamp === 'require';
}
