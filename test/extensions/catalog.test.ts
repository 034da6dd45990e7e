import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findExtension, noExtension, parseCatalog, parseWantedExtension } from '../../src/extensions/catalog.ts';
import { rejected } from '../support/rejected.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const line = (name: string): string => `ghcr.io/${name}@${DIGEST}`;

const OFFICIAL = parseCatalog(
  [
    '# no digest, no entry',
    line('siderolabs/gvisor:20250505.0'),
    `  ${line('siderolabs/zfs:2.3.1-v1.13.0')} \r`,
    line('siderolabs/i915:v1'),
    '',
  ].join('\n'),
  'ghcr.io/siderolabs/extensions:v1.13.0',
);
const OWN = parseCatalog(line('acme/gvisor:v2').replace('ghcr.io', 'registry.example:5000'), 'own');

describe('names', () => {
  const cases: readonly (readonly [wanted: string, reference: string | undefined])[] = [
    ['siderolabs/gvisor', line('siderolabs/gvisor:20250505.0')],
    ['gvisor', line('siderolabs/gvisor:20250505.0')],
    ['gvisor@20250505.0', line('siderolabs/gvisor:20250505.0')],
    ['gvisor@20250505', undefined],
    ['zfs@2.3.1', line('siderolabs/zfs:2.3.1-v1.13.0')],
    ['i915-ucode', line('siderolabs/i915:v1')],
    ['siderolabs/i915-ucode', line('siderolabs/i915:v1')],
    ['acme/gvisor', line('acme/gvisor:v2').replace('ghcr.io', 'registry.example:5000')],
    ['acme/zfs', undefined],
  ];
  for (const [wanted, reference] of cases) {
    test(wanted, () => {
      assert.equal(findExtension([OWN, OFFICIAL], parseWantedExtension(wanted))?.reference, reference);
    });
  }

  test('are names', () => {
    for (const text of ['', '@v1', 'a@', 'a:v1', 'a b']) {
      assert.throws(() => parseWantedExtension(text), rejected('usage', /want NAME or NAME@VERSION/));
    }
  });
});

test('what is nowhere is told with all that was asked and what was probably meant', () => {
  const error = noExtension([OWN, OFFICIAL], parseWantedExtension('siderolabs/gvisr'));
  assert.equal(error.message, 'system extension siderolabs/gvisr: not in own, ghcr.io/siderolabs/extensions:v1.13.0');
  assert.equal(error.hint, 'did you mean siderolabs/gvisor?');
  assert.match(
    noExtension([OFFICIAL], parseWantedExtension('zfs@1')).message,
    /no version 1 in .*, there is 2\.3\.1-v1\.13\.0$/,
  );
});

test('an empty catalog is none', () => {
  assert.throws(() => parseCatalog('ghcr.io/x/y:v1\n', 'own'), rejected('invalid-input', /^catalog own: empty/));
});
