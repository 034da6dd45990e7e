/** Whose key a transparency log recorded, which the library does not compare (spec factory-and-signatures I6). */
import type { TransparencyLogEntry } from '@sigstore/bundle';
import { crypto, X509Certificate } from '@sigstore/core';
import { decodeBase64 } from './base64.ts';
import { Refusal } from './check.ts';
import type { PublicKey } from './compile-policy.ts';
import { asObject, asText, parseStrictJson } from './strict-json.ts';

type Document = Readonly<Record<string, unknown>>;

/** The recorded key as DER SubjectPublicKeyInfo, or the recorded certificate as DER. */
interface Recorded {
  readonly kind: 'key' | 'certificate';
  readonly der: Uint8Array;
}

/**
 * Refuses as `log-entry-mismatch` an entry that was made for another key, or another certificate of the same key: whoever logged it is not
 * who signed.
 */
export function checkRecordedKey(
  entry: TransparencyLogEntry,
  signer: { readonly key: PublicKey; readonly certificate?: Uint8Array },
): void {
  let recorded: Recorded;
  try {
    recorded = recordedKey(entry);
  } catch (cause) {
    throw new Refusal('log-entry-mismatch', 'the log entry does not say whose key it is about', cause);
  }
  const spki = signer.key.export({ type: 'spki', format: 'der' });
  const isSame =
    recorded.kind === 'key'
      ? signer.certificate === undefined && crypto.bufferEqual(Buffer.from(recorded.der), spki)
      : signer.certificate !== undefined &&
        crypto.bufferEqual(Buffer.from(recorded.der), Buffer.from(signer.certificate));
  if (!isSame) throw new Refusal('log-entry-mismatch', `the log entry is about another ${recorded.kind}`);
}

function recordedKey(entry: TransparencyLogEntry): Recorded {
  const body = asObject(parseStrictJson(entry.canonicalizedBody, 'log entry'), 'log entry');
  const spec = asObject(body.spec, 'spec');
  switch (`${body.kind} ${body.apiVersion}`) {
    case 'hashedrekord 0.0.1':
      return fromPem(textAt(spec, 'signature', 'publicKey', 'content'));
    case 'dsse 0.0.1':
      return fromPem(asText(first(spec.signatures).verifier, 'verifier'));
    case 'intoto 0.0.2':
      // Base64 of the PEM, and that again, as the log stores bytes.
      return fromPem(asText(first(member(spec, 'content', 'envelope').signatures).publicKey, 'publicKey'));
    case 'hashedrekord 0.0.2':
      return fromVerifier(member(spec, 'hashedRekordV002', 'signature', 'verifier'));
    case 'dsse 0.0.2':
      return fromVerifier(asObject(first(member(spec, 'dsseV002').signatures).verifier, 'verifier'));
    default:
      throw new Refusal(
        'log-entry-mismatch',
        `a log entry of kind ${body.kind} ${body.apiVersion}, which nobody here knows`,
      );
  }
}

/** Version 2 of the log: DER, told apart by its name. */
function fromVerifier(verifier: Document): Recorded {
  if (verifier.x509Certificate !== undefined) {
    return { kind: 'certificate', der: decodeBase64(textAt(verifier, 'x509Certificate', 'rawBytes'), 'rawBytes') };
  }
  return { kind: 'key', der: decodeBase64(textAt(verifier, 'publicKey', 'rawBytes'), 'rawBytes') };
}

/** Version 1: PEM in base64, of a certificate or of a key. */
function fromPem(base64: string): Recorded {
  let pem = decodeBase64(base64, 'key').toString('utf8');
  if (!pem.includes('-----BEGIN')) pem = decodeBase64(pem, 'key').toString('utf8');
  if (pem.includes('-----BEGIN CERTIFICATE-----')) {
    return { kind: 'certificate', der: X509Certificate.parse(pem).root.toDER() };
  }
  return { kind: 'key', der: crypto.createPublicKey(pem.trim()).export({ type: 'spki', format: 'der' }) };
}

function first(list: unknown): Document {
  if (!Array.isArray(list) || list.length !== 1)
    throw new Refusal('log-entry-mismatch', 'want one signature in the log entry');
  return asObject(list[0], 'signature');
}

function member(object: Document, ...path: readonly string[]): Document {
  return path.reduce((at, name) => asObject(at[name], name), object);
}

function textAt(object: Document, ...path: readonly string[]): string {
  const last = path.at(-1) ?? '';
  return asText(member(object, ...path.slice(0, -1))[last], last);
}
