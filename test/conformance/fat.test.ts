/** dosfstools and mtools judge our FAT volumes, and our reader theirs. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { zeros } from '../../src/bytes/bytes.ts';
import { equals, read } from '../../src/bytes/read.ts';
import { MIB } from '../../src/bytes/units.ts';
import { decodeFat } from '../../src/formats/fat/decode.ts';
import { type Fat32Options, layoutFat12Floppy, layoutFat32 } from '../../src/formats/fat/layout.ts';
import { type Tree, treeOf, treeOfLiterals } from '../../src/tree/tree.ts';
import { stream } from '../support/bytes.ts';
import { imageFiles } from '../support/image-files.ts';
import { run, skipWithout } from '../support/tools.ts';

const skip = skipWithout('mkfs.fat', 'fsck.fat', 'mcopy', 'mdir', 'mattrib');
const { platform, directory, newPath, written, opened } = imageFiles();

const EPOCH = 1559424892;

function sample(): Tree {
  const tree = treeOfLiterals(
    {
      'EFI/BOOT/BOOTX64.EFI': stream('loader', 130_000),
      'EFI/Linux/Talos-v1.13.0.efi': stream('uki', 3_000_001),
      'EFI/Linux/Talos-v1.13.0~1.efi': stream('other', 4096),
      'EFI/keys/uki-signing-cert.der': stream('cert', 800),
      'loader/loader.conf': 'timeout 10\n',
      'loader/empty': '',
      ...Object.fromEntries(
        Array.from({ length: 80 }, (_, index) => [`many/A File, number ${index} [x].txt`, `${index}`]),
      ),
    },
    { mtime: EPOCH },
  );
  const seed = {
    kind: 'file',
    path: 'loader/random-seed',
    content: zeros(32),
    mode: 0o444,
    uid: 0,
    gid: 0,
    mtime: EPOCH,
  } as const;
  return treeOf([...tree.entries, seed]);
}

const volumes: readonly (readonly [number, Fat32Options])[] = [
  [33 * MIB, {}],
  [53 * MIB, {}],
  [104 * MIB, { sectorsPerCluster: 2, largeFiles: { from: 65536, alignment: 65536, base: 17 * MIB + 2048 } }],
  [300 * MIB, {}],
  [300 * MIB, { sectorSize: 4096 }],
  [300 * MIB, { largeFiles: { from: 65536, alignment: 65536, at: 'end' } }],
  [1101 * MIB, { sectorSize: 2048 }],
  [2101 * MIB, {}],
];

for (const [size, options] of volumes) {
  const name = `${size / MIB} MiB ${JSON.stringify(options)}`;

  test(`${name}: fsck.fat has nothing to say, mtools reads what we wrote`, { skip }, async () => {
    const tree = sample();
    const image = await written(layoutFat32(tree, size, options).bytes);
    // Its version and a summary: anything it objects to would be a line between.
    assert.match(run('fsck.fat', '-n', image), /^fsck\.fat .*\n.*: \d+ files, \d+\/\d+ clusters\n$/);
    const copied = mkdtempSync(join(directory, 'copy-'));
    run('mcopy', '-i', image, '-s', '-m', '-n', '::/*', copied);
    for (const entry of tree.entries) {
      if (entry.kind !== 'file') continue;
      assert.deepEqual(readFileSync(join(copied, entry.path)), Buffer.from(await read(entry.content)), entry.path);
    }
    assert.match(run('mattrib', '-i', image, '::/loader/random-seed'), /A.*R/);
    assert.match(
      run('mdir', '-i', image, '::/EFI/Linux'),
      /TALOS-~1 efi\s+3000001 2019-06-01\s+21:34\s+Talos-v1\.13\.0\.efi/i,
    );
    rmSync(image);
  });

  test(`${name}: an empty volume is that of mkfs.fat, boot code apart`, { skip }, async () => {
    const theirs = newPath();
    writeFileSync(theirs, '');
    truncateSync(theirs, size);
    const { sectorSize = 512, sectorsPerCluster } = options;
    const cluster = sectorsPerCluster === undefined ? [] : ['-s', String(sectorsPerCluster)];
    run('mkfs.fat', '-F', '32', '-n', 'EFI', '--invariant', '-S', String(sectorSize), ...cluster, theirs);
    const expected = await platform.files.source(theirs);
    assert.equal(expected.size, size);
    const { bytes } = layoutFat32(treeOfLiterals({}), size, options);
    // Everything that is not zero lies before the second cluster.
    const head = Math.min(size, 24 * MIB);
    const ours = Buffer.from(await read(bytes, 0, head));
    const reference = Buffer.alloc(head);
    await expected.read(0, reference);
    for (const base of [0, 6 * sectorSize]) {
      assert.notEqual(reference[base + 0x5a], 0);
      for (const image of [ours, reference]) image.fill(0, base + 0x5a, base + 0x1fe);
    }
    assert.ok(ours.equals(reference), `first difference at ${ours.findIndex((byte, at) => byte !== reference[at])}`);
    rmSync(theirs);
  });
}

test('the floppy of a GRUB ISO: as mformat makes it, and readable', { skip }, async () => {
  const tree = treeOfLiterals(
    { 'efi/boot/bootx64.efi': stream('x', 270_336), 'efi/boot/bootaa64.efi': stream('a', 1_294_912) },
    { mtime: EPOCH },
  );
  const { bytes } = layoutFat12Floppy(tree, { serial: 0x5cf2ec7c });
  const image = await written(bytes);
  run('fsck.fat', '-n', image);
  const copied = mkdtempSync(join(directory, 'copy-'));
  run('mcopy', '-i', image, '-s', '-n', '::/*', copied);
  assert.deepEqual(readFileSync(join(copied, 'efi/boot/bootaa64.efi')), Buffer.from(stream('a', 1_294_912)));
  const theirs = newPath();
  run('mformat', '-i', theirs, '-C', '-f', '2880', '-L', '9', '-N', '5cf2ec7c', '::');
  const reference = readFileSync(theirs);
  const ours = Buffer.from(await read(layoutFat12Floppy(treeOfLiterals({}), { serial: 0x5cf2ec7c }).bytes));
  for (const one of [ours, reference]) {
    // The version of mtools in the OEM name, and boot code with its partition entry.
    one.fill(0, 0x07, 0x0b);
    one.fill(0, 0x3e, 0x1fe);
  }
  assert.ok(ours.equals(reference), `first difference at ${ours.findIndex((byte, at) => byte !== reference[at])}`);
});

for (const [type, size] of [
  ['12', 2],
  ['16', 32],
  ['32', 48],
] as const) {
  test(`our reader reads what mtools wrote into a FAT${type}`, { skip }, async () => {
    const tree = sample();
    const image = newPath();
    writeFileSync(image, '');
    truncateSync(image, size * MIB);
    run('mkfs.fat', '-F', type, '-n', 'EFI', image);
    const source = mkdtempSync(join(directory, 'tree-'));
    const small = treeOf(tree.entries.filter((entry) => entry.kind !== 'file' || entry.content.size < 200_000));
    for (const entry of small.entries) {
      if (entry.kind !== 'file') continue;
      mkdirSync(dirname(join(source, entry.path)), { recursive: true });
      writeFileSync(join(source, entry.path), await read(entry.content));
      utimesSync(join(source, entry.path), EPOCH, EPOCH);
    }
    for (const top of ['EFI', 'loader', 'many']) run('mcopy', '-i', image, '-s', '-m', join(source, top), '::');
    const { tree: back, label, bootSector } = await decodeFat(await opened(image));
    assert.equal(bootSector.type, Number(type));
    assert.equal(label, 'EFI');
    for (const entry of small.entries) {
      const found = back.byPath.get(entry.path);
      assert.equal(found?.kind, entry.kind, entry.path);
      if (entry.kind !== 'file' || found?.kind !== 'file') continue;
      assert.equal(found.mtime, EPOCH);
      assert.equal(await equals(found.content, entry.content), true, entry.path);
    }
  });
}
