/** Changed signature material: whatever was changed, nothing is accepted that the signer did not sign. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Digest, parseDigest } from '../../src/bytes/units.ts';
import { ImagerError } from '../../src/errors.ts';
import { collectSignatures, type SignatureSource } from '../../src/trust/collect.ts';
import { EMPTY_ROOT, parseTrustedRoot, type TrustedRoot } from '../../src/trust/trusted-root.ts';
import { type VerificationReport, verifyImage } from '../../src/trust/verify.ts';
import { type CosignCase, cosignCases, signatureSourceOf } from '../support/cosign-cases.ts';
import { FUZZ_RUNS } from '../support/vectors.ts';

const GOOD: readonly CosignCase[] = cosignCases().filter(
  ({ id, expect }) => expect.verdict === 'accept' && expect.either !== true && !/regex|no-subject-constraint/.test(id),
);

test('mutated signatures are refused, or say what they said before', async () => {
  const random = xorshift(0x5eed);
  let refused = 0;
  for (let run = 0; run < FUZZ_RUNS; run += 1) {
    const one = GOOD[run % GOOD.length]!;
    const root = rootOf(one);
    const mutated = mutatedSource(signatureSourceOf(one), random);
    let report: VerificationReport;
    try {
      report = await verifyImage(mutated, digestOf(one), one.policy, root);
    } catch (error) {
      assert.ok(error instanceof ImagerError, String(error));
      refused += 1;
      continue;
    }
    if (report.verdict === 'refuse') refused += 1;
    else assert.equal(await acceptedContent(mutated, one, report), await originalContent(one), one.id);
  }
  // Some bytes carry no meaning: spaces, a certificate chain nobody reads. They are the minority.
  assert.ok(refused > FUZZ_RUNS / 2, `${refused} of ${FUZZ_RUNS} refused`);
});

test('a forged signature beside a good one does not hide it', async () => {
  const good = caseOf('legacy-good');
  const source = signatureSourceOf(good);
  const forged: SignatureSource = {
    ...source,
    referrers: async () => [{ digest: parseDigest(`sha256:${'a'.repeat(64)}`), size: 3 }],
    manifest: async (identifier) =>
      identifier.startsWith('sha256:')
        ? { digest: parseDigest(`sha256:${'a'.repeat(64)}`), raw: new TextEncoder().encode('{"layers":5') }
        : source.manifest(identifier),
  };
  const report = await verifyImage(forged, digestOf(good), good.policy, rootOf(good));
  assert.equal(report.verdict, 'accept');
  assert.deepEqual(
    report.signatures.map(({ place, reason }) => [place, reason]),
    [
      ['referrer', 'malformed'],
      ['signature-tag', 'ok'],
    ],
  );
});

test('a registry that refuses is neither a missing nor a bad signature', async () => {
  const good = caseOf('legacy-good');
  const refusing: SignatureSource = {
    ...signatureSourceOf(good),
    manifest: async () => {
      throw new ImagerError('dependency', 'registry.example: 401');
    },
  };
  await assert.rejects(verifyImage(refusing, digestOf(good), good.policy, rootOf(good)), { code: 'dependency' });
});

test('a place that cannot be read does not matter where another holds a good signature', async () => {
  const good = caseOf('legacy-good');
  const source: SignatureSource = {
    ...signatureSourceOf(good),
    referrers: async () => {
      throw new ImagerError('dependency', 'registry.example: 500');
    },
  };
  assert.equal((await verifyImage(source, digestOf(good), good.policy, rootOf(good))).verdict, 'accept');
});

test('a stopped build stays stopped', async () => {
  const good = caseOf('legacy-good');
  const stopped: SignatureSource = {
    ...signatureSourceOf(good),
    referrers: async () => {
      throw new ImagerError('canceled', 'stopped');
    },
  };
  await assert.rejects(verifyImage(stopped, digestOf(good), good.policy, rootOf(good)), { code: 'canceled' });
});

test('of very many signatures a hundred are looked at', async () => {
  const good = caseOf('bundle-good');
  const source = signatureSourceOf(good);
  const [descriptor] = await source.referrers(digestOf(good));
  let asked = 0;
  const many: SignatureSource = {
    ...source,
    referrers: async () => Array.from({ length: 5000 }, () => descriptor!),
    manifest: async () => {
      asked += 1;
      return undefined;
    },
  };
  const { failures } = await collectSignatures(many, digestOf(good));
  assert.equal(asked, 100 + 2);
  assert.match(
    failures.map(({ message }) => message).join('\n'),
    /: 5000 signatures, of which the first 100 were looked at$/,
  );
});

test('a layer whose digest is none is never asked for, and hides no other', async () => {
  const good = caseOf('legacy-good');
  const source = signatureSourceOf(good);
  const tag = `${digestOf(good).replace(':', '-')}.sig`;
  const { digest, raw } = (await source.manifest(tag))!;
  const document = JSON.parse(new TextDecoder().decode(raw)) as { readonly layers: readonly [{ digest: string }] };
  const hex = 'a'.repeat(64);
  const odd = [
    { digest: 'sha256:../../../secret', size: 10 },
    { digest: `sha256:${hex}/../../../../victim/tags/list?`, size: 10 },
    { digest: `sha512:${hex}`, size: 10 },
    { digest: `sha256:${hex}`, size: -1 },
    { digest: `sha256:${hex}`, size: 1.5 },
  ];
  const asked: string[] = [];
  const forged: SignatureSource = {
    ...source,
    async manifest(identifier) {
      if (identifier !== tag) return source.manifest(identifier);
      const layers = [...odd.map((one) => ({ ...document.layers[0], ...one })), ...document.layers];
      return { digest, raw: new TextEncoder().encode(JSON.stringify({ ...document, layers })) };
    },
    async blob(descriptor) {
      asked.push(descriptor.digest);
      return source.blob(descriptor);
    },
  };
  const report = await verifyImage(forged, digestOf(good), good.policy, rootOf(good));
  assert.deepEqual(asked, [document.layers[0].digest]);
  assert.deepEqual(
    report.signatures.map(({ reason }) => reason),
    [...odd.map(() => 'malformed'), 'ok'],
  );
});

test('timestamps of authorities nobody trusts do not matter to a key whose policy ignores them', async () => {
  for (const id of ['bundle-key-tsa', 'legacy-key-tsa']) {
    const one = caseOf(id);
    for (const timestamp of [undefined, 'ignore', 'require'] as const) {
      const { timestamp: _, ...policy } = one.policy;
      const asked = timestamp === undefined ? policy : { ...policy, timestamp };
      const { verdict } = await verifyImage(signatureSourceOf(one), digestOf(one), asked, EMPTY_ROOT);
      assert.equal(verdict, timestamp === 'require' ? 'refuse' : 'accept', `${id} ${timestamp}`);
    }
  }
});

/** What the accepted signature is over. */
async function acceptedContent(source: SignatureSource, one: CosignCase, report: VerificationReport): Promise<string> {
  const { candidates } = await collectSignatures(source, digestOf(one));
  const evidence = candidates[report.signatures.findIndex(({ accepted }) => accepted)]?.evidence;
  assert.ok(evidence !== undefined && 'signed' in evidence);
  return Buffer.from(evidence.signed).toString();
}

const ORIGINALS = new Map<string, string>();

async function originalContent(one: CosignCase): Promise<string> {
  const source = signatureSourceOf(one);
  const content =
    ORIGINALS.get(one.id) ??
    (await acceptedContent(source, one, await verifyImage(source, digestOf(one), one.policy, rootOf(one))));
  ORIGINALS.set(one.id, content);
  return content;
}

function mutatedSource(source: SignatureSource, random: () => number): SignatureSource {
  const target = random() % 2 === 0 ? 'manifest' : 'blob';
  // Whoever asks twice gets the same bytes twice.
  const changed = new Map<string, Uint8Array>();
  const change = (name: string, raw: Uint8Array): Uint8Array => {
    const bytes = changed.get(name) ?? mutated(raw, random);
    changed.set(name, bytes);
    return bytes;
  };
  return {
    ...source,
    async manifest(identifier) {
      const found = await source.manifest(identifier);
      return found !== undefined && target === 'manifest' ? { ...found, raw: change(identifier, found.raw) } : found;
    },
    async blob(descriptor) {
      const raw = await source.blob(descriptor);
      return target === 'blob' ? change(descriptor.digest, raw) : raw;
    },
  };
}

/** One to three changed, removed, doubled or swapped bytes; mostly such that the text around them stays a text. */
function mutated(raw: Uint8Array, random: () => number): Uint8Array {
  let bytes = Buffer.from(raw);
  const letters = 'ABCabc019+/=-_"{}[],:. \\';
  for (let count = 1 + (random() % 3); count > 0 && bytes.length > 1; count -= 1) {
    const at = random() % bytes.length;
    const kind = random() % 4;
    if (kind === 0) bytes[at] = letters.charCodeAt(random() % letters.length);
    else if (kind === 1) bytes[at] = (bytes[at]! ^ (1 << (random() % 8))) & 0xff;
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + (random() % 4))]);
    else bytes = Buffer.concat([bytes.subarray(0, at + 1 + (random() % 8)), bytes.subarray(at)]);
  }
  return new Uint8Array(bytes);
}

function xorshift(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

function caseOf(id: string): CosignCase {
  const found = GOOD.find((one) => one.id === id);
  assert.ok(found, id);
  return found;
}

function digestOf(one: CosignCase): Digest {
  return parseDigest(one.image.digest);
}

const ROOTS = new Map<string, TrustedRoot>();

function rootOf({ id, trustedRoot }: CosignCase): TrustedRoot {
  const root =
    ROOTS.get(id) ?? (trustedRoot === null ? EMPTY_ROOT : parseTrustedRoot(JSON.stringify(trustedRoot), 'root'));
  ROOTS.set(id, root);
  return root;
}
