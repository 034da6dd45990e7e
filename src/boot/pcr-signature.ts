/** Which values of PCR 11 a UKI's disk keys are bound to, signed: `.pcrsig`. Source: spec boot-and-images 2 (systemd-measure, systemd-stub). */
import type { Bytes } from '../bytes/bytes.ts';
import { structure, toHex } from '../bytes/field.ts';
import { type ChunkOptions, chunks } from '../bytes/read.ts';
import { decodeRsaPublicKey } from '../formats/der/certificate.ts';
import type { HashAlgorithm } from '../platform/types.ts';
import { encodePem } from './pem.ts';
import { digestOf, type Hasher, type SigningKey } from './signer.ts';

/** What systemd-stub measures, in its order. */
export const MEASURED_SECTIONS: readonly string[] = [
  '.linux',
  '.osrel',
  '.cmdline',
  '.initrd',
  '.ucode',
  '.splash',
  '.dtb',
  '.uname',
  '.sbat',
  '.pcrpkey',
  '.profile',
  '.dtbauto',
  '.hwids',
];

/** What Talos extends with on its way to the state that is signed. */
const PHASES: readonly string[] = ['enter-initrd', 'leave-initrd', 'enter-machined'];

/** With TPM_ALG_ID of the bank. */
const BANKS: readonly (readonly [HashAlgorithm, number])[] = [
  ['sha256', 0x000b],
  ['sha384', 0x000c],
  ['sha512', 0x000d],
];

const PCR = 11;
const TPM2_POLICY_PCR = 0x0000_017f;

/** Digests of a section's content in every bank. */
export type SectionDigests = Readonly<Record<HashAlgorithm, Uint8Array>>;

/** One pass over the content. Throws what reading throws. */
export async function measureContent(
  hasher: Hasher,
  content: Bytes,
  { signal }: Pick<ChunkOptions, 'signal'> = {},
): Promise<SectionDigests> {
  const hashes = BANKS.map(([algorithm]) => hasher.hash(algorithm));
  for await (const chunk of chunks(content, { isTransient: true, ...(signal === undefined ? {} : { signal }) }))
    for (const hash of hashes) hash.update(chunk);
  const [sha256, sha384, sha512] = hashes.map((hash) => hash.digest());
  return { sha256: sha256!, sha384: sha384!, sha512: sha512! };
}

/** The value of PCR 11 in a bank once a machine with these sections has come as far as Talos' first phase. */
export function pcrValue(
  hasher: Hasher,
  bank: HashAlgorithm,
  sections: ReadonlyMap<string, SectionDigests>,
): Uint8Array {
  const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
  let value: Uint8Array = new Uint8Array(digestOf(hasher, bank).length);
  const extend = (digest: Uint8Array): void => {
    value = digestOf(hasher, bank, value, digest);
  };
  for (const name of MEASURED_SECTIONS) {
    const digests = sections.get(name);
    if (digests === undefined) continue;
    extend(digestOf(hasher, bank, ascii(`${name}\0`)));
    extend(digests[bank]);
  }
  for (const phase of PHASES) extend(digestOf(hasher, bank, ascii(phase)));
  return value;
}

/** The digest of a policy that wants this value of PCR 11, SHA-256 whatever the bank (TPM 2.0 part 3, TPM2_PolicyPCR). */
export function policyDigest(hasher: Hasher, algorithmId: number, value: Uint8Array): Uint8Array {
  const { data, view } = structure(32 + 4 + 4 + 2 + 1 + 3);
  view.setUint32(32, TPM2_POLICY_PCR);
  view.setUint32(36, 1);
  view.setUint16(40, algorithmId);
  view.setUint8(42, 3);
  view.setUint8(43 + (PCR >> 3), 1 << (PCR & 7));
  return digestOf(hasher, 'sha256', data, digestOf(hasher, 'sha256', value));
}

/** Text of `.pcrsig` for the sections of one profile. Throws what the signer throws. */
export async function pcrSignature(
  hasher: Hasher,
  sections: ReadonlyMap<string, SectionDigests>,
  key: SigningKey,
): Promise<string> {
  const pkfp = toHex(digestOf(hasher, 'sha256', decodeRsaPublicKey(key.publicKey, 'PCR signing key')));
  const banks: [string, object[]][] = [];
  for (const [bank, algorithmId] of BANKS) {
    const policy = policyDigest(hasher, algorithmId, pcrValue(hasher, bank, sections));
    // Hashed once more, by the bank's own algorithm: what TPM2_PolicyAuthorize verifies.
    const signature = await key.sign(digestOf(hasher, bank, policy), bank);
    banks.push([bank, [{ pcrs: [PCR], pkfp, pol: toHex(policy), sig: btoa(String.fromCharCode(...signature)) }]]);
  }
  return JSON.stringify(Object.fromEntries(banks));
}

/** SubjectPublicKeyInfo as PEM, 64 columns: content of `.pcrpkey`. */
export function publicKeyPem(publicKey: Uint8Array): string {
  return encodePem('PUBLIC KEY', publicKey);
}
