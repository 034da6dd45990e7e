import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AssetSource, formatAssetSource, parseAssetSource } from '../../src/pipeline/asset-source.ts';

const GOOD: readonly (readonly [text: string, source: AssetSource])[] = [
  ['ghcr.io/siderolabs/imager:v1.13.0', { kind: 'registry', reference: 'ghcr.io/siderolabs/imager:v1.13.0' }],
  ['localhost:5000/imager', { kind: 'registry', reference: 'localhost:5000/imager' }],
  // A registry of that name, not a scheme of ours.
  ['oci.example/imager:v1', { kind: 'registry', reference: 'oci.example/imager:v1' }],
  ['OCI:assets', { kind: 'registry', reference: 'OCI:assets' }],
  ['oci:assets', { kind: 'layout', directory: 'assets' }],
  ['oci:./a/b:v1.13.0', { kind: 'layout', directory: './a/b', name: 'v1.13.0' }],
  ['oci:/a:ghcr.io/x/imager:v1', { kind: 'layout', directory: '/a', name: 'ghcr.io/x/imager:v1' }],
  ['oci:/a b/c', { kind: 'layout', directory: '/a b/c' }],
  ['oci:C:\\assets', { kind: 'layout', directory: 'C:\\assets' }],
  ['oci:C:/assets:v1', { kind: 'layout', directory: 'C:/assets', name: 'v1' }],
  ['oci:c:v1', { kind: 'layout', directory: 'c', name: 'v1' }],
  ['oci-archive:a.tar', { kind: 'oci-archive', file: 'a.tar' }],
  ['oci-archive:/x/a.tar.gz:v1', { kind: 'oci-archive', file: '/x/a.tar.gz', name: 'v1' }],
  ['docker-archive:a.tar', { kind: 'docker-archive', file: 'a.tar' }],
  [
    'docker-archive:a.tar:ghcr.io/siderolabs/imager:v1',
    { kind: 'docker-archive', file: 'a.tar', name: 'ghcr.io/siderolabs/imager:v1' },
  ],
  ['dir:/srv/assets', { kind: 'directory', directory: '/srv/assets' }],
  ['dir:a:b', { kind: 'directory', directory: 'a:b' }],
];

const BAD: readonly (readonly [text: string, message: RegExp])[] = [
  ['', /imager image "": want a reference, oci:DIR/],
  ['oci:', /imager image "oci:": want a path after oci:/],
  ['oci::v1', /want a path after oci:/],
  ['oci:a:', /want a name after the path, or no colon/],
  ['oci-archive:', /want a path after oci-archive:/],
  ['docker-archive:', /want a path after docker-archive:/],
  ['dir:', /want a path after dir:/],
];

describe('asset sources', () => {
  for (const [text, source] of GOOD) {
    test(text, () => {
      assert.deepEqual(parseAssetSource(text), source);
      assert.equal(formatAssetSource(source), text);
    });
  }
  for (const [text, message] of BAD) {
    test(`refuses "${text}"`, () => {
      assert.throws(() => parseAssetSource(text), { code: 'invalid-input', message });
    });
  }
});
