/** Authenticode signatures of boot loaders and UKIs. Source: spec boot-and-images 3. */
import type { Bytes } from '../bytes/bytes.ts';
import { type ChunkOptions, digest } from '../bytes/read.ts';
import { encodeValue, explicit, objectIdentifier, octetString, sequence, TAG } from '../formats/der/encode.ts';
import { encodeSignedData, inContentInfo, SHA256_ALGORITHM } from '../formats/der/signed-data.ts';
import { appendSignature, authenticodeContent } from '../formats/pe/authenticode.ts';
import { digestOf, type Hasher, type SecureBootSigner } from './signer.ts';

const SPC_INDIRECT_DATA = '1.3.6.1.4.1.311.2.1.4';
const SPC_PE_IMAGE_DATA = '1.3.6.1.4.1.311.2.1.15';

/** What signers write where page hashes could be, in UTF-16 with the high byte first. */
const OBSOLETE = '<<<Obsolete>>>';

/** The file with a signature behind those it has; `time` in seconds since 1970. Throws `invalid-input` naming `what`, and what the signer throws. */
export async function signPe(
  hasher: Hasher,
  file: Bytes,
  signer: SecureBootSigner,
  time: number,
  what: string,
  { signal }: Pick<ChunkOptions, 'signal'> = {},
): Promise<Bytes> {
  const signedBytes = await authenticodeContent(file, what);
  const fileDigest = await digest(signedBytes, hasher.hash('sha256'), signal === undefined ? {} : { signal });
  const members = [peImageData(), sequence(SHA256_ALGORITHM, octetString(fileDigest))];
  const content = {
    type: SPC_INDIRECT_DATA,
    value: sequence(...members),
    // Of the contents alone, without tag and length.
    digest: digestOf(hasher, 'sha256', ...members),
  };
  const sign = async (data: Uint8Array): Promise<Uint8Array> => signer.sign(digestOf(hasher, 'sha256', data), 'sha256');
  const signedData = await encodeSignedData(content, { certificate: signer.certificate, sign }, time);
  return appendSignature(file, inContentInfo(signedData), what);
}

function peImageData(): Uint8Array {
  const text = Uint8Array.from([...OBSOLETE].flatMap((letter) => [0, letter.charCodeAt(0)]));
  const noFlags = encodeValue(TAG.bitString, Uint8Array.of(0));
  const file = explicit(0, explicit(2, encodeValue(0x80, text)));
  return sequence(objectIdentifier(SPC_PE_IMAGE_DATA), sequence(noFlags, file));
}
