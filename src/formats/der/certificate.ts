/** X.509 certificates (RFC 5280 section 4.1), as far as signatures refer to them. */
import { invalid } from '../../errors.ts';
import { type DerValue, decodeValues } from './decode.ts';
import { TAG } from './encode.ts';

export interface Certificate {
  /** Whole values in DER. */
  readonly serialNumber: Uint8Array;
  readonly issuer: Uint8Array;
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
}

/** `[0]`: the version, which the oldest certificates leave out. */
const VERSION = 0xa0;

/** Throws `invalid-input` naming `what`. */
export function decodeCertificate(der: Uint8Array, what: string): Certificate {
  const [certificate] = decodeValues(der, what);
  const [body] = inside(certificate, what);
  const fields = inside(body, what).filter(({ tag }) => tag !== VERSION);
  const [serialNumber, , issuer, , , publicKey] = fields;
  if (serialNumber?.tag !== TAG.integer || issuer?.tag !== TAG.sequence || publicKey?.tag !== TAG.sequence) {
    throw invalid(`${what}: no X.509 certificate`);
  }
  return { serialNumber: serialNumber.whole, issuer: issuer.whole, publicKey: publicKey.whole };
}

/** The RSAPublicKey in a SubjectPublicKeyInfo (RFC 8017 appendix A.1.1). Throws `invalid-input` naming `what`. */
export function decodeRsaPublicKey(publicKey: Uint8Array, what: string): Uint8Array {
  const [info] = decodeValues(publicKey, what);
  const [, bits] = inside(info, what);
  // The first byte of a bit string is the number of bits that do not count.
  if (bits?.tag !== TAG.bitString || bits.contents[0] !== 0) throw invalid(`${what}: no public key`);
  return bits.contents.subarray(1);
}

function inside(value: DerValue | undefined, what: string): DerValue[] {
  if (value?.tag !== TAG.sequence) throw invalid(`${what}: want a sequence`);
  return decodeValues(value.contents, what);
}
