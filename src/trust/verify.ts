/** The verdict on an image: one signature that satisfies the policy is enough, and every other one is told of. */
import type { Digest } from '../bytes/units.ts';
import { ImagerError } from '../errors.ts';
import { type Check, type Reason, Refusal } from './check.ts';
import { collectSignatures, type SignatureSource } from './collect.ts';
import { compilePolicy } from './compile-policy.ts';
import type { Place } from './evidence.ts';
import { type Judgement, judge } from './judge.ts';
import type { SignaturePolicy } from './policy.ts';
import type { TrustedRoot } from './trusted-root.ts';

/** One signature and what became of it. */
export interface SignatureReport extends Judgement {
  readonly place: Place;
  /** Of the manifest that holds it. */
  readonly manifest: string;
  readonly reason: Reason;
}

export interface VerificationReport {
  readonly verdict: 'accept' | 'refuse';
  readonly reason: Reason;
  readonly digest: Digest;
  /** In words. */
  readonly message: string;
  /** Of the signature that decided. */
  readonly checks: readonly Check[];
  readonly signatures: readonly SignatureReport[];
  readonly mode: 'key' | 'keyless';
  /** Where the trusted root came from. */
  readonly trustedRoot: string;
  readonly warnings: readonly string[];
}

/**
 * Looks for signatures of `digest` and judges them offline. Throws only where there is no verdict: `dependency` when the source cannot be
 * read, `invalid-input` for a policy that cannot be asked.
 */
export async function verifyImage(
  source: SignatureSource,
  digest: Digest,
  policy: SignaturePolicy,
  root: TrustedRoot,
): Promise<VerificationReport> {
  const compiled = compilePolicy(policy);
  const { candidates, failures } = await collectSignatures(source, digest);
  const signatures = candidates.map(({ place, manifest, evidence }): SignatureReport => {
    const judgement =
      evidence instanceof Refusal ? refused(evidence) : judge(evidence, digest, compiled, root.material);
    const failed = judgement.checks.find(({ passed }) => !passed);
    return { place, manifest, reason: failed?.name ?? 'ok', ...judgement };
  });
  const good = signatures.find(({ accepted }) => accepted);
  const [failure] = failures;
  if (good === undefined && failure !== undefined) throw failure;
  // Of several that fail, the one that came furthest is the one somebody meant.
  const best = good ?? signatures.toSorted((a, b) => b.checks.length - a.checks.length)[0];
  return {
    verdict: good === undefined ? 'refuse' : 'accept',
    reason: best?.reason ?? 'no-signature',
    digest,
    message: messageOf(best, signatures.length),
    checks: best?.checks ?? [],
    signatures,
    mode: policy.kind,
    trustedRoot: root.origin,
    warnings: compiled.warnings,
  };
}

/** Refusals that may be about an old root: of keys it does not know, or not as valid then. */
const OF_THE_ROOT: readonly Reason[] = ['log-key', 'certificate-chain', 'sct', 'timestamp'];

/** Whether a newer trusted root may lead to another verdict. */
export function mayNeedNewerRoot({ verdict, signatures }: VerificationReport): boolean {
  return verdict === 'refuse' && signatures.some(({ reason }) => OF_THE_ROOT.includes(reason));
}

/** Throws `verification` for a refusal, naming `what`, the check and what it wanted; `demand` is what asked for a signature. */
export function requireAccepted(report: VerificationReport, what: string, demand: string): void {
  if (report.verdict === 'accept') return;
  throw new ImagerError('verification', `${what}: ${report.message}, wanted by ${demand}`, {
    hint:
      report.reason === 'no-signature'
        ? 'want a cosign signature of this digest; --allow-unsigned says that none is needed'
        : `imager verify ${what} shows every check`,
  });
}

function refused(refusal: Refusal): Judgement {
  return { accepted: false, checks: [{ name: refusal.check, passed: false, detail: refusal.message }] };
}

function messageOf(best: SignatureReport | undefined, count: number): string {
  if (best === undefined) return 'no signature';
  if (best.accepted) return `signed by ${best.subject ?? 'the key'}`;
  const failed = best.checks.at(-1);
  const others = count > 1 ? ` (the best of ${count} signatures)` : '';
  return `signature refused: ${failed?.name}: ${failed?.detail}${others}`;
}
