/** Private keys that sign documents, as PEM has them (PKCS #8, SEC 1, PKCS #1, cosign's own), encrypted or not. */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { ImagerError, invalid } from '../errors.ts';
import { isCosignKey, openCosignKey } from './cosign-key.ts';
import type { SigningKey } from './types.ts';

const SMALLEST_RSA = 2048;

/** Throws `invalid-input` naming `what`. */
export function signingKey(pem: string, what: string, passphrase: string | undefined): SigningKey {
  const key = readKey(pem, what, passphrase);
  checkKind(key, what);
  return {
    publicKey: new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' })),
    sign: async (data) => new Uint8Array(sign('sha256', data, key)),
  };
}

function readKey(pem: string, what: string, passphrase: string | undefined): KeyObject {
  const isEncrypted = /-----BEGIN ENCRYPTED |^Proc-Type: 4,ENCRYPTED/m.test(pem);
  if (isEncrypted && passphrase === undefined) throw invalid(`${what}: encrypted, and there is no passphrase for it`);
  if (isCosignKey(pem)) return openCosignKey(pem, what, passphrase!);
  try {
    return createPrivateKey(isEncrypted ? { key: pem, passphrase: passphrase! } : pem);
  } catch (cause) {
    throw invalid(isEncrypted ? `${what}: the passphrase does not open it` : `${what}: no private key in PEM`, {
      cause,
    });
  }
}

/** Of others either cosign or the JavaScript library refuses signatures of files. */
function checkKind({ asymmetricKeyType: kind, asymmetricKeyDetails: details }: KeyObject, what: string): void {
  if (kind === 'ec' && details?.namedCurve === 'prime256v1') return;
  if (kind === 'rsa' && (details?.modulusLength ?? 0) >= SMALLEST_RSA) return;
  const found = [kind, details?.namedCurve ?? details?.modulusLength].filter((part) => part !== undefined).join(' ');
  throw new ImagerError(
    'unsupported',
    `${what}: a key of kind ${found}, want ECDSA P-256 or RSA of 2048 bits or more`,
    {
      hint: 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem',
    },
  );
}
