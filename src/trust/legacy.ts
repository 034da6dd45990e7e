/**
 * Signatures under a `sha256-<hex>.sig` tag: a payload as layer, everything else in the layer's annotations (spec factory-and-signatures I2;
 * cosign specs/SIGNATURE_SPEC.md).
 */
import { type Bundle, bundleFromJSON } from '@sigstore/bundle';
import { crypto } from '@sigstore/core';
import { ImagerError } from '../errors.ts';
import { asBuffer, decodeBase64, encodeBase64 } from './base64.ts';
import { Refusal } from './check.ts';
import type { Claims, Evidence } from './evidence.ts';
import { asObject, asText, parseStrictJson } from './strict-json.ts';

export const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';

const SIGNATURE = 'dev.cosignproject.cosign/signature';
const CERTIFICATE = 'dev.sigstore.cosign/certificate';
const LOG_ENTRY = 'dev.sigstore.cosign/bundle';
const TIMESTAMP = 'dev.sigstore.cosign/rfc3161timestamp';

const PAYLOAD_TYPE = 'cosign container image signature';

/** Refuses as `malformed`. The annotation with a certificate chain is not read: trust comes from the trusted root alone. */
export function readLegacySignature(payload: Uint8Array, annotations: Readonly<Record<string, string>>): Evidence {
  try {
    const signature = decodeBase64(asText(annotations[SIGNATURE], `annotation ${SIGNATURE}`), 'signature');
    return {
      format: 'legacy',
      bundle: asBundle(payload, signature, annotations),
      signed: payload,
      payload,
      signature,
      claims: claimsOf(payload),
    };
  } catch (error) {
    if (error instanceof ImagerError) throw new Refusal('malformed', error.message, error);
    throw error;
  }
}

function claimsOf(payload: Uint8Array): Claims {
  const document = asObject(parseStrictJson(payload, 'payload'), 'payload');
  const critical = asObject(document.critical, 'payload: critical');
  if (critical.type !== PAYLOAD_TYPE) {
    throw new Refusal(
      'content',
      `payload of type ${JSON.stringify(critical.type)}, want ${JSON.stringify(PAYLOAD_TYPE)}`,
    );
  }
  const image = asObject(critical.image, 'payload: critical.image');
  const identity = asObject(critical.identity ?? {}, 'payload: critical.identity');
  const reference = identity['docker-reference'];
  return {
    subjects: [
      {
        digest: asText(image['docker-manifest-digest'], 'payload: docker-manifest-digest'),
        ...(typeof reference === 'string' ? { reference } : {}),
        annotations: asObject(document.optional ?? {}, 'payload: optional'),
      },
    ],
  };
}

/** As a bundle of the first format version, the only one that allows an entry without a proof. */
function asBundle(payload: Uint8Array, signature: Buffer, annotations: Readonly<Record<string, string>>): Bundle {
  const certificate = annotations[CERTIFICATE];
  const entry = annotations[LOG_ENTRY];
  const timestamp = annotations[TIMESTAMP];
  const verificationMaterial = {
    ...(certificate === undefined
      ? { publicKey: { hint: '' } }
      : { certificate: { rawBytes: firstOfPem(certificate) } }),
    tlogEntries: entry === undefined ? [] : [logEntry(entry)],
    timestampVerificationData: {
      rfc3161Timestamps: timestamp === undefined ? [] : [{ signedTimestamp: signedTimestamp(timestamp) }],
    },
  };
  try {
    return bundleFromJSON({
      mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
      verificationMaterial,
      messageSignature: {
        messageDigest: { algorithm: 'SHA2_256', digest: encodeBase64(crypto.digest('sha256', asBuffer(payload))) },
        signature: encodeBase64(signature),
      },
    });
  } catch (cause) {
    throw new Refusal('malformed', 'the annotations do not make up a signature', cause);
  }
}

function logEntry(text: string): object {
  const what = `annotation ${LOG_ENTRY}`;
  const { SignedEntryTimestamp: promise, Payload } = asObject(parseStrictJson(text, what), what);
  const { body, integratedTime, logIndex, logID } = asObject(Payload, `${what}: Payload`);
  const canonicalizedBody = asText(body, `${what}: body`);
  const entry = parseStrictJson(decodeBase64(canonicalizedBody, `${what}: body`), `${what}: body`);
  const { kind, apiVersion } = asObject(entry, `${what}: body`);
  const signedEntryTimestamp = asText(promise, `${what}: SignedEntryTimestamp`);
  decodeBase64(signedEntryTimestamp, `${what}: SignedEntryTimestamp`);
  return {
    logIndex: wholeNumber(logIndex, `${what}: logIndex`),
    logId: { keyId: encodeBase64(decodeHex(asText(logID, `${what}: logID`), `${what}: logID`)) },
    kindVersion: { kind: asText(kind, `${what}: kind`), version: asText(apiVersion, `${what}: apiVersion`) },
    integratedTime: wholeNumber(integratedTime, `${what}: integratedTime`),
    inclusionPromise: { signedEntryTimestamp },
    canonicalizedBody,
  };
}

function signedTimestamp(text: string): string {
  const what = `annotation ${TIMESTAMP}`;
  const timestamp = asText(asObject(parseStrictJson(text, what), what).SignedRFC3161Timestamp, what);
  decodeBase64(timestamp, what);
  return timestamp;
}

/** The base64 of the first block, as cosign reads the annotation. */
function firstOfPem(text: string): string {
  const block = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/.exec(text)?.[1];
  if (block === undefined) throw new Refusal('malformed', `annotation ${CERTIFICATE}: want a PEM certificate`);
  const base64 = block.replace(/\s/g, '');
  decodeBase64(base64, `annotation ${CERTIFICATE}`);
  return base64;
}

function wholeNumber(value: unknown, what: string): string {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new Refusal('malformed', `${what}: ${JSON.stringify(value) ?? 'missing'}, want a whole number`);
  }
  return String(value);
}

function decodeHex(text: string, what: string): Buffer {
  if (!/^(?:[0-9A-Fa-f]{2})+$/.test(text)) throw new Refusal('malformed', `${what}: want hexadecimal digits`);
  return Buffer.from(text, 'hex');
}
