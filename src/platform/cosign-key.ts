/** The private key files `cosign generate-key-pair` writes: PKCS #8 in NaCl's secretbox, opened by a passphrase through scrypt (sigstore, pkg/cryptoutils). */
import { createPrivateKey, type KeyObject, scryptSync } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { invalid } from '../errors.ts';

const BLOCK =
  /-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END ENCRYPTED \1 PRIVATE KEY-----/;

/** Bytes; cosign's own parameters take 64 MiB. */
const MEMORY_LIMIT: number = 256 << 20;

const KEY_SIZE = 32;
const NONCE_SIZE = 24;

export function isCosignKey(pem: string): boolean {
  return BLOCK.test(pem);
}

interface Sealed {
  readonly kdf?: {
    readonly name?: unknown;
    readonly params?: { readonly N?: unknown; readonly r?: unknown; readonly p?: unknown };
    readonly salt?: unknown;
  };
  readonly cipher?: { readonly name?: unknown; readonly nonce?: unknown };
  readonly ciphertext?: unknown;
}

/** Throws `invalid-input` naming `what`, for another passphrase too. */
export function openCosignKey(pem: string, what: string, passphrase: string): KeyObject {
  const { kdf, cipher, ciphertext } = readSealed(BLOCK.exec(pem)?.[2] ?? '', what);
  const { N, r, p } = kdf?.params ?? {};
  const nonce = bytesOf(cipher?.nonce);
  if (kdf?.name !== 'scrypt' || cipher?.name !== 'nacl/secretbox' || nonce.length !== NONCE_SIZE) {
    throw invalid(`${what}: encrypted in a way that is not cosign's, want scrypt and nacl/secretbox`);
  }
  if (!isCount(N) || !isCount(r) || !isCount(p) || 128 * N * r > MEMORY_LIMIT || p > 16) {
    throw invalid(
      `${what}: scrypt with N ${String(N)}, r ${String(r)}, p ${String(p)}, want at most ${MEMORY_LIMIT >> 20} MiB`,
    );
  }
  const key = scryptSync(passphrase, bytesOf(kdf.salt), KEY_SIZE, { N, r, p, maxmem: 2 * MEMORY_LIMIT });
  try {
    const der = xsalsa20poly1305(new Uint8Array(key), nonce).decrypt(bytesOf(ciphertext));
    return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
  } catch (cause) {
    throw invalid(`${what}: the passphrase does not open it`, { cause });
  }
}

function readSealed(base64: string, what: string): Sealed {
  try {
    const value: unknown = JSON.parse(Buffer.from(base64, 'base64').toString());
    if (typeof value === 'object' && value !== null) return value;
  } catch (cause) {
    throw invalid(`${what}: not what cosign writes`, { cause });
  }
  throw invalid(`${what}: not what cosign writes`);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

function bytesOf(value: unknown): Uint8Array {
  return new Uint8Array(Buffer.from(typeof value === 'string' ? value : '', 'base64'));
}
