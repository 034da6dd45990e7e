/**
 * Sigstore bundles with an envelope: the format that is attached to an image as a referrer (spec factory-and-signatures I3;
 * sigstore protobuf-specs sigstore_bundle.proto, DSSE protocol.md, in-toto Statement v1).
 */
import { type Bundle, bundleFromJSON } from '@sigstore/bundle';
import { dsse } from '@sigstore/core';
import { ImagerError } from '../errors.ts';
import { Refusal } from './check.ts';
import type { Claims, Evidence, Subject } from './evidence.ts';
import { asObject, asText, parseStrictJson } from './strict-json.ts';

/** Of artifacts and their layer, in the present spelling and the one before it. */
export const BUNDLE_TYPES: readonly string[] = [
  'application/vnd.dev.sigstore.bundle.v0.3+json',
  'application/vnd.dev.sigstore.bundle+json;version=0.3',
];

const IN_TOTO = 'application/vnd.in-toto+json';
const STATEMENTS: readonly unknown[] = ['https://in-toto.io/Statement/v1', 'https://in-toto.io/Statement/v0.1'];

/** The members of a bundle that hold bytes; the library decodes whatever it can of them. */
const BYTE_MEMBERS: ReadonlySet<string> = new Set([
  'rawBytes',
  'payload',
  'sig',
  'signature',
  'digest',
  'signedEntryTimestamp',
  'signedTimestamp',
  'canonicalizedBody',
  'keyId',
  'rootHash',
  'hashes',
]);

/** Protobuf's JSON takes either alphabet, with padding or without. */
const ANY_BASE64 = /^(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}$/;

/** Refuses as `malformed`, or as `content` what signs something else than a statement. */
export function readBundle(raw: Uint8Array): Evidence {
  const bundle = parseBundle(raw);
  if (bundle.content.$case !== 'dsseEnvelope') {
    throw new Refusal('content', 'the bundle signs a file, want a statement about an image');
  }
  const { payload, payloadType, signatures } = bundle.content.dsseEnvelope;
  const [signature] = signatures;
  if (signature === undefined || signatures.length !== 1) {
    throw new Refusal('malformed', `the envelope has ${signatures.length} signatures, want one`);
  }
  if (payloadType !== IN_TOTO) {
    throw new Refusal('content', `the envelope holds ${JSON.stringify(payloadType)}, want ${JSON.stringify(IN_TOTO)}`);
  }
  return {
    format: 'bundle',
    bundle,
    signed: dsse.preAuthEncoding(payloadType, payload),
    payload,
    signature: signature.sig,
    claims: claimsOf(payload),
  };
}

function parseBundle(raw: Uint8Array): Bundle {
  try {
    const document = asObject(parseStrictJson(raw, 'bundle'), 'bundle');
    if (!BUNDLE_TYPES.includes(asText(document.mediaType, 'bundle: mediaType'))) {
      throw new Refusal(
        'malformed',
        `bundle of media type ${JSON.stringify(document.mediaType)}, want ${BUNDLE_TYPES[0]}`,
      );
    }
    checkBytes(document, undefined);
    return bundleFromJSON(document);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const reason = error instanceof ImagerError ? error.message : 'the bundle lacks what its format wants';
    throw new Refusal('malformed', reason, error);
  }
}

function checkBytes(value: unknown, member: string | undefined): void {
  if (Array.isArray(value)) for (const one of value) checkBytes(one, member);
  else if (typeof value === 'object' && value !== null) {
    for (const [name, one] of Object.entries(value)) checkBytes(one, name);
  } else if (typeof value === 'string' && member !== undefined && BYTE_MEMBERS.has(member)) {
    const digits = value.replace(/=+$/, '').length;
    const isPadded = value.endsWith('=');
    if (!ANY_BASE64.test(value) || digits % 4 === 1 || (isPadded && value.length % 4 !== 0)) {
      throw new Refusal('malformed', `bundle: ${member}: want base64`);
    }
  }
}

function claimsOf(payload: Uint8Array): Claims {
  try {
    const statement = asObject(parseStrictJson(payload, 'statement'), 'statement');
    if (!STATEMENTS.includes(statement._type)) {
      throw new Refusal(
        'content',
        `statement of type ${JSON.stringify(statement._type)}, want ${JSON.stringify(STATEMENTS[0])}`,
      );
    }
    const subjects = Array.isArray(statement.subject) ? statement.subject : [];
    return {
      subjects: subjects.flatMap((one) => subjectOf(asObject(one, 'statement: subject'))),
      predicateType: asText(statement.predicateType, 'statement: predicateType'),
    };
  } catch (error) {
    if (error instanceof ImagerError) throw new Refusal('malformed', error.message, error);
    throw error;
  }
}

/** None for what is named by another digest than the one images have. */
function subjectOf({ digest, name, annotations }: Readonly<Record<string, unknown>>): Subject[] {
  const { sha256 } = asObject(digest ?? {}, 'statement: subject: digest');
  if (typeof sha256 !== 'string') return [];
  return [
    {
      digest: `sha256:${sha256}`,
      ...(typeof name === 'string' ? { reference: name } : {}),
      annotations: asObject(annotations ?? {}, 'statement: subject: annotations'),
    },
  ];
}
