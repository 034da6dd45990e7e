/** Signatures of both formats, good and forged, judged as upstream's programs and the specification judge them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseDigest } from '../../src/bytes/units.ts';
import { ImagerError } from '../../src/errors.ts';
import { EMPTY_ROOT, parseTrustedRoot } from '../../src/trust/trusted-root.ts';
import { verifyImage } from '../../src/trust/verify.ts';
import { type CosignCase, cosignCases, signatureSourceOf } from '../support/cosign-cases.ts';

/** Refused here as there, by a check that comes earlier here. */
const OTHER_REASONS: Readonly<Record<string, string>> = {
  // The log entry is compared with the payload before the signature is verified.
  'legacy-payload-altered': 'log-entry-mismatch',
  // The promise of an altered body fails before the body is compared.
  'seed-body-altered': 'log-promise',
};

describe('cosign vectors', () => {
  for (const one of cosignCases()) {
    test(`${one.id}: ${one.title}`, async () => {
      const found = await verdictOf(one);
      const { verdict, reason, either } = one.expect;
      if (either !== true) assert.equal(found.verdict, verdict, `${found.reason}: ${found.message}`);
      if (found.verdict === verdict) assert.equal(found.reason, OTHER_REASONS[one.id] ?? reason, found.message);
    });
  }
});

async function verdictOf(one: CosignCase): Promise<{ verdict: string; reason: string; message: string }> {
  const root = one.trustedRoot === null ? EMPTY_ROOT : parseTrustedRoot(JSON.stringify(one.trustedRoot), 'root');
  try {
    return await verifyImage(signatureSourceOf(one), parseDigest(one.image.digest), one.policy, root);
  } catch (error) {
    if (!(error instanceof ImagerError) || error.code !== 'invalid-input') throw error;
    return { verdict: 'refuse', reason: 'policy', message: error.message };
  }
}
