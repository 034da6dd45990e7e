/** What SecureBoot adds to a build: keys that sign loader, UKI and PCR values, and the variables that are enrolled. Source: spec boot-and-images 2.5, 4. */
import { enrollmentKeys } from '../boot/efi-signature-database.ts';
import type { EnrollmentKeys } from '../boot/esp.ts';
import { digestOf, type SecureBootSigner, type SigningKey } from '../boot/signer.ts';
import { type Bytes, ofSource } from '../bytes/bytes.ts';
import { toHex } from '../bytes/field.ts';
import { type Digest, parseDigest } from '../bytes/units.ts';
import { ImagerError, invalid } from '../errors.ts';
import type { PcrSigner, Profile, SecureBootAssets, SecureBootSigner as SignerFields } from '../profiles/profile.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import { digestOfContent } from './input-digest.ts';
import type { PlannedInput, PlanOptions } from './plan.ts';
import type { Workplace } from './workplace.ts';

/** Keys and certificates in PEM are far smaller. */
const PEM_LIMIT = 64 * 1024;

/** Signed EFI variables with a handful of certificates. */
const DATABASE_LIMIT = 1 << 20;

/** Who signs. */
export interface SecureBoot {
  readonly signer: SecureBootSigner;
  readonly pcrKey: SigningKey;
}

/** Nothing is signed for these kinds, whatever the profile says. */
const UNSIGNED_KINDS: readonly string[] = ['cmdline', 'kernel', 'initramfs'];

/** Whether anything of the output is signed. */
export function needsSigning({ secureboot, output }: Pick<Profile, 'secureboot' | 'output'>): boolean {
  return secureboot === true && !UNSIGNED_KINDS.includes(output.kind);
}

/** `undefined` for a build without SecureBoot. Throws `dependency` for keys that cannot be had or used, as upstream's exit codes have it. */
export async function secureBootOf(workplace: Workplace, profile: FinalProfile): Promise<SecureBoot | undefined> {
  if (!needsSigning(profile)) return undefined;
  const { secureBootSigner, pcrSigner } = assetsOf(profile);
  return {
    signer: await asDependency('SecureBoot signer', () => signerOf(workplace, secureBootSigner)),
    pcrKey: await asDependency('PCR signer', () => pcrKeyOf(workplace, pcrSigner)),
  };
}

/**
 * PK, KEK and db: made from the signer's certificate, or the ones the profile names, all three of them. `time` in seconds since 1970. Throws
 * `invalid-input` for some of three, `dependency` for files that are not there, `unsupported` for certificates of others.
 */
export async function enrolledKeys(
  workplace: Workplace,
  profile: FinalProfile,
  { signer }: SecureBoot,
  time: number,
): Promise<EnrollmentKeys> {
  const assets = assetsOf(profile);
  const paths = databasePaths(assets);
  if (paths !== undefined) {
    const [platformKey, keyExchangeKey, signatureDatabase] = await Promise.all(
      paths.map((path) => asDependency('SecureBoot database', () => databaseAt(workplace, path))),
    );
    return { platformKey: platformKey!, keyExchangeKey: keyExchangeKey!, signatureDatabase: signatureDatabase! };
  }
  return enrollmentKeys(workplace.platform, signer, time);
}

/** Keys as inputs of the plan: by path and by the digest of what of them gets into the output. Throws as `secureBootOf` and `enrolledKeys`. */
export async function planSecureBoot(
  workplace: Workplace,
  profile: FinalProfile,
  { resolve }: PlanOptions,
): Promise<PlannedInput[]> {
  if (!needsSigning(profile) || unsupportedSigning(profile).length > 0) return [];
  const assets = assetsOf(profile);
  const paths = databasePaths(assets);
  const certificate = { role: 'secureboot-certificate', path: assets.secureBootSigner.certPath } as const;
  const pcr = { role: 'pcr-key', path: assets.pcrSigner.keyPath } as const;
  const databases = (paths ?? []).map((path) => ({ role: 'secureboot-database', path }) as const);
  if (!resolve) return [certificate, pcr, ...databases].map((input) => ({ ...input, digest: null }));
  const found = await secureBootOf(workplace, profile);
  const { platform } = workplace;
  const digest = (data: Uint8Array): Digest => parseDigest(`sha256:${toHex(digestOf(platform, 'sha256', data))}`);
  return [
    { ...certificate, digest: digest(found!.signer.certificate) },
    { ...pcr, digest: digest(found!.pcrKey.publicKey) },
    ...(await Promise.all(
      databases.map(async (input) => ({
        ...input,
        digest: await asDependency('SecureBoot database', async () =>
          digestOfContent(workplace, await databaseAt(workplace, input.path)),
        ),
      })),
    )),
  ];
}

function assetsOf({ input }: FinalProfile): SecureBootAssets {
  if (input.secureboot === null) throw new RangeError('a SecureBoot profile that was not finalised');
  return input.secureboot;
}

/** One sentence for each thing that signs or is enrolled and that only upstream has. */
export function unsupportedSigning(profile: Profile): string[] {
  const assets = profile.input.secureboot;
  if (!needsSigning(profile) || assets === null) return [];
  const { secureBootSigner, pcrSigner, includeWellKnownCerts, ...databases } = assets;
  const remote = [...remoteFields('secureBootSigner', secureBootSigner), ...remoteFields('pcrSigner', pcrSigner)];
  const areMade = Object.values(databases).every((path) => path === '');
  return [
    ...remote.map((field) => `signer ${field}, want keys in files`),
    ...(includeWellKnownCerts && areMade
      ? ['input.secureboot.includeWellKnownCerts, want PK, KEK and db that were made with those certificates']
      : []),
  ];
}

function remoteFields(name: string, fields: SignerFields | PcrSigner): string[] {
  const given = Object.entries(fields).filter(
    ([key, value]) => value !== '' && key !== 'keyPath' && key !== 'certPath',
  );
  return given.map(([key]) => `input.secureboot.${name}.${key}`);
}

/** In the order PK, KEK, db; `undefined` when they are to be made. */
function databasePaths(assets: SecureBootAssets): readonly string[] | undefined {
  const fields = ['platformKeyPath', 'keyExchangeKeyPath', 'signatureKeyPath'] as const;
  const missing = fields.filter((field) => assets[field] === '');
  if (missing.length === fields.length) return undefined;
  if (missing.length === 0) return fields.map((field) => assets[field]);
  throw invalid(
    `pre-built SecureBoot variables: ${missing.map((field) => `input.secureboot.${field}`).join(' and ')} missing`,
    {
      hint: 'name all three, or none to have them made from the certificate',
    },
  );
}

async function signerOf(workplace: Workplace, { keyPath, certPath }: SignerFields): Promise<SecureBootSigner> {
  if (keyPath === '' || certPath === '') throw invalid(`${keyPath === '' ? 'keyPath' : 'certPath'} missing: want both`);
  const key = workplace.platform.signing.rsaKey(await readPem(workplace, keyPath), keyPath);
  const { der, publicKey } = workplace.platform.signing.certificate(await readPem(workplace, certPath), certPath);
  if (toHex(publicKey) !== toHex(key.publicKey)) {
    throw invalid(`${certPath}: the certificate of another key than ${keyPath}`);
  }
  return { ...key, certificate: der };
}

async function pcrKeyOf(workplace: Workplace, { keyPath }: PcrSigner): Promise<SigningKey> {
  if (keyPath === '') throw invalid('keyPath missing');
  return workplace.platform.signing.rsaKey(await readPem(workplace, keyPath), keyPath);
}

async function readPem({ platform }: Workplace, path: string): Promise<string> {
  return new TextDecoder().decode(await platform.files.read(path, PEM_LIMIT));
}

async function databaseAt({ platform }: Workplace, path: string): Promise<Bytes> {
  const source = await platform.files.source(path);
  if (source.size > DATABASE_LIMIT) throw invalid(`${path}: ${source.size} bytes, want a signed EFI variable`);
  return ofSource(source);
}

/** What a signer lacks is upstream's class of things a build depends on. */
async function asDependency<T>(what: string, get: () => Promise<T>): Promise<T> {
  try {
    return await get();
  } catch (error) {
    if (!(error instanceof ImagerError) || (error.code !== 'io' && error.code !== 'invalid-input')) throw error;
    const details = error.hint === undefined ? { cause: error } : { cause: error, hint: error.hint };
    throw new ImagerError('dependency', `${what}: ${error.message}`, details);
  }
}
