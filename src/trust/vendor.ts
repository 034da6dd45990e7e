/** Whom the Talos vendor's images must be signed by (spec factory-and-signatures I1; the vendor's page "Verifying Images"). */
import type { KeylessPolicy } from './policy.ts';

/** Older releases were signed by a person of the company, newer ones by the account of its release pipeline. */
const RELEASE_POLICY: KeylessPolicy = {
  kind: 'keyless',
  subjectRegExp: '@siderolabs\\.com$|^releasemgr-svc@talos-production\\.iam\\.gserviceaccount\\.com$',
  issuer: 'https://accounts.google.com',
};

/** `undefined` for images of others. */
export function vendorPolicy({
  registry,
  repository,
}: {
  readonly registry: string;
  readonly repository: string;
}): KeylessPolicy | undefined {
  return registry === 'ghcr.io' && repository.startsWith('siderolabs/') ? RELEASE_POLICY : undefined;
}
