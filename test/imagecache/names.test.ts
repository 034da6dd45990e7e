import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDigest } from '../../src/bytes/units.ts';
import {
  blobPath,
  digestOfName,
  digestPath,
  isSignatureTag,
  signatureTags,
  tagPath,
} from '../../src/imagecache/names.ts';
import { parseReference } from '../../src/oci/reference.ts';

const HEX = '8ba0d06bc5a88966b1f681d9cab28709781ad7c450802d0e477132d8919e0cbf';
const DIGEST = parseDigest(`sha256:${HEX}`);

test('a tag is a file below the repository that a node asks for', () => {
  const cases = [
    ['nginx', 'manifests/docker.io/library/nginx/reference/latest'],
    ['docker.io/library/nginx:1.27', 'manifests/docker.io/library/nginx/reference/1.27'],
    ['index.docker.io/a/b:c', 'manifests/docker.io/a/b/reference/c'],
    ['ghcr.io/siderolabs/kubelet:v1.33.0', 'manifests/ghcr.io/siderolabs/kubelet/reference/v1.33.0'],
    ['registry.k8s.io/coredns/coredns:v1.12.0', 'manifests/registry.k8s.io/coredns/coredns/reference/v1.12.0'],
    ['localhost:5000/a/b:v1', 'manifests/localhost_5000_/a/b/reference/v1'],
    ['10.5.0.1:6000/pause:3.10', 'manifests/10.5.0.1_6000_/pause/reference/3.10'],
    // The last colon is the one a node replaces, whatever it separates.
    ['[fd00::1]:5000/a/b:v1', 'manifests/[fd00::1]_5000_/a/b/reference/v1'],
    ['[fd00::1]/a/b:v1', 'manifests/[fd00:_1]_/a/b/reference/v1'],
  ] as const;
  for (const [text, path] of cases) {
    const reference = parseReference(text);
    assert.equal(tagPath(reference, reference.tag!), path);
  }
});

test('documents and blobs are named for their digest, without the colon that FAT has not', () => {
  assert.equal(digestPath(parseReference('ghcr.io/a/b:c'), DIGEST), `manifests/ghcr.io/a/b/digest/sha256-${HEX}`);
  assert.equal(blobPath(DIGEST), `blob/sha256-${HEX}`);
  assert.equal(digestOfName(`sha256-${HEX}`), DIGEST);
  for (const name of [`sha256:${HEX}`, `sha256-${HEX}.sig`, 'sha256-big', `sha256-${HEX.toUpperCase()}`, HEX]) {
    assert.equal(digestOfName(name), undefined, name);
  }
});

test('signatures have tags of their own', () => {
  assert.deepEqual(signatureTags(DIGEST), [`sha256-${HEX}.sig`, `sha256-${HEX}`]);
  assert.ok(signatureTags(DIGEST).every(isSignatureTag));
  assert.equal(isSignatureTag('v1.0'), false);
  assert.equal(isSignatureTag('sha256-abc.sig'), false);
});
