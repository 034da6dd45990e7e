import {
  constants,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  privateEncrypt,
  X509Certificate,
} from 'node:crypto';
import { invalid } from '../errors.ts';
import type { HashAlgorithm, RsaKey, Signing } from './types.ts';

/** DigestInfo of PKCS #1 before the digest itself (RFC 8017, 9.2 note 1). */
const DIGEST_INFO: Readonly<Record<HashAlgorithm, string>> = {
  sha256: '3031300d060960864801650304020105000420',
  sha384: '3041300d060960864801650304020205000430',
  sha512: '3051300d060960864801650304020305000440',
};

export const nodeSigning: Signing = {
  // With a library for cosign's own format, which only this needs.
  signingKey: async (pem, what, passphrase) =>
    (await import('./node-signing-key.ts')).signingKey(pem, what, passphrase),
  rsaKey(pem, what) {
    let key: KeyObject;
    try {
      key = createPrivateKey(pem);
    } catch (cause) {
      throw invalid(`${what}: no private key in PEM`, { cause });
    }
    const kind = key.asymmetricKeyType;
    if (kind !== 'rsa')
      throw invalid(`${what}: a key of kind ${kind}, want RSA: firmware and TPMs take nothing else here`);
    return rsaKey(key);
  },
  certificate(pem, what) {
    try {
      const certificate = new X509Certificate(pem);
      return {
        der: new Uint8Array(certificate.raw),
        publicKey: spki(certificate.publicKey),
      };
    } catch (cause) {
      throw invalid(`${what}: no certificate in PEM`, { cause });
    }
  },
};

function rsaKey(key: KeyObject): RsaKey {
  return {
    publicKey: spki(createPublicKey(key)),
    async sign(digest, algorithm) {
      const info = Buffer.concat([Buffer.from(DIGEST_INFO[algorithm], 'hex'), digest]);
      return new Uint8Array(privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, info));
    },
  };
}

function spki(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ type: 'spki', format: 'der' }));
}
