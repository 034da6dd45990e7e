/** `imager verify`: the verdict on the signatures of one image. */

import { type Digest, parseDigest } from '../bytes/units.ts';
import { exitCodeOf, ImagerError, invalid } from '../errors.ts';
import type { ImageSource } from '../oci/image-source.ts';
import { openLayout } from '../oci/local/layout.ts';
import { formatReference, identifierOf, parseReference } from '../oci/reference.ts';
import { signatureSource } from '../oci/signature-source.ts';
import { parseAssetSource } from '../pipeline/asset-source.ts';
import { sourceOfRepository } from '../pipeline/repository-source.ts';
import type { FoundRoot, RootFinder } from '../pipeline/root-finder.ts';
import { daysBetween } from '../pipeline/trusted-root.ts';
import { needsTrustedRoot, SIGN_PREDICATE, type SignaturePolicy } from '../trust/policy.ts';
import { nameForRules, rulingFor } from '../trust/rules.ts';
import { EMPTY_ROOT, parseTrustedRoot, TRUSTED_ROOT_LIMIT, type TrustedRoot } from '../trust/trusted-root.ts';
import { mayNeedNewerRoot, type VerificationReport, verifyImage } from '../trust/verify.ts';
import type { Io } from './io.ts';
import { rootFinderOf } from './root-source.ts';
import { transportOf } from './transport-flags.ts';
import { KEY_LIMIT } from './trust-flags.ts';
import type { VerifyFlags } from './verify-flags.ts';

/** Exit 0 for a good signature, that of failed verifications otherwise. */
export async function runVerify(flags: VerifyFlags, io: Io): Promise<number> {
  const { report, rootDate } = await judgeImage(flags, io);
  for (const warning of report.warnings) io.stderr.write(`warning: ${warning}\n`);
  const age = rootDate === undefined ? undefined : daysBetween(rootDate, io.now());
  io.stdout.write(
    flags.json === true
      ? `${JSON.stringify({ ...report, ...(age === undefined ? {} : { trustedRootAgeDays: age }) }, null, 2)}\n`
      : formatReport(flags.image, report, age),
  );
  return report.verdict === 'accept' ? 0 : exitCodeOf(new ImagerError('verification', report.message));
}

interface Judged {
  readonly report: VerificationReport;
  /** Of the trusted root, seconds since 1970; unknown of files. */
  readonly rootDate: number | undefined;
}

async function judgeImage(flags: VerifyFlags, io: Io): Promise<Judged> {
  const policy = await policyOf(flags, io);
  const { source, digest } = await locate(flags, io);
  const { renewed, ...found } = await rootOf(flags, policy, io);
  const judge = async ({ root, date: rootDate, warnings }: RootInUse): Promise<Judged> => {
    const report = await verifyImage(signatureSource(io.platform, source, io.signal), digest, policy, root);
    return { report: { ...report, warnings: [...report.warnings, ...warnings] }, rootDate };
  };
  try {
    const judged = await judge(found);
    const newer = mayNeedNewerRoot(judged.report) ? await renewed?.() : undefined;
    return newer === undefined ? judged : await judge(inUse(newer));
  } catch (error) {
    if (!(error instanceof ImagerError) || (error.code !== 'invalid-input' && error.code !== 'unsupported'))
      throw error;
    // What cannot be asked of any signature is a verdict too: nobody could pass it.
    return { report: unanswerable(digest, policy, found.root, error.message), rootDate: found.date };
  }
}

function unanswerable(
  digest: Digest,
  { kind: mode }: SignaturePolicy,
  { origin: trustedRoot }: TrustedRoot,
  message: string,
): VerificationReport {
  const checks = [{ name: 'policy', passed: false, detail: message }] as const;
  return {
    verdict: 'refuse',
    reason: 'policy',
    digest,
    message,
    checks,
    signatures: [],
    mode,
    trustedRoot,
    warnings: [],
  };
}

interface Located {
  readonly source: ImageSource;
  readonly digest: Digest;
}

async function locate(flags: VerifyFlags, io: Io): Promise<Located> {
  const { image, from } = flags;
  const isDigest = image.startsWith('sha256:');
  if (from !== undefined) {
    const place = parseAssetSource(from);
    if (place.kind !== 'layout') throw invalid(`flag --from "${from}": want oci:DIR`);
    const source = await openLayout(io.platform, place.directory);
    if (isDigest) return { source, digest: parseDigest(image) };
    const reference = parseReference(image);
    const { digest } = reference;
    return { source, digest: digest ?? (await source.manifest(formatReference(reference), io.signal)).digest };
  }
  if (isDigest) {
    throw invalid(`image "${image}": a digest alone does not say where its signatures are, want a reference`, {
      hint: 'with --from oci:DIR they are taken from that layout',
    });
  }
  const reference = parseReference(image);
  const transport = await transportOf(flags, io.platform);
  const source = await sourceOfRepository(io.platform, { ...transport, offline: false }, reference);
  return { source, digest: (await source.manifest(identifierOf(reference), io.signal)).digest };
}

async function policyOf(flags: VerifyFlags, io: Io): Promise<SignaturePolicy> {
  const common = {
    ...(flags.tlog === undefined ? {} : { transparencyLog: flags.tlog }),
    ...(flags.timestamp === undefined ? {} : { timestamp: flags.timestamp }),
    ...(flags.annotation === undefined ? {} : { annotations: flags.annotation }),
    ...(flags.requireReference === undefined ? {} : { requireReference: flags.requireReference }),
    predicateType: flags.predicateType ?? SIGN_PREDICATE,
  };
  const { verifyIdentity, verifyIdentityRegexp, verifyIssuer, verifyIssuerRegexp } = flags;
  const identity = {
    ...(verifyIdentity === undefined ? {} : { subject: verifyIdentity }),
    ...(verifyIdentityRegexp === undefined ? {} : { subjectRegExp: verifyIdentityRegexp }),
    ...(verifyIssuer === undefined ? {} : { issuer: verifyIssuer }),
    ...(verifyIssuerRegexp === undefined ? {} : { issuerRegExp: verifyIssuerRegexp }),
  };
  const wantsIdentity = Object.keys(identity).length > 0;
  if (flags.verifyKey !== undefined) {
    if (wantsIdentity) throw new ImagerError('usage', 'flags --verify-key and --verify-identity: want one of them');
    const publicKeyPem = new TextDecoder().decode(await io.platform.files.read(flags.verifyKey, KEY_LIMIT));
    return { kind: 'key', publicKeyPem, ...(flags.signatureHash && { hash: flags.signatureHash }), ...common };
  }
  const sct = flags.sct === undefined ? {} : { sct: flags.sct };
  if (wantsIdentity) return { kind: 'keyless', ...identity, ...sct, ...common };
  const vendor = builtInPolicy(flags.image);
  if (vendor === undefined) {
    throw new ImagerError('usage', `${flags.image}: who must have signed it?`, {
      hint: 'say it with --verify-key FILE, or with --verify-identity and --verify-issuer',
    });
  }
  return vendor.kind === 'keyless' ? { ...vendor, ...sct, ...common } : { ...vendor, ...common };
}

/** Of the vendor's images; a digest alone has no name. */
function builtInPolicy(image: string): SignaturePolicy | undefined {
  if (image.startsWith('sha256:')) return undefined;
  const { demand } = rulingFor(nameForRules(parseReference(image)), []);
  return demand.kind === 'signed' ? demand.by[0] : undefined;
}

interface RootInUse {
  readonly root: TrustedRoot;
  readonly date?: number;
  readonly warnings: readonly string[];
}

function inUse({ document, origin, date, warnings }: FoundRoot): RootInUse {
  return { root: parseTrustedRoot(document, origin), date, warnings };
}

/** Where signatures come from a layout nothing is contacted. */
async function rootOf(
  flags: VerifyFlags,
  policy: SignaturePolicy,
  io: Io,
): Promise<RootInUse & Partial<Pick<RootFinder, 'renewed'>>> {
  const { trustedRoot, from, offline } = flags;
  if (trustedRoot !== undefined) {
    const data = await io.platform.files.read(trustedRoot, TRUSTED_ROOT_LIMIT);
    return { root: parseTrustedRoot(data, trustedRoot), warnings: [] };
  }
  if (!needsTrustedRoot(policy)) return { root: EMPTY_ROOT, warnings: [] };
  const finder = await rootFinderOf(flags, from !== undefined || offline === true, io);
  return { ...inUse(await finder.find()), renewed: finder.renewed };
}

function formatReport(image: string, report: VerificationReport, age: number | undefined): string {
  const lines = [`${report.verdict === 'accept' ? 'good' : 'refused'}: ${image}`, `  digest        ${report.digest}`];
  const good = report.signatures.find(({ accepted }) => accepted);
  if (good?.subject !== undefined) lines.push(`  signed by     ${good.subject}`, `  vouched for   ${good.issuer}`);
  if (good?.logIndex !== undefined) lines.push(`  log entry     ${good.logIndex}`);
  if (good?.trustedTime !== undefined) {
    lines.push(`  signed at     ${new Date(good.trustedTime * 1000).toISOString()}`);
  }
  if (report.mode === 'keyless') lines.push(`  trusted root  ${report.trustedRoot}${ageText(age)}`);
  lines.push(
    ...report.signatures.flatMap(({ place, manifest, checks }) => [
      `  signature     ${place} ${manifest}`,
      ...checks.map(({ name, passed, detail }) => `    ${passed ? 'ok    ' : 'FAILED'}  ${name}: ${detail}`),
    ]),
  );
  if (report.verdict === 'refuse') lines.push(`  ${report.message}`);
  return `${lines.join('\n')}\n`;
}

function ageText(days: number | undefined): string {
  if (days === undefined) return '';
  return `, ${days} day${days === 1 ? '' : 's'} old`;
}
