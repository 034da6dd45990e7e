/** What SecureBoot adds to a build: keys that sign loader, UKI and PCR values, and the variables that are enrolled. Source: spec boot-and-images 2.5, 4. */
import { enrollmentKeys } from '../boot/efi-signature-database.ts';
import type { EnrollmentKeys } from '../boot/esp.ts';
import type { SecureBootSigner, SigningKey } from '../boot/signer.ts';
import { type Bytes, ofMemory, ofSource } from '../bytes/bytes.ts';
import { toHex } from '../bytes/field.ts';
import type { Digest } from '../bytes/units.ts';
import { ImagerError, invalid } from '../errors.ts';
import type { PcrSigner, Profile, SecureBootAssets, SecureBootSigner as SignerFields } from '../profiles/profile.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import { checkPinned, digestOfContent } from './input-digest.ts';
import type { PlannedInput, PlanOptions } from './plan.ts';
import type { Workplace } from './workplace.ts';

/** Keys and certificates in PEM are far smaller. */
const PEM_LIMIT = 64 * 1024;

/** Signed EFI variables with a handful of certificates. */
const DATABASE_LIMIT = 1 << 20;

/** Who signs, and what is enrolled where it is not made from the signer's certificate. */
export interface SecureBoot {
  readonly signer: SecureBootSigner;
  readonly pcrKey: SigningKey;
  readonly databases?: EnrollmentKeys;
}

/** Nothing is signed for these kinds, whatever the profile says. */
const UNSIGNED_KINDS: readonly string[] = ['cmdline', 'kernel', 'initramfs'];

/** Whether anything of the output is signed. */
export function needsSigning({ secureboot, output }: Pick<Profile, 'secureboot' | 'output'>): boolean {
  return secureboot === true && !UNSIGNED_KINDS.includes(output.kind);
}

/**
 * Read once for a whole build, and held to what was `planned`; `undefined` for a build without SecureBoot. Throws `dependency` for keys that cannot be had or used and files that are not there, as
 * upstream's exit codes have it, `invalid-input` for some of three databases, `verification` for what changed since it was planned.
 */
export async function acquireSecureBoot(
  workplace: Workplace,
  profile: FinalProfile,
  planned: readonly PlannedInput[],
): Promise<SecureBoot | undefined> {
  if (!needsSigning(profile)) return undefined;
  const secureBoot = await readSecureBoot(workplace, profile);
  const roles = rolesOf(profile);
  const wanted = planned.filter(({ role }) => roles.some((one) => one.role === role));
  for (const [index, digest] of (await digestsOf(workplace, secureBoot)).entries()) {
    const { role, path } = roles[index]!;
    checkPinned(`${role} ${path}`, digest, wanted[index]?.digest ?? undefined);
  }
  return secureBoot;
}

async function readSecureBoot(workplace: Workplace, profile: FinalProfile): Promise<SecureBoot> {
  const assets = assetsOf(profile);
  const paths = databasePaths(assets);
  const keys = {
    signer: await asDependency('SecureBoot signer', () => signerOf(workplace, assets.secureBootSigner)),
    pcrKey: await asDependency('PCR signer', () => pcrKeyOf(workplace, assets.pcrSigner)),
  };
  if (paths === undefined) return keys;
  const [platformKey, keyExchangeKey, signatureDatabase] = await Promise.all(
    paths.map((path) => asDependency('SecureBoot database', () => databaseAt(workplace, path))),
  );
  const databases = {
    platformKey: platformKey!,
    keyExchangeKey: keyExchangeKey!,
    signatureDatabase: signatureDatabase!,
  };
  return { ...keys, databases };
}

/** PK, KEK and db: made from the signer's certificate, or the ones the profile names. `time` in seconds since 1970. */
export async function enrolledKeys(
  { platform }: Workplace,
  { signer, databases }: SecureBoot,
  time: number,
): Promise<EnrollmentKeys> {
  return databases ?? enrollmentKeys(platform, signer, time);
}

/** The files that get into the output, in the order of `digestsOf`. */
function rolesOf(profile: FinalProfile): Omit<PlannedInput, 'digest'>[] {
  const assets = assetsOf(profile);
  return [
    { role: 'secureboot-certificate', path: assets.secureBootSigner.certPath },
    { role: 'pcr-key', path: assets.pcrSigner.keyPath },
    ...(databasePaths(assets) ?? []).map((path) => ({ role: 'secureboot-database', path }) as const),
  ];
}

/** Of what of the keys gets into the output, not of their files. */
async function digestsOf(workplace: Workplace, { signer, pcrKey, databases }: SecureBoot): Promise<Digest[]> {
  const { platformKey, keyExchangeKey, signatureDatabase } = databases ?? {};
  const variables = [platformKey, keyExchangeKey, signatureDatabase].filter((variable) => variable !== undefined);
  const contents = [ofMemory(signer.certificate), ofMemory(pcrKey.publicKey), ...variables];
  return Promise.all(contents.map((content) => digestOfContent(workplace, content)));
}

/** Keys as inputs of the plan: by path and by the digest of what of them gets into the output. Throws as `acquireSecureBoot`. */
export async function planSecureBoot(
  workplace: Workplace,
  profile: FinalProfile,
  { resolve }: PlanOptions,
): Promise<PlannedInput[]> {
  if (!needsSigning(profile) || unsupportedSigning(profile).length > 0) return [];
  const roles = rolesOf(profile);
  if (!resolve) return roles.map((input) => ({ ...input, digest: null }));
  const digests = await digestsOf(workplace, await readSecureBoot(workplace, profile));
  return roles.map((input, index) => ({ ...input, digest: digests[index]! }));
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
