/**
 * Signatures of files by a key: a Sigstore bundle as `cosign verify-blob --bundle` reads it, and a DSSE envelope. Sources: sigstore protobuf-specs,
 * sigstore_bundle.proto v0.3; DSSE protocol v1.0.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { encodeBase64 } from '../meta/base64.ts';
import type { SigningKey } from '../platform/types.ts';

export const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

/** The suffix cosign's documentation gives to bundles. */
export const BUNDLE_SUFFIX = '.sigstore.json';

/** One line of JSON: the signature of `content` with a hint at the key, without a log entry. */
export async function formatBlobBundle(content: Uint8Array, key: SigningKey): Promise<string> {
  const bundle = {
    mediaType: BUNDLE_TYPE,
    verificationMaterial: { publicKey: { hint: hintAt(key) } },
    messageSignature: {
      messageDigest: { algorithm: 'SHA2_256', digest: encodeBase64(sha256(content)) },
      signature: encodeBase64(await key.sign(content)),
    },
  };
  return `${JSON.stringify(bundle)}\n`;
}

/** `payload` signed under its type, one line of JSON. */
export async function formatEnvelope(payload: Uint8Array, payloadType: string, key: SigningKey): Promise<string> {
  const head = `DSSEv1 ${utf8ToBytes(payloadType).length} ${payloadType} ${payload.length} `;
  const sig = encodeBase64(await key.sign(concatBytes(utf8ToBytes(head), payload)));
  return `${JSON.stringify({ payload: encodeBase64(payload), payloadType, signatures: [{ keyid: hintAt(key), sig }] })}\n`;
}

function hintAt({ publicKey }: SigningKey): string {
  return encodeBase64(sha256(publicKey));
}
