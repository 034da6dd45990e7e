/** Whom the Talos vendor's images must be signed by (spec factory-and-signatures I1; the vendor's page "Verifying Images"). */
import type { KeylessPolicy } from './policy.ts';

/** Of `registry/repository`. */
export const VENDOR_PATTERN = 'ghcr.io/siderolabs/*';

/** Older releases were signed by a person of the company, newer ones by the account of its release pipeline. */
export const VENDOR_POLICY: KeylessPolicy = {
  kind: 'keyless',
  subjectRegExp: '@siderolabs\\.com$|^releasemgr-svc@talos-production\\.iam\\.gserviceaccount\\.com$',
  issuer: 'https://accounts.google.com',
};
