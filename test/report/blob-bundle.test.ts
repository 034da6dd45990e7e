/** Signatures by a key, judged by the reference library of JavaScript. */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, test } from 'node:test';
import { bundleFromJSON, bundleToJSON, toDSSEBundle } from '@sigstore/bundle';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';
import { ImagerError } from '../../src/errors.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { SigningKey } from '../../src/platform/types.ts';
import { formatBlobBundle, formatEnvelope } from '../../src/report/blob-bundle.ts';
import { vectorFile } from '../support/vectors.ts';

const { signing } = nodePlatform({});
const content = new TextEncoder().encode('{"report": "é"}\n');
const ecdsa = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = (key: KeyObject, more: object = {}): string =>
  String(key.export({ type: 'pkcs8', format: 'pem', ...more } as never));

/** Throws unless `content` is what was signed. */
function verify(bundle: unknown, publicKey: KeyObject, artifact: Uint8Array = content): void {
  const root = {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: [],
    certificateAuthorities: [],
    ctlogs: [],
    timestampAuthorities: [],
  };
  const trust = toTrustMaterial(root as never, () => ({ publicKey, validFor: () => true }) as never);
  const verifier = new Verifier(trust, { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 });
  verifier.verify(toSignedEntity(bundleFromJSON(bundle), Buffer.from(artifact)));
}

async function bundleOf(key: SigningKey): Promise<Record<string, never>> {
  return JSON.parse(await formatBlobBundle(content, key)) as Record<string, never>;
}

for (const [name, pair] of Object.entries({ 'ECDSA P-256': ecdsa, 'RSA 2048': rsa })) {
  describe(name, () => {
    test('the library accepts a bundle, and its own form of it is the same', async () => {
      const key = await signing.signingKey(pem(pair.privateKey), 'key.pem');
      const bundle = await bundleOf(key);
      verify(bundle, pair.publicKey);
      assert.deepEqual(JSON.parse(JSON.stringify(bundleToJSON(bundleFromJSON(bundle)))), bundle);
    });

    test('what was changed since is refused, and so is another key', async () => {
      const key = await signing.signingKey(pem(pair.privateKey), 'key.pem');
      const bundle = await bundleOf(key);
      const changed = Uint8Array.from(content);
      changed[3]! ^= 1;
      assert.throws(() => verify(bundle, pair.publicKey, changed), /signature verification failed/);
      const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      assert.throws(() => verify(bundle, other.publicKey), /signature verification failed/);
      const { messageSignature } = bundle as unknown as { messageSignature: { signature: string } };
      const damaged = Buffer.from(messageSignature.signature, 'base64');
      damaged[damaged.length - 1]! ^= 1;
      const forged = { ...bundle, messageSignature: { ...messageSignature, signature: damaged.toString('base64') } };
      assert.throws(() => verify(forged, pair.publicKey), /signature verification failed/);
    });

    test('an envelope', async () => {
      const key = await signing.signingKey(pem(pair.privateKey), 'key.pem');
      const envelope = JSON.parse(await formatEnvelope(content, 'application/vnd.in-toto+json', key));
      const bundleWith = (payload: Uint8Array): unknown =>
        bundleToJSON(
          toDSSEBundle({
            artifact: Buffer.from(payload),
            artifactType: envelope.payloadType,
            signature: Buffer.from(envelope.signatures[0].sig, 'base64'),
            keyHint: envelope.signatures[0].keyid,
          }),
        );
      assert.deepEqual(Buffer.from(envelope.payload, 'base64'), Buffer.from(content));
      verify(bundleWith(content), pair.publicKey);
      assert.throws(() => verify(bundleWith(content.subarray(1)), pair.publicKey), /signature verification failed/);
    });
  });
}

describe('key files', () => {
  test('what cosign writes', async () => {
    const text = vectorFile('report/cosign.key').toString();
    const key = await signing.signingKey(text, 'cosign.key', 'pw');
    verify(await bundleOf(key), createPublicKey(vectorFile('report/cosign.pub')));
    await assert.rejects(
      signing.signingKey(text, 'cosign.key', 'wrong'),
      /^ImagerError: cosign\.key: the passphrase does not open it$/,
    );
    await assert.rejects(
      signing.signingKey(text, 'cosign.key'),
      /cosign\.key: encrypted, and there is no passphrase for it/,
    );
  });

  test('cosign files that are damaged or want too much', async () => {
    const body = (change: (sealed: { kdf: { params: { N: number } }; cipher: { name: string } }) => void): string => {
      const base64 = vectorFile('report/cosign.key')
        .toString()
        .replace(/-----.*-----/g, '');
      const sealed = JSON.parse(Buffer.from(base64, 'base64').toString());
      change(sealed);
      const label = 'ENCRYPTED SIGSTORE PRIVATE KEY';
      return `-----BEGIN ${label}-----\n${Buffer.from(JSON.stringify(sealed)).toString('base64')}\n-----END ${label}-----\n`;
    };
    const huge = body((one) => {
      one.kdf.params.N = 2 ** 40;
    });
    await assert.rejects(
      signing.signingKey(huge, 'k', 'pw'),
      /k: scrypt with N 1099511627776, r 8, p 1, want at most 256 MiB/,
    );
    const other = body((one) => {
      one.cipher.name = 'rot13';
    });
    await assert.rejects(signing.signingKey(other, 'k', 'pw'), /k: encrypted in a way that is not cosign's/);
    const label = 'ENCRYPTED SIGSTORE PRIVATE KEY';
    await assert.rejects(
      signing.signingKey(`-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----`, 'k', 'pw'),
      /k: not what cosign writes/,
    );
  });

  test('PEM: PKCS #8, encrypted, SEC 1', async () => {
    const encrypted = pem(ecdsa.privateKey, { cipher: 'aes-256-cbc', passphrase: 'pw' });
    verify(await bundleOf(await signing.signingKey(encrypted, 'k', 'pw')), ecdsa.publicKey);
    await assert.rejects(signing.signingKey(encrypted, 'k', 'no'), /k: the passphrase does not open it/);
    const sec1 = String(ecdsa.privateKey.export({ type: 'sec1', format: 'pem' }));
    verify(await bundleOf(await signing.signingKey(sec1, 'k')), ecdsa.publicKey);
  });

  for (const [kind, pair] of [
    ['ed25519', generateKeyPairSync('ed25519')],
    ['ec secp384r1', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ['rsa 1024', generateKeyPairSync('rsa', { modulusLength: 1024 })],
  ] as const) {
    test(`refused: ${kind}`, async () => {
      await assert.rejects(
        signing.signingKey(pem(pair.privateKey), 'k'),
        (error) =>
          error instanceof ImagerError &&
          error.code === 'unsupported' &&
          error.message.startsWith(`k: a key of kind ${kind}, want`),
      );
    });
  }

  test('refused: what is no private key', async () => {
    await assert.rejects(signing.signingKey('hello', 'k'), /k: no private key in PEM/);
    await assert.rejects(
      signing.signingKey(String(ecdsa.publicKey.export({ type: 'spki', format: 'pem' })), 'k'),
      /k: no private key in PEM/,
    );
  });
});
