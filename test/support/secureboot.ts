/** The TEST keys of test/vectors/secureboot. */
import { createPrivateKey } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecureBootSigner, SigningKey } from '../../src/boot/signer.ts';
import { nodeSigning } from '../../src/platform/node-signing.ts';
import type { SecureBootAssets } from '../../src/profiles/profile.ts';
import { emptyGroup, SECURE_BOOT } from '../../src/profiles/schema.ts';
import { vectorFile } from './vectors.ts';

/** PKCS #1 in PEM, as profiles name keys. */
export function testKeyPem(name: string): string {
  const key = createPrivateKey({ key: vectorFile(`secureboot/${name}.der`), format: 'der', type: 'pkcs1' });
  return String(key.export({ type: 'pkcs1', format: 'pem' }));
}

export function testCertificatePem(name: string): string {
  return vectorFile(`secureboot/${name}.pem`).toString('utf8');
}

export function testSigner(size: '' | '-4096' = ''): SecureBootSigner {
  const key = nodeSigning.rsaKey(testKeyPem(`uki-test-key${size}`), 'key');
  const { der } = nodeSigning.certificate(testCertificatePem(`uki-test-cert${size}`), 'certificate');
  return { ...key, certificate: der };
}

export function testPcrKey(): SigningKey {
  return nodeSigning.rsaKey(testKeyPem('pcr-test-key'), 'PCR key');
}

/** PEM files as profiles name them. */
export async function writeTestKeys(directory: string): Promise<void> {
  await writeFile(join(directory, 'uki-test-key.pem'), testKeyPem('uki-test-key'));
  await writeFile(join(directory, 'uki-test-cert.pem'), testCertificatePem('uki-test-cert'));
  await writeFile(join(directory, 'pcr-test-key.pem'), testKeyPem('pcr-test-key'));
}

/** Of a profile, after `writeTestKeys`. */
export function keysIn(directory: string): SecureBootAssets {
  const empty = emptyGroup(SECURE_BOOT);
  const [keyPath, certPath] = [join(directory, 'uki-test-key.pem'), join(directory, 'uki-test-cert.pem')];
  return {
    ...empty,
    secureBootSigner: { ...empty.secureBootSigner, keyPath, certPath },
    pcrSigner: { ...empty.pcrSigner, keyPath: join(directory, 'pcr-test-key.pem') },
  };
}
