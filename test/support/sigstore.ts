/** A sigstore of our own (certificate authority, logs) and signatures by it and by keys, in both formats, as images to serve. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { initializeCA, initializeCTLog, initializeTLog } from '@sigstore/mock';
import type { Digest } from '../../src/bytes/units.ts';
import { describe, digestOf, OCI_INDEX, OCI_MANIFEST, type TestImage } from './image.ts';

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';
const IN_TOTO = 'application/vnd.in-toto+json';
const EMPTY_CONFIG = Buffer.from('{}');

export interface Sigstore {
  /** Of what is signed without a key of one's own. */
  readonly subject: string;
  readonly issuer: string;
  /** TrustedRoot in JSON. */
  readonly trustedRoot: string;
  /** To be served as `sha256-<hex>.sig`. */
  legacySignature(digest: Digest): Promise<TestImage>;
  /** To be served as `sha256-<hex>`: an index of referrers. */
  bundle(digest: Digest): Promise<TestImage>;
}

interface Log {
  log(entry: object): Promise<unknown>;
}

interface LoggedEntry {
  readonly body: string;
  readonly integratedTime: number;
  readonly logIndex: number;
  readonly logID: string;
  readonly verification?: {
    readonly signedEntryTimestamp?: string;
    readonly inclusionProof?: {
      readonly checkpoint: string;
      readonly hashes: readonly string[];
      readonly logIndex: number;
      readonly rootHash: string;
      readonly treeSize: number;
    };
  };
}

/** With new keys each time. */
export async function startSigstore(
  subject = 'https://ci.team.example/release',
  issuer = 'https://accounts.team.example',
): Promise<Sigstore> {
  const [caKeys, ctKeys, logKeys] = [keyPair(), keyPair(), keyPair()];
  const ctlog = await initializeCTLog(ctKeys);
  const ca = await initializeCA(caKeys, ctlog);
  const tlog = await initializeTLog('https://rekor.team.example', logKeys);
  const certify = async (publicKey: KeyObject): Promise<Buffer> =>
    Buffer.from(
      Uint8Array.from(
        new Uint8Array(
          (
            await ca.issueCertificate({
              publicKey: spki(publicKey),
              subjectAltName: subject,
              extensions: [
                { oid: '1.3.6.1.4.1.57264.1.1', value: issuer, legacy: true },
                { oid: '1.3.6.1.4.1.57264.1.8', value: issuer },
              ],
            })
          ).buffer,
        ),
      ),
    );
  return {
    subject,
    issuer,
    trustedRoot: JSON.stringify({
      mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
      certificateAuthorities: [
        {
          uri: 'https://fulcio.team.example',
          certChain: { certificates: [{ rawBytes: Buffer.from(ca.rootCertificate.buffer).toString('base64') }] },
          validFor: { start: '2020-01-01T00:00:00Z' },
        },
      ],
      ctlogs: [logInstance('https://ct.team.example', ctKeys.publicKey)],
      tlogs: [logInstance('https://rekor.team.example', logKeys.publicKey)],
      timestampAuthorities: [],
    }),
    async legacySignature(digest) {
      const keys = keyPair();
      const certificate = pem(await certify(keys.publicKey));
      const payload = payloadFor(digest);
      const signature = sign('sha256', payload, keys.privateKey).toString('base64');
      const entry = await logged(tlog, {
        apiVersion: '0.0.1',
        kind: 'hashedrekord',
        spec: {
          data: { hash: { algorithm: 'sha256', value: sha256(payload).toString('hex') } },
          signature: { content: signature, publicKey: { content: base64(certificate) } },
        },
      });
      return legacyImage(payload, {
        'dev.cosignproject.cosign/signature': signature,
        'dev.sigstore.cosign/certificate': certificate,
        'dev.sigstore.cosign/bundle': JSON.stringify({
          SignedEntryTimestamp: entry.verification?.signedEntryTimestamp,
          Payload: {
            body: entry.body,
            integratedTime: entry.integratedTime,
            logIndex: entry.logIndex,
            logID: entry.logID,
          },
        }),
      });
    },
    async bundle(digest) {
      const keys = keyPair();
      const certificate = await certify(keys.publicKey);
      const payload = statementFor(digest);
      const signature = sign('sha256', preAuthEncoding(payload), keys.privateKey).toString('base64');
      const entry = await logged(tlog, {
        apiVersion: '0.0.1',
        kind: 'dsse',
        spec: {
          payloadHash: { algorithm: 'sha256', value: sha256(payload).toString('hex') },
          envelopeHash: { algorithm: 'sha256', value: sha256(payload).toString('hex') },
          signatures: [{ signature, verifier: base64(pem(certificate)) }],
        },
      });
      const proof = entry.verification?.inclusionProof;
      return bundleImage(digest, payload, signature, {
        certificate: { rawBytes: certificate.toString('base64') },
        tlogEntries: [
          {
            logIndex: String(entry.logIndex),
            logId: { keyId: Buffer.from(entry.logID, 'hex').toString('base64') },
            kindVersion: { kind: 'dsse', version: '0.0.1' },
            integratedTime: String(entry.integratedTime),
            inclusionPromise: { signedEntryTimestamp: entry.verification?.signedEntryTimestamp },
            inclusionProof: {
              logIndex: String(proof?.logIndex),
              rootHash: Buffer.from(proof?.rootHash ?? '', 'hex').toString('base64'),
              treeSize: String(proof?.treeSize),
              hashes: (proof?.hashes ?? []).map((hash) => Buffer.from(hash, 'hex').toString('base64')),
              checkpoint: { envelope: proof?.checkpoint },
            },
            canonicalizedBody: entry.body,
          },
        ],
      });
    },
  };
}

export interface SigningKey {
  readonly publicKeyPem: string;
  legacySignature(digest: Digest): TestImage;
  bundle(digest: Digest): TestImage;
}

/** A key pair of ECDSA P-256, and signatures with it that no log knows. */
export function signingKey(): SigningKey {
  const { publicKey, privateKey } = keyPair();
  return {
    publicKeyPem: String(publicKey.export({ type: 'spki', format: 'pem' })),
    legacySignature(digest) {
      const payload = payloadFor(digest);
      const signature = sign('sha256', payload, privateKey).toString('base64');
      return legacyImage(payload, { 'dev.cosignproject.cosign/signature': signature });
    },
    bundle(digest) {
      const payload = statementFor(digest);
      const signature = sign('sha256', preAuthEncoding(payload), privateKey).toString('base64');
      const hint = sha256(spki(publicKey)).toString('base64');
      return bundleImage(digest, payload, signature, { publicKey: { hint }, tlogEntries: [] });
    },
  };
}

function payloadFor(digest: Digest): Buffer {
  return Buffer.from(
    JSON.stringify({
      critical: {
        identity: { 'docker-reference': 'registry.example/team/tool' },
        image: { 'docker-manifest-digest': digest },
        type: 'cosign container image signature',
      },
      optional: null,
    }),
  );
}

function statementFor(digest: Digest): Buffer {
  return Buffer.from(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'registry.example/team/tool', digest: { sha256: digest.slice('sha256:'.length) } }],
      predicateType: 'https://sigstore.dev/cosign/sign/v1',
      predicate: {},
    }),
  );
}

/** Written out after the DSSE protocol, not with the library that verifies. */
function preAuthEncoding(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${IN_TOTO.length} ${IN_TOTO} ${payload.length} `), payload]);
}

function legacyImage(payload: Buffer, annotations: Readonly<Record<string, string>>): TestImage {
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: describe(EMPTY_CONFIG, 'application/vnd.oci.image.config.v1+json'),
    layers: [{ ...describe(payload, SIMPLE_SIGNING), annotations }],
  };
  return { mediaType: OCI_MANIFEST, manifest: encode(manifest), children: [], blobs: [EMPTY_CONFIG, payload] };
}

function bundleImage(digest: Digest, payload: Buffer, signature: string, verificationMaterial: object): TestImage {
  const bundle = encode({
    mediaType: BUNDLE,
    verificationMaterial,
    dsseEnvelope: { payload: payload.toString('base64'), payloadType: IN_TOTO, signatures: [{ sig: signature }] },
  });
  const manifest = encode({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: BUNDLE,
    config: describe(EMPTY_CONFIG, 'application/vnd.oci.empty.v1+json'),
    layers: [describe(bundle, BUNDLE)],
    subject: { mediaType: OCI_MANIFEST, digest, size: 1 },
  });
  const child: TestImage = { mediaType: OCI_MANIFEST, manifest, children: [], blobs: [EMPTY_CONFIG, bundle] };
  const index = {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [{ ...describe(manifest, OCI_MANIFEST), artifactType: BUNDLE }],
  };
  return { mediaType: OCI_INDEX, manifest: encode(index), children: [child], blobs: [] };
}

async function logged(tlog: Pick<Log, 'log'>, proposed: object): Promise<LoggedEntry> {
  const [entry] = Object.values((await tlog.log(proposed)) as Record<string, LoggedEntry>);
  if (entry === undefined) throw new Error('the log gave no entry');
  return entry;
}

function logInstance(baseUrl: string, key: KeyObject): object {
  return {
    baseUrl,
    hashAlgorithm: 'SHA2_256',
    logId: { keyId: sha256(spki(key)).toString('base64') },
    publicKey: {
      rawBytes: spki(key).toString('base64'),
      keyDetails: 'PKIX_ECDSA_P256_SHA_256',
      validFor: { start: '2020-01-01T00:00:00Z' },
    },
  };
}

function keyPair(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function spki(key: KeyObject): Buffer<ArrayBuffer> {
  return Buffer.from(key.export({ type: 'spki', format: 'der' }));
}

function pem(der: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/(.{64})/g, '$1\n')}\n-----END CERTIFICATE-----\n`;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function sha256(data: Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}

function encode(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** The tag of a legacy signature, or of the referrers, of an image. */
export function signatureTag(image: TestImage, kind: 'legacy' | 'bundle'): string {
  return digestOf(image.manifest).replace(':', '-') + (kind === 'legacy' ? '.sig' : '');
}
