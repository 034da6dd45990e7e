import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOverlayCatalog } from '../../src/overlays/catalog.ts';
import { rejected } from '../support/rejected.ts';

const DIGEST = `sha256:${'b'.repeat(64)}`;

test('overlays by name', () => {
  const text = `overlays:\n  - name: rpi_generic\n    image: ghcr.io/siderolabs/sbc-raspberrypi:v0.1.0\n    digest: ${DIGEST}\n`;
  assert.deepEqual(parseOverlayCatalog(text, 'overlays.yaml'), [
    { name: 'rpi_generic', reference: `ghcr.io/siderolabs/sbc-raspberrypi:v0.1.0@${DIGEST}` },
  ]);
});

test('an image that is written with its digest has it once', () => {
  const entry = (image: string): string => `overlays: [{name: x, image: "${image}", digest: ${DIGEST}}]`;
  const reference = `ghcr.io/siderolabs/x:v1@${DIGEST}`;
  assert.equal(parseOverlayCatalog(entry(reference), 'overlays.yaml')[0]?.reference, reference);
  const other = entry(`ghcr.io/siderolabs/x@sha256:${'c'.repeat(64)}`);
  assert.throws(() => parseOverlayCatalog(other, 'overlays.yaml'), rejected('invalid-input', /has another digest/));
});

test('what is no list of overlays is refused', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /want a list under the key overlays/],
    ['overlays: {}', /want a list under the key overlays/],
    ['overlays: [x]', /overlays\[0\]: want name, image and digest/],
    ['overlays: [{name: x, image: ghcr.io/siderolabs/x:v1}]', /overlays\[0\]\.digest: missing, want text/],
    ['overlays: [{name: x, image: ghcr.io/siderolabs/x:v1, digest: md5:1}]', /md5:1/],
    ['overlays: [', /^overlays\.yaml:1:/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => parseOverlayCatalog(text, 'overlays.yaml'), rejected('invalid-input', message), text);
  }
});
