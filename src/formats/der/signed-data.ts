/** SignedData of PKCS #7 with one RSA signature over SHA-256 (RFC 2315 section 9; spec boot-and-images 3.3). */
import { decodeCertificate } from './certificate.ts';
import {
  encodeValue,
  explicit,
  NULL,
  objectIdentifier,
  octetString,
  sequence,
  set,
  smallInteger,
  TAG,
  utcTime,
} from './encode.ts';

const OID = {
  sha256: '2.16.840.1.101.3.4.2.1',
  rsaEncryption: '1.2.840.113549.1.1.1',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingTime: '1.2.840.113549.1.9.5',
} as const;

export interface SignedContent {
  /** Dotted. */
  readonly type: string;
  /** As it stands in the structure; absent when it is elsewhere. */
  readonly value?: Uint8Array;
  /** SHA-256 of the content. */
  readonly digest: Uint8Array;
}

export interface SigningCertificate {
  /** DER. */
  readonly certificate: Uint8Array;
  /** RSASSA-PKCS1-v1_5 with SHA-256 over `data`. */
  readonly sign: (data: Uint8Array) => Promise<Uint8Array>;
}

/** `{ SHA-256, NULL }`. */
export const SHA256_ALGORITHM: Uint8Array = sequence(objectIdentifier(OID.sha256), NULL);

/** `time` in seconds since 1970. The SignedData alone, without what may stand around it. Throws what the signer throws. */
export async function encodeSignedData(
  content: SignedContent,
  { certificate, sign }: SigningCertificate,
  time: number,
): Promise<Uint8Array> {
  const { issuer, serialNumber } = decodeCertificate(certificate, 'signing certificate');
  const attributes = [
    attribute(OID.contentType, objectIdentifier(content.type)),
    attribute(OID.signingTime, utcTime(time)),
    attribute(OID.messageDigest, octetString(content.digest)),
  ];
  // Signed as a set, stored under a tag of their own.
  const signature = await sign(set(...attributes));
  const signer = sequence(
    smallInteger(1),
    sequence(issuer, serialNumber),
    SHA256_ALGORITHM,
    explicit(0, ...attributes),
    sequence(objectIdentifier(OID.rsaEncryption), NULL),
    octetString(signature),
  );
  return sequence(
    smallInteger(1),
    set(SHA256_ALGORITHM),
    sequence(objectIdentifier(content.type), ...(content.value === undefined ? [] : [explicit(0, content.value)])),
    encodeValue(0xa0, certificate),
    encodeValue(TAG.set, signer),
  );
}

function attribute(type: string, value: Uint8Array): Uint8Array {
  return sequence(objectIdentifier(type), set(value));
}

/** What a SignedData is when it stands alone. */
export function inContentInfo(signedData: Uint8Array): Uint8Array {
  return sequence(objectIdentifier('1.2.840.113549.1.7.2'), explicit(0, signedData));
}
