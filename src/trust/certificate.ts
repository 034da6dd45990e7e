/** What a Fulcio certificate says about its holder (github.com/sigstore/fulcio docs/oid-info.md), and what the library leaves unchecked. */
import { X509Certificate } from '@sigstore/core';
import { Refusal } from './check.ts';
import type { CompiledPolicy } from './compile-policy.ts';

const KEY_USAGE = '2.5.29.15';
const SUBJECT_ALT_NAME = '2.5.29.17';
const BASIC_CONSTRAINTS = '2.5.29.19';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
const ISSUER_V1 = '1.3.6.1.4.1.57264.1.1';
const ISSUER_V2 = '1.3.6.1.4.1.57264.1.8';
const FULCIO_OTHER_NAME = '1.3.6.1.4.1.57264.1.7';

/** Extensions that somebody here looks at; a critical one beside them means something we would not honour (RFC 5280 section 4.2). */
const UNDERSTOOD: readonly string[] = [KEY_USAGE, SUBJECT_ALT_NAME, BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE];

/** GeneralName choices (RFC 5280 section 4.2.1.6). */
const OTHER_NAME = 0;
const RFC822_NAME = 1;
const URI = 6;

/** Who holds a certificate, as far as it says. */
export interface Identity {
  readonly subject: string;
  readonly issuer: string;
}

/** From DER. Refuses as `malformed`. */
export function parseCertificate(der: Buffer): X509Certificate {
  try {
    const certificate = X509Certificate.parse(Buffer.from(der));
    // Fields are looked up when they are read: damage shows now, not in the middle of a check.
    void [certificate.notBefore, certificate.notAfter, certificate.publicKey, certificate.extensions.length];
    return certificate;
  } catch (cause) {
    throw new Refusal('malformed', 'the certificate cannot be read', cause);
  }
}

/** A leaf made for signing code, by nobody who may issue certificates. Refuses as `certificate-usage` or `certificate-chain`. */
export function checkUsage(certificate: X509Certificate): void {
  for (const extension of certificate.extensions) {
    const oid = extension.subs[0]?.toOID() ?? '';
    const isCritical = extension.subs.length === 3 && extension.subs[1]?.toBoolean() === true;
    if (isCritical && !UNDERSTOOD.includes(oid)) {
      throw new Refusal(
        'certificate-chain',
        `the certificate has the critical extension ${oid}, which nobody here knows`,
      );
    }
  }
  if (certificate.extBasicConstraints?.isCA === true) {
    throw new Refusal('certificate-usage', 'the certificate is an authority, want a leaf');
  }
  if (certificate.extKeyUsage?.digitalSignature !== true) {
    throw new Refusal('certificate-usage', 'the certificate lacks the key usage digitalSignature');
  }
  const purposes = certificate.extension(EXTENDED_KEY_USAGE)?.valueObj.subs[0]?.subs.map((one) => one.toOID()) ?? [];
  if (!purposes.includes(CODE_SIGNING)) {
    const found = purposes.length === 0 ? 'none' : purposes.join(', ');
    throw new Refusal('certificate-usage', `the certificate's extended key usage is ${found}, want code signing`);
  }
}

/**
 * The one subject and the issuer. Refuses as `identity` a certificate with several subjects or none, and issuers in the old and the new
 * extension that disagree: whom it stands for would depend on who reads it.
 */
export function identityOf(certificate: X509Certificate): Identity {
  const names = certificate.extension(SUBJECT_ALT_NAME)?.valueObj.subs[0]?.subs ?? [];
  if (names.length !== 1) {
    throw new Refusal('identity', `the certificate names ${names.length} subjects, want one`);
  }
  const [name] = names;
  let subject: string | undefined;
  if (name?.tag.isContextSpecific(RFC822_NAME) || name?.tag.isContextSpecific(URI)) subject = utf8(name.value);
  else if (name?.tag.isContextSpecific(OTHER_NAME) && name.subs[0]?.toOID() === FULCIO_OTHER_NAME) {
    const value = name.subs[1]?.subs[0]?.value;
    if (value !== undefined) subject = utf8(value);
  }
  if (subject === undefined || subject === '') {
    throw new Refusal('identity', 'the certificate names no e-mail address, URI or user name');
  }
  return { subject, issuer: issuerOf(certificate) };
}

/** Refuses as `identity`. */
export function checkIdentity(
  { subject, issuer }: Identity,
  signer: Extract<CompiledPolicy['signer'], { kind: 'keyless' }>,
): void {
  if (!signer.subject.matches(subject)) {
    throw new Refusal('identity', `signed by ${JSON.stringify(subject)}, want ${signer.subject.wanted}`);
  }
  if (!signer.issuer.matches(issuer)) {
    throw new Refusal('identity', `identity vouched for by ${JSON.stringify(issuer)}, want ${signer.issuer.wanted}`);
  }
}

function issuerOf(certificate: X509Certificate): string {
  // The old extension holds the bare text, the new one a DER UTF8String.
  const old = certificate.extension(ISSUER_V1)?.value;
  const current = certificate.extension(ISSUER_V2)?.valueObj.subs[0]?.value;
  const said = [old, current].filter((value) => value !== undefined).map(utf8);
  const [issuer] = said;
  if (issuer === undefined) throw new Refusal('identity', 'the certificate does not say who vouches for the identity');
  if (said.some((one) => one !== issuer)) {
    throw new Refusal(
      'identity',
      `the certificate names two issuers: ${said.map((one) => JSON.stringify(one)).join(', ')}`,
    );
  }
  return issuer;
}

function utf8(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
