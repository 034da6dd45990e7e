/** What signs boot loaders, UKIs and PCR values. Source: spec boot-and-images 2.5, 4.5. */
import type { HashAlgorithm, Platform } from '../platform/types.ts';

/** An RSA key that signs digests, wherever it is kept. */
export interface SigningKey {
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Uint8Array;
  /** RSASSA-PKCS1-v1_5 of a digest made with `algorithm`. */
  sign(digest: Uint8Array, algorithm: HashAlgorithm): Promise<Uint8Array>;
}

/** The key of SecureBoot signatures with its certificate. */
export interface SecureBootSigner extends SigningKey {
  /** DER. */
  readonly certificate: Uint8Array;
}

export type Hasher = Pick<Platform, 'hash'>;

/** The whole digest of something in memory. */
export function digestOf(hasher: Hasher, algorithm: HashAlgorithm, ...parts: readonly Uint8Array[]): Uint8Array {
  const hash = hasher.hash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest();
}
