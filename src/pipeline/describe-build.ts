/** A plan as a report tells it: everything that decided, nothing that is secret. */
import { formatReference, parseReference } from '../oci/reference.ts';
import {
  formatTime,
  type ReportedBuild,
  type ReportedImage,
  type ReportedInput,
  type ReportedVerification,
} from '../report/build-report.ts';
import type { JsonValue } from '../report/json.ts';
import { redactArguments, redactProfile } from '../report/redact.ts';
import { nameForRules } from '../trust/rules.ts';
import type { Plan, PlannedInput } from './plan.ts';
import { planDigest } from './plan-digest.ts';
import type { ImageVerification } from './verify-image.ts';

/** Throws `RangeError` for a plan that was not resolved. */
export function describeBuild(plan: Plan): ReportedBuild {
  const { profile, epoch, cmdline, compression, inputs, verifications, warnings, outputs } = plan;
  return {
    kind: outputs[0]!.kind,
    architecture: profile.arch,
    platform: profile.platform,
    talosVersion: profile.version,
    planDigest: planDigest(plan),
    epoch,
    cmdline: redactArguments(cmdline),
    parameters: {
      profile: redactProfile(profile),
      ...(compression === undefined ? {} : { compression: { ...compression } as { [name: string]: JsonValue } }),
    },
    inputs: inputs.map((input) => describeInput(input, verifications)),
    warnings: warnings.map(redactArguments),
  };
}

/** What tells an input from others. Throws `RangeError` for one without a digest. */
export function reportedOrigin({
  role,
  reference,
  path,
  digest,
}: PlannedInput): Pick<ReportedInput, 'role' | 'from' | 'digest'> {
  if (digest === null) throw new RangeError(`plan is not resolved: ${role} has no digest`);
  return { role, from: reference ?? path ?? '', digest };
}

function describeInput(input: PlannedInput, verifications: readonly ImageVerification[]): ReportedInput {
  const image = imageOf(input, verifications);
  return { ...reportedOrigin(input), ...(image === undefined ? {} : { image }) };
}

/** `oci:DIR` and its like are no registry's. */
const LOCAL = /^(?:oci|oci-archive|docker-archive|dir|tar):/;

function imageOf({ reference }: PlannedInput, verifications: readonly ImageVerification[]): ReportedImage | undefined {
  if (reference === undefined || LOCAL.test(reference)) return undefined;
  const parsed = parseReference(reference);
  const verification = verifications.find((one) => one.reference === formatReference(parsed));
  return {
    repository: nameForRules(parsed),
    ...(parsed.tag === undefined ? {} : { tag: parsed.tag }),
    ...(verification === undefined ? {} : { verification: describeVerification(verification) }),
  };
}

function describeVerification(verification: ImageVerification): ReportedVerification {
  const { image: _, reference: __, signedAt, ...rest } = verification;
  return { ...rest, ...(signedAt === undefined ? {} : { signedAt: formatTime(signedAt) }) };
}
