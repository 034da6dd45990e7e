/**
 * Whether one signature satisfies a policy: every check of spec factory-and-signatures I2 to I4, offline. The cryptography is
 * @sigstore/verify's, asked one question at a time so that each refusal has its name; what it leaves out is checked here.
 */
import type { TransparencyLogEntry } from '@sigstore/bundle';
import { crypto, RFC3161Timestamp, type X509Certificate } from '@sigstore/core';
import { type SignedEntity, type TrustMaterial, VerificationError, Verifier } from '@sigstore/verify';
import { asBuffer } from './base64.ts';
import { checkIdentity, checkUsage, identityOf, parseCertificate } from './certificate.ts';
import { type Check, type CheckName, Refusal } from './check.ts';
import type { CompiledPolicy, PublicKey } from './compile-policy.ts';
import type { Evidence } from './evidence.ts';
import { checkRecordedKey } from './log-entry.ts';
import type { SignatureHash } from './policy.ts';
import { asObject, parseStrictJson } from './strict-json.ts';

/** What one signature turned out to be. */
export interface Judgement {
  /** In the order they were made; the last one failed, or none. */
  readonly checks: readonly Check[];
  readonly accepted: boolean;
  /** Of the certificate, once it is believed. */
  readonly subject?: string;
  readonly issuer?: string;
  readonly logIndex?: number;
  /** When it was signed for sure, seconds since 1970. */
  readonly trustedTime?: number;
}

/** What was found on the way; complete when no check failed. */
interface Findings {
  checks: Check[];
  subject?: string;
  issuer?: string;
  logIndex?: number;
  trustedTime?: number;
}

type Signer = { readonly key: PublicKey; readonly certificate?: X509Certificate };
type Timestamp = SignedEntity['timestamps'][number];

/** `digest` is that of the image, `trust` whom keyless signatures are believed from. Never throws for what the evidence contains. */
export function judge(evidence: Evidence, digest: string, policy: CompiledPolicy, trust: TrustMaterial): Judgement {
  const findings: Findings = { checks: [] };
  try {
    runChecks(evidence, digest, policy, trust, findings);
    return { ...findings, accepted: true };
  } catch (error) {
    // The libraries read structures as they go: whatever they trip over is damage of what they were given.
    const refusal = error instanceof Refusal ? error : new Refusal('malformed', 'the signature cannot be read', error);
    findings.checks.push({ name: refusal.check, passed: false, detail: refusal.message });
    return { ...findings, accepted: false };
  }
}

function runChecks(
  evidence: Evidence,
  digest: string,
  policy: CompiledPolicy,
  trust: TrustMaterial,
  findings: Findings,
): void {
  const pass = (name: CheckName, detail: string): void => void findings.checks.push({ name, passed: true, detail });

  const signer = signerOf(evidence, policy);
  pass('mode', policy.signer.kind === 'key' ? 'signed with a key' : 'signed with a certificate');
  checkClaims(evidence, digest, policy, pass);

  const entries = policy.transparencyLog === 'require' ? logEntries(evidence, trust) : [];
  for (const entry of entries) {
    checkLogEntry(entry, evidence, trust);
    checkRecordedKey(entry, {
      key: signer.key,
      ...(signer.certificate === undefined ? {} : { certificate: signer.certificate.root.toDER() }),
    });
    findings.logIndex ??= Number(entry.logIndex);
    pass(entry.inclusionPromise === undefined ? 'log-proof' : 'log-promise', `log entry ${entry.logIndex}`);
  }
  const times = [...timestamps(evidence, policy, trust, pass), ...entries.flatMap(promisedTime)];
  const [trustedTime] = times;
  if (trustedTime !== undefined) findings.trustedTime = Math.floor(trustedTime.getTime() / 1000);

  if (policy.signer.kind === 'keyless' && signer.certificate !== undefined) {
    if (times.length === 0) {
      throw new Refusal(
        'no-trusted-time',
        'nobody vouches for when it was signed, and the certificate lives for minutes',
      );
    }
    for (const time of times) checkValidity(signer.certificate, time);
    pass('certificate-time', `valid at ${times.map((time) => time.toISOString()).join(', ')}`);
    checkUsage(signer.certificate);
    for (const time of times) checkChain(signer.certificate, time, policy.signer.sct === 'require', trust);
    pass('certificate-chain', 'issued by a trusted authority');
  }
  checkSignature(evidence, signer.key, policy.signer.kind === 'key' ? policy.signer.hash : 'sha256');
  pass('signature', `over ${evidence.signed.length} bytes`);
  if (policy.signer.kind === 'keyless' && signer.certificate !== undefined) {
    const identity = identityOf(signer.certificate);
    findings.subject = identity.subject;
    findings.issuer = identity.issuer;
    checkIdentity(identity, policy.signer);
    pass('identity', `${identity.subject}, vouched for by ${identity.issuer}`);
  }
}

/** The key to verify with. A legacy signature may carry a certificate beside a key; the key of the policy decides then. */
function signerOf({ format, bundle }: Evidence, policy: CompiledPolicy): Signer {
  const { content } = bundle.verificationMaterial;
  if (content.$case === 'x509CertificateChain') {
    throw new Refusal('malformed', 'the bundle has a certificate chain, want the leaf alone');
  }
  if (policy.signer.kind === 'key') {
    if (content.$case === 'certificate' && format === 'bundle') {
      throw new Refusal('mode', 'signed with a certificate, want a signature with the key');
    }
    return { key: policy.signer.key };
  }
  if (content.$case !== 'certificate') {
    throw new Refusal('mode', 'signed with a key, want a certificate of an identity');
  }
  const certificate = parseCertificate(content.certificate.rawBytes);
  try {
    return { certificate, key: crypto.createPublicKey(certificate.publicKey) };
  } catch (cause) {
    throw new Refusal('malformed', 'the key of the certificate cannot be read', cause);
  }
}

/** What was signed is about this image, and is a signature of it. */
function checkClaims(
  { claims }: Evidence,
  digest: string,
  policy: CompiledPolicy,
  pass: (name: CheckName, detail: string) => void,
): void {
  if (claims.predicateType !== undefined && claims.predicateType !== policy.predicateType) {
    throw new Refusal('predicate', `a statement of ${claims.predicateType}, want ${policy.predicateType}`);
  }
  const about = claims.subjects.filter((subject) => subject.digest === digest);
  if (about.length === 0) {
    const found = claims.subjects.map((subject) => subject.digest).slice(0, 3);
    throw new Refusal('digest', `signs ${found.length === 0 ? 'no image digest' : found.join(', ')}, want ${digest}`);
  }
  pass('digest', digest);
  const { requireReference: reference } = policy;
  if (reference !== undefined && !about.some((subject) => subject.reference === reference)) {
    throw new Refusal('reference', `signed as ${about[0]?.reference ?? 'no repository'}, want ${reference}`);
  }
  for (const [name, wanted] of Object.entries(policy.annotations)) {
    const found = about.map(({ annotations }) => (Object.hasOwn(annotations, name) ? annotations[name] : undefined));
    if (!found.includes(wanted)) {
      const shown = found[0] === undefined ? 'is missing' : `is ${JSON.stringify(found[0])}`;
      throw new Refusal('annotations', `the signed value ${name} ${shown}, want ${JSON.stringify(wanted)}`);
    }
  }
}

/** Entries of logs that are trusted at their time; those of others say nothing. */
function logEntries({ bundle }: Evidence, trust: TrustMaterial): TransparencyLogEntry[] {
  const tlogEntries: readonly TransparencyLogEntry[] = bundle.verificationMaterial.tlogEntries;
  if (tlogEntries.length === 0) throw new Refusal('no-log-entry', 'no entry of a transparency log');
  const known = tlogEntries.filter((entry) => isKnownLog(entry, trust));
  const [first] = tlogEntries;
  if (known.length === 0) {
    throw new Refusal(
      'log-key',
      `no trusted key for the transparency log ${first?.logId.keyId.toString('hex')} at its time`,
    );
  }
  return known;
}

function isKnownLog({ logId, integratedTime }: TransparencyLogEntry, trust: TrustMaterial): boolean {
  // Entries of the log's second version carry no time of their own.
  const seconds = Number(integratedTime);
  const at = new Date(seconds * 1000);
  return trust.tlogs.some(
    ({ logID, validFor }) =>
      logID.equals(logId.keyId) && (seconds === 0 || (validFor.start <= at && at <= validFor.end)),
  );
}

function checkLogEntry(entry: TransparencyLogEntry, evidence: Evidence, trust: TrustMaterial): void {
  checkKind(entry);
  checkProofSize(entry);
  try {
    ask(evidence, trust, { tlogThreshold: 1 }, { tlogEntries: [entry] });
  } catch (error) {
    const code = error instanceof VerificationError ? error.code : '';
    if (code === 'TLOG_INCLUSION_PROMISE_ERROR') {
      throw new Refusal('log-promise', 'the promise of the log does not hold for this entry', error);
    }
    if (code === 'TLOG_INCLUSION_PROOF_ERROR') {
      throw new Refusal('log-proof', 'the proof of inclusion does not lead to a root that the log signed', error);
    }
    if (code === 'TLOG_MISSING_INCLUSION_ERROR') {
      throw new Refusal('no-log-entry', 'the log entry has neither promise nor proof', error);
    }
    throw new Refusal('log-entry-mismatch', 'the log entry is about another signature', error);
  }
}

/** What an entry is called must be what its body is: readers that believe the name would read another body. */
function checkKind({ kindVersion, canonicalizedBody }: TransparencyLogEntry): void {
  const { kind, apiVersion } = asObject(parseStrictJson(canonicalizedBody, 'log entry'), 'log entry');
  if (kind !== kindVersion.kind || apiVersion !== kindVersion.version) {
    const said = `${kindVersion.kind} ${kindVersion.version}`;
    throw new Refusal('malformed', `a log entry called ${said} whose body is ${kind} ${apiVersion}`);
  }
}

/** The library takes the size of the signed root; a proof that claims another one was made for another tree. */
function checkProofSize({ inclusionProof: proof }: TransparencyLogEntry): void {
  const size = proof?.checkpoint?.envelope.split('\n', 2)[1];
  if (size !== undefined && size !== proof?.treeSize) {
    throw new Refusal('log-proof', `a proof for a tree of ${proof?.treeSize} entries under a signed root of ${size}`);
  }
}

/** A time is the log's word only where the promise covers it. */
function promisedTime({ inclusionPromise, integratedTime }: TransparencyLogEntry): Date[] {
  const seconds = Number(integratedTime);
  return inclusionPromise === undefined || seconds === 0 ? [] : [new Date(seconds * 1000)];
}

function timestamps(
  evidence: Evidence,
  policy: CompiledPolicy,
  trust: TrustMaterial,
  pass: (name: CheckName, detail: string) => void,
): Date[] {
  // A key needs no time; of a certificate that lives for minutes each time that is told has to be true.
  if (policy.timestamp === 'ignore' && policy.signer.kind === 'key') return [];
  const stamps = evidence.bundle.verificationMaterial.timestampVerificationData?.rfc3161Timestamps ?? [];
  if (stamps.length === 0 && policy.timestamp === 'require') {
    throw new Refusal('no-timestamp', 'no timestamp, want one of a trusted authority');
  }
  return stamps.map(({ signedTimestamp }) => {
    try {
      const timestamp = RFC3161Timestamp.parse(Buffer.from(signedTimestamp));
      const stamped: Timestamp = { $case: 'timestamp-authority', timestamp };
      ask(evidence, trust, { timestampThreshold: 1 }, { timestamps: [stamped] });
      const time = timestamp.signingTime;
      pass('timestamp', time.toISOString());
      return time;
    } catch (cause) {
      throw new Refusal('timestamp', 'the timestamp is not one of a trusted authority over this signature', cause);
    }
  });
}

function checkValidity(certificate: X509Certificate, time: Date): void {
  if (certificate.validForDate(time)) return;
  const { notBefore, notAfter } = certificate;
  throw new Refusal(
    'certificate-time',
    `signed at ${time.toISOString()}, but the certificate is valid from ${notBefore.toISOString()} to ${notAfter.toISOString()}`,
  );
}

/** The chain to a trusted authority at `time` and, behind it, the proofs of publication, which the library verifies in one go. */
function checkChain(certificate: X509Certificate, time: Date, wantsSct: boolean, trust: TrustMaterial): void {
  const key = { $case: 'certificate', certificate } as const;
  try {
    ask(undefined, trust, { ctlogThreshold: wantsSct ? 1 : 0 }, { key, timestamps: [atTime(time)] });
  } catch (error) {
    const isChain = error instanceof VerificationError && error.message === 'Failed to verify certificate chain';
    if (isChain) throw new Refusal('certificate-chain', 'not issued by an authority that was trusted then', error);
    // The chain is verified first: what fails after it is a proof, which does not count when none is wanted.
    if (wantsSct) throw new Refusal('sct', 'no valid proof that the certificate was published', error);
  }
}

/** How the library is told a time that was verified before. */
function atTime(time: Date): Timestamp {
  const tlogEntry = {
    logIndex: '0',
    logId: { keyId: Buffer.alloc(0) },
    kindVersion: { kind: '', version: '' },
    integratedTime: String(Math.floor(time.getTime() / 1000)),
    inclusionPromise: { signedEntryTimestamp: Buffer.alloc(0) },
    inclusionProof: undefined,
    canonicalizedBody: Buffer.alloc(0),
  };
  return { $case: 'transparency-log', tlogEntry };
}

/**
 * Puts a part of a signature before the library, as if everything else of it were in order. A log entry and a timestamp are compared with
 * `evidence`.
 */
function ask(
  evidence: Evidence | undefined,
  trust: TrustMaterial,
  thresholds: {
    readonly ctlogThreshold?: number;
    readonly tlogThreshold?: number;
    readonly timestampThreshold?: number;
  },
  part: Partial<SignedEntity>,
): void {
  const anyKey = { publicKey: () => ({ publicKey: ANY_KEY, validFor: () => true }) };
  const nothing = { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 };
  new Verifier({ ...trust, ...anyKey }, { ...nothing, ...thresholds }).verify({
    key: { $case: 'public-key', hint: '' },
    signature: signatureContent(evidence),
    timestamps: [],
    tlogEntries: [],
    ...part,
  });
}

/** Ed25519 of RFC 8032, test 1: what stands where the library wants a key that it does not use. */
const ANY_KEY: PublicKey = crypto.createPublicKey('MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=');

/** The signature itself is verified in `checkSignature`, with the hashes that its format allows. */
function signatureContent(evidence: Evidence | undefined): SignedEntity['signature'] {
  const signature = evidence?.signature ?? Buffer.alloc(0);
  const isDigestOf = (bytes: Uint8Array | undefined, digest: Buffer): boolean => {
    const algorithm = HASH_OF_SIZE[digest.length];
    return algorithm !== undefined && bytes !== undefined && crypto.digest(algorithm, asBuffer(bytes)).equals(digest);
  };
  return {
    signature,
    compareSignature: (other) => signature.length > 0 && crypto.bufferEqual(signature, other),
    compareDigest: (digest) => isDigestOf(evidence?.payload, digest),
    compareSignedDigest: (digest) => isDigestOf(evidence?.signed, digest),
    verifySignature: () => true,
  };
}

/** By bytes. */
const HASH_OF_SIZE: Readonly<Record<number, SignatureHash>> = { 32: 'sha256', 48: 'sha384', 64: 'sha512' };

function checkSignature({ format, signed, signature }: Evidence, key: PublicKey, hash: SignatureHash): void {
  // Legacy signatures are hashed as the policy says, whatever the key; those of bundles also as it is usual for their curve.
  const usual = format === 'bundle' ? usualHashOf(key) : undefined;
  const algorithms = key.asymmetricKeyType === 'ed25519' ? [undefined] : new Set([hash, usual ?? hash]);
  for (const algorithm of algorithms) {
    if (crypto.verify(asBuffer(signed), key, signature, algorithm)) return;
  }
  throw new Refusal('signature', 'the signature was not made over this content with this key');
}

function usualHashOf(key: PublicKey): SignatureHash | undefined {
  switch (key.asymmetricKeyDetails?.namedCurve) {
    case 'secp384r1':
      return 'sha384';
    case 'secp521r1':
      return 'sha512';
    default:
      return undefined;
  }
}
