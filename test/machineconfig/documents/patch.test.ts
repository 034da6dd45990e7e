import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImagerError } from '../../../src/errors.ts';
import { patchMachineConfig } from '../../../src/machineconfig/documents/patch.ts';
import { vectorLines } from '../../support/vectors.ts';

interface PatchCase {
  readonly id: string;
  readonly doc: string;
  readonly patch?: string;
  readonly 'v1.14.0-rc.1': { readonly patched?: string; readonly patchError?: string };
}

/** Upstream's patcher loses sizes and expressions of the documents it patches; here they stay. */
const KEPT: ReadonlySet<string> = new Set([
  'ExistingVolumeConfig/delete-field-by-patch:scrub',
  'RawVolumeConfig/delete-field-by-patch:encryption',
  'SwapVolumeConfig/delete-field-by-patch:encryption',
  'UserVolumeConfig/delete-field-by-patch:scrub',
  'OOMConfig/delete-field-by-patch:sampleInterval',
  'patch/volume-size-merge',
]);

test('patched as upstream does', () => {
  const different: string[] = [];
  for (const topic of ['config-documents', 'config-cross-and-patch']) {
    for (const { id, doc, patch, 'v1.14.0-rc.1': wanted } of vectorLines<PatchCase>(
      `machine-config/${topic}.jsonl.gz`,
    )) {
      if (patch === undefined || KEPT.has(id)) continue;
      let found: string | undefined;
      try {
        found = patchMachineConfig(doc, patch);
      } catch (error) {
        assert.ok(error instanceof ImagerError, id);
      }
      if (found !== wanted.patched) different.push(`${id}\n${found}\nwant\n${wanted.patched}`);
    }
  }
  assert.deepEqual(different, []);
});

const VOLUME =
  'apiVersion: v1alpha1\nkind: VolumeConfig\nname: EPHEMERAL\nprovisioning:\n  minSize: 2GiB\n  maxSize: 9GiB\n';

test('sizes are patched like anything else', () => {
  const patch = 'apiVersion: v1alpha1\nkind: VolumeConfig\nname: EPHEMERAL\nprovisioning:\n  maxSize: 50%\n';
  assert.match(patchMachineConfig(VOLUME, patch), /minSize: 2GiB\n {4}maxSize: 50%\n$/);
});

test('JSON patches', () => {
  const patched = (operations: readonly object[]): string => patchMachineConfig(VOLUME, JSON.stringify(operations));
  assert.match(patched([{ op: 'replace', path: '/provisioning/minSize', value: '3GiB' }]), /minSize: 3GiB/);
  assert.doesNotMatch(patched([{ op: 'remove', path: '/provisioning/minSize' }]), /minSize/);
  const moved = patched([
    { op: 'test', path: '/name', value: 'EPHEMERAL' },
    { op: 'copy', from: '/provisioning/minSize', path: '/provisioning/maxSize' },
    { op: 'move', from: '/provisioning/minSize', path: '/provisioning/maxSize' },
  ]);
  assert.match(moved, /provisioning:\n {4}maxSize: 2GiB\n$/);
  const bad: readonly object[] = [
    { op: 'remove', path: '/nowhere' },
    { op: 'add', path: '/a/b', value: 1 },
    { op: 'wish', path: '/name' },
    { op: 'add', path: '/__proto__', value: {} },
    { op: 'test', path: '/name', value: 'STATE' },
    { op: 'add', path: '/name' },
  ];
  for (const operation of bad) assert.throws(() => patched([operation]), ImagerError, JSON.stringify(operation));
});

test('patches that cannot be applied say where', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['apiVersion: v1alpha1\nkind: LinkConfig\n$patch: delete\n', /patch:1:1: .*want name, too/],
    ['apiVersion: v1alpha1\nkind: LinkConfig\nname: a\nmtu: 1\n$patch: delete\n', /patch:4:1: mtu: not beside/],
    ['machine:\n  certSANs:\n    - $patch: delete\n', /patch:3:7: \$patch: want a key/],
    ['apiVersion: v1alpha1\nkind: LinkConfig\nname: a\nwrong: 1\n', /patch:4:1: wrong: unknown key/],
    ['x: [', /patch:1:5: /],
  ];
  for (const [patch, message] of cases) assert.throws(() => patchMachineConfig(VOLUME, patch), { message }, patch);
});
