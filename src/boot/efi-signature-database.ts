/** SecureBoot variables as systemd-boot enrols them: PK, KEK and db, signed by the key they contain. Source: spec boot-and-images 4 (UEFI specification, 8.2.2 and 32.4.1). */
import { ofMemory } from '../bytes/bytes.ts';
import { fromHex, joinMemory, structure } from '../bytes/field.ts';
import { encodeSignedData } from '../formats/der/signed-data.ts';
import { encodeGuid, type Guid, guidOfBytes, parseGuid } from '../formats/gpt/guid.ts';
import type { EnrollmentKeys } from './esp.ts';
import { encodePem } from './pem.ts';
import { digestOf, type Hasher, type SecureBootSigner } from './signer.ts';

const EFI_GLOBAL_VARIABLE = parseGuid('8be4df61-93ca-11d2-aa0d-00e098032b8c');
const EFI_IMAGE_SECURITY_DATABASE = parseGuid('d719b2cb-3d3a-4596-a3bc-dad00e67656f');
const EFI_CERT_X509 = parseGuid('a5c059a1-94e4-4aa7-87b5-ab155c2bf072');
const EFI_CERT_TYPE_PKCS7 = parseGuid('4aafd29d-68df-49ee-8aa9-347d375665a7');

/** Non-volatile, at boot and run time, written with a signature that has a time. */
const ATTRIBUTES = 0x27;
const WIN_CERT_REVISION = 0x0200;
const WIN_CERT_TYPE_EFI_GUID = 0x0ef1;
const PKCS7_DATA = '1.2.840.113549.1.7.1';

/** Owners of signatures are named after their certificate: in this name space (RFC 9562, 6.6: DNS is another). */
const OWNER_NAMESPACE = fromHex('6ba7b8149dad11d180b400c04fd430c8');

interface Variable {
  readonly name: string;
  readonly vendor: Guid;
}

/** `time` in seconds since 1970. Throws what the signer throws. */
export async function enrollmentKeys(hasher: Hasher, signer: SecureBootSigner, time: number): Promise<EnrollmentKeys> {
  const lists = signatureList(ownerOf(hasher, signer.certificate), signer.certificate);
  const variable = async (wanted: Variable) => ofMemory(await signedVariable(hasher, wanted, lists, signer, time));
  return {
    platformKey: await variable({ name: 'PK', vendor: EFI_GLOBAL_VARIABLE }),
    keyExchangeKey: await variable({ name: 'KEK', vendor: EFI_GLOBAL_VARIABLE }),
    signatureDatabase: await variable({ name: 'db', vendor: EFI_IMAGE_SECURITY_DATABASE }),
  };
}

/** EFI_SIGNATURE_LIST with one certificate. */
function signatureList(owner: Uint8Array, certificate: Uint8Array): Uint8Array {
  const signatureSize = 16 + certificate.length;
  const { data, view } = structure(28);
  data.set(encodeGuid(EFI_CERT_X509));
  view.setUint32(16, 28 + signatureSize, true);
  view.setUint32(24, signatureSize, true);
  return joinMemory([data, owner, certificate]);
}

/** EFI_VARIABLE_AUTHENTICATION_2 and the lists it vouches for. */
async function signedVariable(
  hasher: Hasher,
  { name, vendor }: Variable,
  lists: Uint8Array,
  signer: SecureBootSigner,
  time: number,
): Promise<Uint8Array> {
  const timestamp = efiTime(time);
  const { data: attributes, view } = structure(4);
  view.setUint32(0, ATTRIBUTES, true);
  const signed = [utf16(name), encodeGuid(vendor), attributes, timestamp, lists];
  const content = { type: PKCS7_DATA, digest: digestOf(hasher, 'sha256', ...signed) };
  const sign = async (data: Uint8Array): Promise<Uint8Array> => signer.sign(digestOf(hasher, 'sha256', data), 'sha256');
  const signedData = await encodeSignedData(content, { certificate: signer.certificate, sign }, time);
  const { data: header, view: fields } = structure(8);
  fields.setUint32(0, 24 + signedData.length, true);
  fields.setUint16(4, WIN_CERT_REVISION, true);
  fields.setUint16(6, WIN_CERT_TYPE_EFI_GUID, true);
  return joinMemory([timestamp, header, encodeGuid(EFI_CERT_TYPE_PKCS7), signedData, lists]);
}

function efiTime(time: number): Uint8Array {
  const date = new Date(time * 1000);
  const { data, view } = structure(16);
  view.setUint16(0, date.getUTCFullYear(), true);
  const fields = [
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ];
  for (const [index, value] of fields.entries()) view.setUint8(2 + index, value);
  return data;
}

/** A GUID of version 4's form, made from the certificate's PEM. */
function ownerOf(hasher: Hasher, certificate: Uint8Array): Uint8Array {
  const pem = new TextEncoder().encode(encodePem('CERTIFICATE', certificate));
  const hash = digestOf(hasher, 'sha256', OWNER_NAMESPACE, pem).slice(0, 16);
  hash[6] = (hash[6]! & 0x0f) | 0x40;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  return encodeGuid(guidOfBytes(hash));
}

function utf16(text: string): Uint8Array {
  return Uint8Array.from([...text].flatMap((letter) => [letter.charCodeAt(0), 0]));
}
