/** Whether an image may be used: what the rules demand of its name, and whether its signatures give it. */
import type { Digest } from '../bytes/units.ts';
import { ImagerError } from '../errors.ts';
import type { ImageSource } from '../oci/image-source.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import { keepSignatures, keptSignatures } from '../oci/store/signatures.ts';
import { needsTrustedRoot, type SignaturePolicy } from '../trust/policy.ts';
import { nameForRules, rulingFor, type TrustRule } from '../trust/rules.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import type { VerificationReport } from '../trust/verify.ts';
import type { RootFinder } from './root-finder.ts';
import type { Workplace } from './workplace.ts';

/** Who has to have signed what; without it only the vendor's images are known. */
export interface TrustSettings {
  /** Of policy files and flags; they come before the built-in ones where they are as specific. */
  readonly rules: readonly TrustRule[];
  /** Of images that no rule names. */
  readonly otherwise: readonly SignaturePolicy[];
  /** Path of a trusted root in JSON. */
  readonly trustedRoot?: string;
  /** Where there is no such file; without it the built-in root of the public instance counts, however old. */
  readonly root?: RootFinder;
}

/** What was found out about an image, for the plan and its reader. */
export interface ImageVerification {
  /** `registry/repository`. */
  readonly image: string;
  /** As `formatReference` writes what it was asked by. */
  readonly reference: string;
  /** Of what the name led to: an index or a manifest. */
  readonly digest: Digest;
  /** The rule that decided. */
  readonly rule: string;
  readonly status: 'verified' | 'not verified';
  readonly mode?: 'key' | 'keyless';
  readonly subject?: string;
  readonly issuer?: string;
  readonly logIndex?: number;
  /** When it was signed for sure, seconds since 1970. */
  readonly signedAt?: number;
  /** Where the trusted root came from. */
  readonly trustedRoot?: string;
}

/** Told of every image that may be used, before it is. */
export type OnVerification = (verification: ImageVerification, warnings: readonly string[]) => void;

/** Those that the store has from an earlier time may serve too, unless the question is what `source` has. */
export type WhichSignatures = 'kept or served' | 'served';

/**
 * Returns when `digest`, which is what `reference` names now, may be used. `source` is absent where nothing may be contacted: then the signatures that
 * were kept with the image are judged, by the rules of today. Throws `verification` for an image nobody vouches for (unknown, unsigned, or
 * with signatures that fail, each naming its check), `dependency` when signatures cannot be had.
 */
export async function verifyUse(
  workplace: Workplace,
  reference: Reference,
  digest: Digest,
  source: ImageSource | undefined,
  signatures: WhichSignatures = 'kept or served',
): Promise<void> {
  const { trust = { rules: [], otherwise: [] }, onVerification = () => undefined } = workplace;
  const image = nameForRules(reference);
  const ruling = rulingFor(image, trust.rules, trust.otherwise);
  const common = { image, reference: formatReference(reference), digest, rule: ruling.because };
  switch (ruling.demand.kind) {
    case 'unknown':
      throw unknownSigner(image);
    case 'unsigned':
      onVerification({ ...common, status: 'not verified' }, ruling.warning === undefined ? [] : [ruling.warning]);
      return;
    case 'signed': {
      const report = await judged(workplace, trust, digest, source, ruling.demand.by, signatures);
      const { requireAccepted } = await import('../trust/verify.ts');
      requireAccepted(report, `${image}@${digest}`, `rule ${ruling.because}`);
      onVerification({ ...common, ...verificationOf(report) }, report.warnings);
    }
  }
}

function unknownSigner(image: string): ImagerError {
  return new ImagerError('verification', `${image}: no rule says who must have signed it`, {
    hint: `--verify-key or --verify-identity with --verify-issuer, a rule in --policy, or --allow-unsigned '${image}'`,
  });
}

/** By the first policy that it satisfies, else by the one it came nearest to. */
async function judged(
  workplace: Workplace,
  trust: TrustSettings,
  digest: Digest,
  source: ImageSource | undefined,
  policies: readonly SignaturePolicy[],
  which: WhichSignatures,
): Promise<VerificationReport> {
  const { platform, store, signal } = workplace;
  // Only builds from registries whose images are signed need these.
  const { mayNeedNewerRoot, verifyImage } = await import('../trust/verify.ts');
  const { parseTrustedRoot } = await import('../trust/trusted-root.ts');
  const { recordSignatures, replaySignatures } = await import('../trust/record.ts');
  const judgeBy = async (
    signatures: Parameters<typeof verifyImage>[0],
    { root, warnings }: RootWithWarnings,
  ): Promise<VerificationReport> => {
    const reports: VerificationReport[] = [];
    for (const policy of policies) {
      const judgement = await verifyImage(signatures, digest, policy, root);
      const report = { ...judgement, warnings: [...judgement.warnings, ...warnings] };
      if (report.verdict === 'accept') return report;
      reports.push(report);
    }
    return reports.toSorted((a, b) => b.checks.length - a.checks.length)[0]!;
  };
  const found = await rootFor(workplace, trust, policies);
  const judge = async (signatures: Parameters<typeof verifyImage>[0]): Promise<VerificationReport> => {
    const report = await judgeBy(signatures, found);
    if (!mayNeedNewerRoot(report) || trust.trustedRoot !== undefined) return report;
    const newer = await trust.root?.renewed();
    if (newer === undefined) return report;
    return judgeBy(signatures, { root: parseTrustedRoot(newer.document, newer.origin), warnings: newer.warnings });
  };
  const kept = which === 'served' ? undefined : await keptSignatures(platform, store, digest);
  if (kept !== undefined) {
    const report = await judge(replaySignatures(kept)).catch(onlyDependency);
    if (report?.verdict === 'accept' || (report !== undefined && source === undefined)) return report;
  }
  if (source === undefined) {
    throw new ImagerError(
      'dependency',
      `${digest}: its signatures are not in the store, and offline there is no other place`,
      {
        hint: 'build once without --offline',
      },
    );
  }
  const { signatureSource } = await import('../oci/signature-source.ts');
  const recording = recordSignatures(signatureSource(platform, source, signal));
  const report = await judge(recording.source);
  if (report.verdict === 'accept' && which !== 'served')
    await keepSignatures(platform, store, digest, recording.record);
  return report;
}

/** A record from before something was looked at is as good as none. */
function onlyDependency(error: unknown): undefined {
  if (!(error instanceof ImagerError) || error.code !== 'dependency') throw error;
  return undefined;
}

interface RootWithWarnings {
  readonly root: TrustedRoot;
  readonly warnings: readonly string[];
}

async function rootFor(
  { platform }: Workplace,
  { trustedRoot: path, root }: TrustSettings,
  policies: readonly SignaturePolicy[],
): Promise<RootWithWarnings> {
  const { EMPTY_ROOT, parseTrustedRoot, TRUSTED_ROOT_LIMIT } = await import('../trust/trusted-root.ts');
  if (!policies.some(needsTrustedRoot)) return { root: EMPTY_ROOT, warnings: [] };
  if (path !== undefined) {
    return { root: parseTrustedRoot(await platform.files.read(path, TRUSTED_ROOT_LIMIT), path), warnings: [] };
  }
  if (root !== undefined) {
    const { document, origin, warnings } = await root.find();
    return { root: parseTrustedRoot(document, origin), warnings };
  }
  return { root: (await import('../trust/public-good.ts')).publicGoodRoot(), warnings: [] };
}

/** `host[:port]` that may be contacted for the root that these images are judged by; none where no identity has to be. */
export function hostsOfRoot({ trust }: Workplace, images: readonly Reference[]): readonly string[] {
  if (trust === undefined || trust.trustedRoot !== undefined || trust.root === undefined) return [];
  const isAsked = images.some((reference) => {
    const { demand } = rulingFor(nameForRules(reference), trust.rules, trust.otherwise);
    return demand.kind === 'signed' && demand.by.some(needsTrustedRoot);
  });
  return isAsked ? trust.root.hosts : [];
}

function verificationOf(
  report: VerificationReport,
): Omit<ImageVerification, 'image' | 'reference' | 'digest' | 'rule'> {
  const good = report.signatures.find(({ accepted }) => accepted);
  return {
    status: 'verified',
    mode: report.mode,
    ...(good?.subject === undefined ? {} : { subject: good.subject }),
    ...(good?.issuer === undefined ? {} : { issuer: good.issuer }),
    ...(good?.logIndex === undefined ? {} : { logIndex: good.logIndex }),
    ...(good?.trustedTime === undefined ? {} : { signedAt: good.trustedTime }),
    ...(report.mode === 'keyless' ? { trustedRoot: report.trustedRoot } : {}),
  };
}
