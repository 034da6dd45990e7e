/** Lists of what Talos releases need: versions as their sources have them, read off for some releases. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distinctImages, imagesOfProfile, imagesOfRelease } from '../../src/pipeline/image-list.ts';
import { testRequest } from '../support/pipeline.ts';
import { rejected } from '../support/rejected.ts';

test('a release from before unified installers', () => {
  assert.deepEqual(imagesOfRelease('v1.8.3'), {
    images: [
      'ghcr.io/siderolabs/imager:v1.8.3',
      'ghcr.io/siderolabs/installer:v1.8.3',
      'ghcr.io/siderolabs/overlays:v1.8.3',
      'ghcr.io/siderolabs/extensions:v1.8.3',
      'ghcr.io/siderolabs/flannel:v0.25.7',
      'registry.k8s.io/coredns/coredns:v1.11.3',
      'gcr.io/etcd-development/etcd:v3.5.16',
      'registry.k8s.io/pause:3.10',
      'registry.k8s.io/kube-apiserver:v1.31.2',
      'registry.k8s.io/kube-controller-manager:v1.31.2',
      'registry.k8s.io/kube-scheduler:v1.31.2',
      'registry.k8s.io/kube-proxy:v1.31.2',
      'ghcr.io/siderolabs/kubelet:v1.31.2',
    ],
    warnings: [],
  });
});

test('what each minor release added is there', () => {
  const has = (version: string, image: string): boolean => imagesOfRelease(version).images.includes(image);
  assert.ok(has('v1.10.9', 'ghcr.io/siderolabs/installer-base:v1.10.9'));
  assert.ok(!has('v1.10.9', 'ghcr.io/siderolabs/talosctl-all:v1.10.9'));
  assert.ok(has('v1.11.1', 'ghcr.io/siderolabs/talosctl-all:v1.11.1'));
  assert.ok(has('v1.11.2', 'registry.k8s.io/coredns/coredns:v1.12.3'));
  assert.ok(has('v1.12.0', 'registry.k8s.io/etcd:v3.6.7'));
  assert.ok(has('v1.12.9', 'registry.k8s.io/coredns/coredns:v1.14.2'));
  assert.ok(has('v1.13.6', 'ghcr.io/siderolabs/flannel:v0.28.5'));
  assert.ok(has('v1.13.7', 'ghcr.io/siderolabs/flannel:0.28.7'));
  assert.ok(has('v1.13.0', 'registry.k8s.io/networking/kube-network-policies:v1.0.0'));
});

test('another Kubernetes changes its images and no others', () => {
  const [own, other] = [imagesOfRelease('1.13.9').images, imagesOfRelease('1.13.9', '1.35.4').images];
  const changed = other.filter((image) => !own.includes(image));
  assert.equal(changed.length, 5);
  assert.ok(changed.every((image) => image.endsWith(':v1.35.4')));
});

test('a newer patch is said to be unknown', () => {
  const { images, warnings } = imagesOfRelease('v1.13.99');
  assert.ok(images.includes('ghcr.io/siderolabs/imager:v1.13.99'));
  assert.match(warnings.join(), /newer than what is known, the list is that of v1\.13\.9/);
});

test('what is no version is refused', () => {
  assert.throws(() => imagesOfRelease('latest'), rejected('invalid-input', /Talos version "latest"/));
  assert.throws(() => imagesOfRelease('v1.7.0'), rejected('unsupported', /no list of its images/));
  assert.throws(() => imagesOfRelease('v1.13.0', 'newest'), rejected('invalid-input', /Kubernetes version "newest"/));
});

test('the same image by two names is there once', () => {
  assert.deepEqual(distinctImages(['a/b', 'docker.io/a/b:latest', 'a/c']), ['a/b', 'a/c']);
});

test('an installer with an overlay takes both of its images', () => {
  const image = (imageRef: string): { imageRef: string } => ({ imageRef });
  const request = testRequest({
    baseProfileName: 'installer',
    input: { baseInstaller: image('r.example/base:v1'), overlayInstaller: image('r.example/board-arm64:v1') },
    overlay: { name: 'board', image: image('r.example/board-amd64:v1'), options: {} },
  });
  const images = imagesOfProfile(request);
  for (const name of ['base', 'board-amd64', 'board-arm64']) assert.ok(images.includes(`r.example/${name}:v1`), name);
});
