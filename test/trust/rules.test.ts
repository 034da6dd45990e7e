import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseReference } from '../../src/oci/reference.ts';
import type { SignaturePolicy } from '../../src/trust/policy.ts';
import { nameForRules, rulingFor, type TrustRule } from '../../src/trust/rules.ts';

const POLICY: SignaturePolicy = { kind: 'keyless', subject: 'a', issuer: 'b' };
const signed = (pattern: string): TrustRule => ({ pattern, demand: { kind: 'signed', by: [POLICY] }, origin: 'test' });

/** Every spelling of one image falls under every spelling of the rule. */
const SPELLINGS: readonly (readonly [images: readonly string[], patterns: readonly string[]])[] = [
  [
    [
      'team/app',
      'docker.io/team/app',
      'index.docker.io/team/app',
      'registry-1.docker.io/team/app',
      'docker.io:443/team/app',
    ],
    ['docker.io/team/*', 'index.docker.io/team/app', 'registry-1.docker.io/*', '*/team/app'],
  ],
  [
    ['alpine', 'docker.io/alpine', 'docker.io/library/alpine', 'registry-1.docker.io/alpine'],
    ['docker.io/library/alpine', 'docker.io/alpine', 'index.docker.io/library/*'],
  ],
  [
    ['r.example/a/b', 'r.example:443/a/b'],
    ['r.example/a/*', 'r.example:443/a/b'],
  ],
];

for (const [images, patterns] of SPELLINGS) {
  test(`${images[0]} by whichever name`, () => {
    for (const image of images) {
      for (const pattern of patterns) {
        const { demand, because } = rulingFor(nameForRules(parseReference(image)), [signed(pattern)]);
        assert.equal(demand.kind, 'signed', `${image} under ${pattern}`);
        assert.equal(because, `${pattern} (test)`);
      }
    }
  });
}

test('another port is another registry, and a longer spelling is not more specific', () => {
  const { demand } = rulingFor(nameForRules(parseReference('r.example:444/a/b')), [signed('r.example/*')]);
  assert.equal(demand.kind, 'unknown');
  const unsigned: TrustRule = { pattern: 'registry-1.docker.io/team/*', demand: { kind: 'unsigned' }, origin: 'test' };
  const name = nameForRules(parseReference('team/app'));
  assert.equal(rulingFor(name, [unsigned, signed('docker.io/team/a*')]).demand.kind, 'signed');
});
