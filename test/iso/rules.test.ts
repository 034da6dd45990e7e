/** The small rules ISOs follow: which kind, what label, which menu, which numbers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quoteForGrub } from '../../src/boot/grub-quoting.ts';
import { ofMemory, ofSource, slice, zeros } from '../../src/bytes/bytes.ts';
import { ImagerError } from '../../src/errors.ts';
import { layoutFat32 } from '../../src/formats/fat/layout.ts';
import { isoGeometry } from '../../src/iso/cd-geometry.ts';
import { isSame, sharedWithFat } from '../../src/iso/fat-sharing.ts';
import { type IsoChoice, isoGenerator } from '../../src/iso/generator.ts';
import { grubIsoConfig } from '../../src/iso/grub-config.ts';
import { isoTree } from '../../src/iso/iso-tree.ts';
import { isoLabel } from '../../src/iso/label.ts';
import { volumeGuid } from '../../src/iso/volume-guid.ts';
import { traitsOf } from '../../src/profiles/traits.ts';
import { treeOf, treeOfLiterals } from '../../src/tree/tree.ts';
import { memorySource, stream } from '../support/bytes.ts';

function chosen(version: string, choice: Partial<IsoChoice> = {}): string {
  return isoGenerator({ architecture: 'amd64', secureBoot: false, traits: traitsOf(version), ...choice });
}

test('the generator follows version, architecture and choice', () => {
  const arm64 = { architecture: 'arm64' } as const;
  assert.equal(chosen('v1.9.5'), 'grub');
  assert.equal(chosen('v1.9.5', { bootloader: 'sd-boot' }), 'grub');
  assert.equal(chosen('v1.10.0-alpha.0'), 'hybrid');
  assert.equal(chosen('v1.11.3', arm64), 'hybrid');
  assert.equal(chosen('v1.11.3', { bootloader: 'sd-boot' }), 'hybrid');
  assert.equal(chosen('v1.12.0'), 'hybrid');
  assert.equal(chosen('v1.12.0', arm64), 'uefi');
  assert.equal(chosen('v1.13.0', { bootloader: 'sd-boot' }), 'uefi');
  assert.equal(chosen('v1.13.0', { bootloader: 'grub' }), 'grub');
  assert.equal(chosen('v1.13.0', { bootloader: 'dual-boot' }), 'hybrid');
  assert.equal(chosen('latest'), 'grub');
  assert.equal(chosen('latest', { bootloader: 'sd-boot' }), 'uefi');
  assert.equal(chosen('v1.7.0', { secureBoot: true }), 'uefi');
  assert.equal(chosen('v1.13.0', { secureBoot: true, bootloader: 'grub' }), 'uefi');
  assert.throws(() => chosen('v1.13.0', { bootloader: 'none' }), /bootloader none: want dual-boot, sd-boot or grub/);
  assert.throws(
    () => chosen('v1.13.0', { ...arm64, bootloader: 'dual-boot' }),
    (error) => error instanceof ImagerError && error.code === 'unsupported',
  );
});

test('labels are the version in upper case', () => {
  const label = (version: string): string[] => Object.values(isoLabel(version, { labelsIso: true }));
  assert.deepEqual(label('v1.7.6-beta.0'), ['TALOS_V1_7_6_BETA_0', 'Talos-v1.7.6-beta.0']);
  assert.deepEqual(label('v1.13.0 x/y'), ['TALOS_V1_13_0XY', 'Talos-v1.13.0 x/y']);
  const long = 'v1.13.0-alpha.0-123-gabcdef0123456-dirty-and-long';
  assert.deepEqual(label(long), ['TALOS_V1_13_0_ALPHA_0_123_GABCDE', `Talos-${long}`]);
  assert.equal(label('x'.repeat(300))[1]!.length, 128);
  assert.deepEqual(label('vé\n'), ['TALOS_V', 'Talos-v__']);
  assert.deepEqual(isoLabel('v1.7.0', { labelsIso: false }), { volumeId: 'ISOIMAGE', volumeSetId: '' });
});

test('command lines are quoted for GRUB', () => {
  assert.equal(quoteForGrub(`a={b}&$c|d;e<f>"g"\\h'i#j*k`), `a=\\{b\\}\\&\\$c\\|d\\;e\\<f\\>\\"g\\"\\\\h'i#j*k`);
});

test('the menu of old versions has no reset entry', () => {
  const menu = grubIsoConfig('console=tty0', { hasGrubResetEntry: false });
  assert.ok(menu.endsWith('\tlinux /boot/vmlinuz console=tty0\n\tinitrd /boot/initramfs.xz\n}\n\n'));
  assert.equal(menu.match(/menuentry/g)!.length, 1);
});

test('GUIDs come from the time', () => {
  assert.equal(volumeGuid(1559424892, 0), '39313032-3630-4130-b230-303133343532');
  assert.equal(volumeGuid(1559424892, 3), '39313032-3630-4130-b233-303133343532');
});

test('heads are raised to reach the end of large images', () => {
  assert.deepEqual(isoGeometry(2 ** 21), { heads: 64, sectorsPerTrack: 32 });
  assert.deepEqual(isoGeometry(2 ** 21 + 1), { heads: 65, sectorsPerTrack: 32 });
  assert.deepEqual(isoGeometry(101 * 32 * 1024), { heads: 101, sectorsPerTrack: 32 });
  assert.deepEqual(isoGeometry(2 ** 24), { heads: 255, sectorsPerTrack: 63 });
});

test('normalized trees belong to root and nobody may write', () => {
  const common = { uid: 1000, gid: 100, mtime: 5 };
  const tree = treeOf([
    { kind: 'directory', path: 'd', mode: 0o2700, ...common },
    { kind: 'file', path: 'd/plain', content: zeros(1), mode: 0o600, ...common },
    { kind: 'file', path: 'd/tool', content: zeros(1), mode: 0o4710, ...common },
    { kind: 'symlink', path: 'd/link', target: 'x', mode: 0o777, ...common },
  ]);
  const modes = (normalized: boolean): [string, number, number, number][] =>
    isoTree([tree], tree, { time: 7, normalized })
      .entries.filter(({ path }) => path.startsWith('imagecache/'))
      .map(({ path, mode, uid, mtime }) => [path, mode, uid, mtime]);
  assert.deepEqual(modes(true), [
    ['imagecache/d', 0o555, 0, 7],
    ['imagecache/d/link', 0o777, 0, 7],
    ['imagecache/d/plain', 0o444, 0, 7],
    ['imagecache/d/tool', 0o555, 0, 7],
  ]);
  assert.deepEqual(
    modes(false).map(([, mode]) => mode),
    [0o2700, 0o777, 0o600, 0o4710],
  );
});

test('only what is known to be the same is shared', () => {
  const source = memorySource(stream('uki', 200_000));
  const tree = treeOfLiterals({ 'a/uki': ofSource(source), 'a/small': ofMemory(new Uint8Array(1000)) });
  const volume = layoutFat32(tree, 34 * 2 ** 20, { largeFiles: { from: 65536, alignment: 65536 } });
  const holder = { in: 'appended' } as const;
  const { offset } = volume.files.get('a/uki')!;
  assert.deepEqual([...sharedWithFat(tree, volume, holder)], [['a/uki', { in: 'appended', offset }]]);
  const inside = new Map([['kernel', { path: 'a/uki', offset: 4096 }]]);
  const kernel = (content: ReturnType<typeof ofSource>): [string, unknown][] => [
    ...sharedWithFat(treeOfLiterals({ kernel: content }), volume, holder, inside),
  ];
  assert.deepEqual(kernel(ofSource(source, 4096, 70_000)), [['kernel', { in: 'appended', offset: offset + 4096 }]]);
  assert.deepEqual(kernel(ofSource(source, 4097, 70_000)), []);
  assert.deepEqual(kernel(ofSource(memorySource(stream('uki', 200_000)), 4096, 70_000)), []);
  const unaligned = new Map([['kernel', { path: 'a/uki', offset: 100 }]]);
  assert.deepEqual(
    [...sharedWithFat(treeOfLiterals({ kernel: ofSource(source, 100, 70_000) }), volume, holder, unaligned)],
    [],
  );
  // Packed by sectors only, the file does not begin at a block.
  const packed = layoutFat32(treeOfLiterals({ 'a/first': 'x', 'a/uki': ofSource(source) }), 34 * 2 ** 20);
  assert.notEqual(packed.files.get('a/uki')!.offset % 2048, 0);
  assert.deepEqual([...sharedWithFat(tree, packed, holder)], []);
});

test('contents are compared without reading sources', () => {
  const data = stream('x', 100);
  const source = memorySource(data);
  assert.ok(isSame(ofSource(source), slice(ofSource(source), 0)));
  assert.ok(isSame(ofMemory(data), ofMemory(data.slice())));
  assert.ok(isSame(zeros(5), zeros(5)));
  assert.ok(!isSame(zeros(5), zeros(6)));
  assert.ok(!isSame(ofSource(source), ofMemory(data)), 'not known without reading');
  assert.ok(!isSame(ofMemory(data), ofMemory(data.with(99, data[99]! ^ 1))));
  assert.deepEqual(source.reads, []);
});
