/** `imager verify` over layouts that hold the signatures of the vectors, and nothing else. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { imager, scratch } from '../support/command-line.ts';
import { blobOf, type CosignCase, cosignCases, sha256 } from '../support/cosign-cases.ts';

const space = await scratch();
after(() => space[Symbol.asyncDispose]());

const CASES = cosignCases();

describe('cases of the vectors from a layout', () => {
  for (const one of CASES) {
    test(one.id, async () => {
      const { code, text, stderr } = await imager([...(await argumentsOf(one)), '--json']);
      const report = JSON.parse(text);
      const { verdict, either } = one.expect;
      if (either !== true) assert.equal(report.verdict, verdict, report.message);
      assert.equal(code, report.verdict === 'accept' ? 0 : 5, stderr);
      assert.equal(report.digest, one.image.digest);
      if (report.reason === 'no-signature') assert.deepEqual(report.checks, []);
      else assert.equal(report.checks.at(-1).passed, report.verdict === 'accept');
    });
  }
});

test('a report for people names who signed, when, and every check', async () => {
  const { code, text } = await imager(await argumentsOf(caseOf('seed-good')));
  assert.equal(code, 0);
  assert.match(text, /^good: sha256:f41795cc/);
  assert.match(text, /signed by {5}andrey\.smirnov@siderolabs\.com\n/);
  assert.match(text, /log entry {5}18304044\n/);
  assert.match(text, /signed at {5}2023-04-18T18:37:02\.000Z\n/);
  assert.match(text, /ok {6}identity:/);
});

test('a refusal says which check failed, what was found and what was wanted', async () => {
  const { code, text } = await imager(await argumentsOf(caseOf('seed-wrong-issuer')));
  assert.equal(code, 5);
  assert.match(text, /^refused: /);
  assert.match(
    text,
    /FAILED {2}identity: identity vouched for by "https:\/\/accounts\.google\.com", want "https:\/\/token/,
  );
});

test('the vendor’s images are judged by the built-in identity and root', async () => {
  const one = caseOf('seed-good');
  const { directory } = await layoutOf(one);
  const image = `ghcr.io/siderolabs/installer@${one.image.digest}`;
  const { code, text, stderr } = await imager(['verify', image, '--from', `oci:${directory}`]);
  assert.equal(code, 0, text + stderr);
  assert.match(text, /trusted root {2}built in, of the public Sigstore instance, version \d+/);
});

const DIGEST = `sha256:${'a'.repeat(64)}`;

const USAGE: readonly (readonly [args: readonly string[], code: number, message: RegExp])[] = [
  [[DIGEST, '--verify-key', 'LAYOUT/index.json'], 2, /a digest alone does not say where its signatures are/],
  [[`registry.example/a/b@${DIGEST}`, '--from', 'oci:LAYOUT'], 1, /who must have signed it\?/],
  [[DIGEST, '--from', 'dir:x', '--verify-key', 'LAYOUT/index.json'], 2, /flag --from "dir:x": want oci:DIR/],
  [[DIGEST, '--from', 'oci:LAYOUT', '--verify-identity', 'x'], 5, /identity without issuer/],
  [['a/b', '--verify-key', 'k', '--verify-identity', 'x', '--from', 'oci:LAYOUT'], 1, /want one of them/],
  [['a/b', '--annotation', 'x'], 1, /flag --annotation "x": want KEY=VALUE/],
  [['a/b', '--tlog', 'maybe'], 1, /maybe/],
  [[], 1, /image/],
];

for (const [args, wanted, message] of USAGE) {
  test(`verify ${args.join(' ')}`, async () => {
    const { directory } = await layoutOf(caseOf('seed-good'));
    const { code, text, stderr } = await imager(['verify', ...args.map((arg) => arg.replace('LAYOUT', directory))]);
    assert.match(text + stderr, message);
    assert.equal(code, wanted, text + stderr);
  });
}

function caseOf(id: string): CosignCase {
  const found = CASES.find((one) => one.id === id);
  assert.ok(found, id);
  return found;
}

async function argumentsOf(one: CosignCase): Promise<string[]> {
  const { directory, file } = await layoutOf(one);
  const { policy, image } = one;
  const flag = (name: string, value: string | undefined): string[] => (value === undefined ? [] : [`--${name}`, value]);
  const signer =
    policy.kind === 'key'
      ? [...flag('verify-key', await file('key.pem', policy.publicKeyPem)), ...flag('signature-hash', policy.hash)]
      : [
          ...flag('verify-identity', policy.subject),
          ...flag('verify-identity-regexp', policy.subjectRegExp),
          ...flag('verify-issuer', policy.issuer),
          ...flag('verify-issuer-regexp', policy.issuerRegExp),
          ...flag('sct', policy.sct),
        ];
  const root = one.trustedRoot === null ? undefined : await file('root.json', JSON.stringify(one.trustedRoot));
  return [
    'verify',
    image.digest,
    ...flag('from', `oci:${directory}`),
    ...flag('trusted-root', root),
    ...signer,
    ...Object.entries(policy.annotations ?? {}).flatMap(([name, value]) => ['--annotation', `${name}=${value}`]),
    ...flag('predicate-type', policy.predicateType),
    ...flag('require-reference', policy.requireReference),
    ...flag('tlog', policy.transparencyLog),
    ...flag('timestamp', policy.timestamp),
  ];
}

/** The manifests of a case by tag and digest, and their blobs. */
async function layoutOf({ id, registry }: CosignCase): Promise<{
  readonly directory: string;
  readonly file: (name: string, text: string) => Promise<string>;
}> {
  const directory = space.path(id);
  const blobs = join(directory, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  const manifests = registry.manifests.map(({ tag, mediaType, digest, text }) => ({
    mediaType,
    digest,
    size: Buffer.byteLength(text),
    ...(tag === undefined ? {} : { annotations: { 'org.opencontainers.image.ref.name': tag } }),
  }));
  for (const { text } of registry.manifests) await writeFile(join(blobs, sha256(text).slice(7)), text);
  for (const [digest, blob] of Object.entries(registry.blobs))
    await writeFile(join(blobs, digest.slice(7)), blobOf(blob));
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  return {
    directory,
    async file(name, text) {
      const path = join(directory, name);
      await writeFile(path, text);
      return path;
    },
  };
}
