import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ofMemory, ofSource, zeros } from '../../../src/bytes/bytes.ts';
import { toHex } from '../../../src/bytes/field.ts';
import { equals, read } from '../../../src/bytes/read.ts';
import { GIB, MIB } from '../../../src/bytes/units.ts';
import type { BootSector } from '../../../src/formats/fat/boot-sector.ts';
import { decodeFat } from '../../../src/formats/fat/decode.ts';
import { type DecodedEntry, decodeDirectory } from '../../../src/formats/fat/directory-entry.ts';
import {
  type FatLayout,
  fat32SizeFor,
  type LargeFiles,
  layoutFat12Floppy,
  layoutFat32,
} from '../../../src/formats/fat/layout.ts';
import { secondsOf } from '../../../src/formats/fat/timestamp.ts';
import {
  clusterCount,
  clusterOffset,
  clusterSize,
  fat32Volume,
  rootOffset,
  smallestFat32,
} from '../../../src/formats/fat/volume.ts';
import { type Entry, type Tree, treeOf, treeOfLiterals } from '../../../src/tree/tree.ts';
import { memorySource, stream } from '../../support/bytes.ts';
import { vectorLines } from '../../support/vectors.ts';

interface FatVector {
  readonly id: string;
  readonly size: number;
  readonly bytesPerSector: number;
  readonly sectorsPerCluster: number;
  readonly totalSectors16: number;
  readonly totalSectors32: number;
  readonly fatSectors: number;
  readonly heads: number;
  readonly sectorsPerTrack: number;
  readonly clusters: number;
  readonly usedClusters: number;
  readonly serial: string;
  readonly oem: string;
  readonly label: string;
  readonly fsInfoFree: number;
  readonly fsInfoNext: number;
  readonly fat0: string;
  readonly entries: readonly {
    readonly path: string;
    readonly short: string;
    readonly nt: number;
    readonly attr: string;
    readonly modified: string;
    readonly lfn?: boolean;
    readonly dir?: boolean;
    readonly size?: number;
    readonly volumeLabel?: boolean;
  }[];
}

const vectors = vectorLines<FatVector>('disk-layout/fat.jsonl.gz');

/** mtools lets a time before 1980 wrap around; ours is 1980 then. Images of upstream's epoch 0 are left out for that. */
function comparable(vector: FatVector): boolean {
  return !vector.id.includes('epoch0');
}

function treeOfVector(vector: FatVector): Tree {
  return treeOf(
    vector.entries
      .filter(({ volumeLabel }) => volumeLabel !== true)
      .map(({ path, attr, modified, dir, size }): Entry => {
        const readOnly = (Number(attr) & 1) !== 0;
        const common = { path: path.slice(1), uid: 0, gid: 0, mtime: Date.parse(`${modified}Z`) / 1000 };
        return dir === true
          ? { kind: 'directory', ...common, mode: 0o755 }
          : { kind: 'file', ...common, mode: readOnly ? 0o444 : 0o644, content: zeros(size ?? 0) };
      }),
  );
}

function isFloppy({ fat0 }: FatVector): boolean {
  return fat0.startsWith('f0');
}

function layoutOfVector(vector: FatVector): FatLayout {
  const tree = treeOfVector(vector);
  if (isFloppy(vector)) return layoutFat12Floppy(tree, { serial: Number.parseInt(vector.serial, 16) });
  return layoutFat32(tree, vector.size, {
    sectorSize: vector.bytesPerSector,
    sectorsPerCluster: vector.sectorsPerCluster,
  });
}

for (const vector of vectors.filter(comparable)) {
  if (!isFloppy(vector) && vector.clusters < 65525) {
    test(`${vector.id}: ${vector.clusters} clusters are no valid FAT32 and refused`, () => {
      assert.throws(() => layoutOfVector(vector), { code: 'invalid-input', message: /want at least 65525/ });
    });
    continue;
  }
  test(`${vector.id}: fields and entries`, async () => {
    const { bytes } = layoutOfVector(vector);
    assert.equal(bytes.size, vector.size);
    const decoded = await decodeFat(bytes);
    const boot = decoded.bootSector;
    assert.deepEqual(
      {
        bytesPerSector: boot.bytesPerSector,
        totalSectors: boot.totalSectors,
        fatSectors: boot.fatSectors,
        heads: boot.heads,
        sectorsPerTrack: boot.sectorsPerTrack,
        clusters: clusterCount(boot),
        free: decoded.freeClusters,
        serial: boot.serial.toString(16).padStart(8, '0'),
        oem: boot.oem,
        label: boot.label,
      },
      {
        bytesPerSector: vector.bytesPerSector,
        totalSectors: vector.totalSectors16 || vector.totalSectors32,
        fatSectors: vector.fatSectors,
        heads: vector.heads,
        sectorsPerTrack: vector.sectorsPerTrack,
        clusters: vector.clusters,
        free: vector.clusters - vector.usedClusters,
        serial: vector.serial,
        oem: vector.oem,
        label: vector.label.trimEnd(),
      },
    );
    const fat = await read(bytes, boot.reservedSectors * boot.bytesPerSector, 12);
    const known = isFloppy(vector) ? 6 : 24;
    assert.equal(toHex(fat).slice(0, known), vector.fat0.slice(0, known));
    if (boot.type === 32) {
      const info = new DataView((await read(bytes, boot.bytesPerSector, 512)).buffer);
      assert.equal(info.getUint32(0x1e8, true), vector.fsInfoFree);
      assert.equal(info.getUint32(0x1ec, true), vector.fsInfoNext);
    }
    assert.deepEqual(await slotsOf(bytes, boot, vector), expectedSlots(vector));
  });
}

/** Short entries as they are stored, in the order of the vector. */
async function slotsOf(bytes: FatLayout['bytes'], boot: BootSector, vector: FatVector): Promise<unknown[]> {
  const found = new Map<string, DecodedEntry>();
  async function visit(path: string, offset: number): Promise<void> {
    // These directories are short and lie in one piece; what follows their last entry is zeros.
    const data = await read(bytes, offset, Math.max(clusterSize(boot), 2048));
    for (const entry of decodeDirectory(data)) {
      if (entry.short.startsWith('.')) continue;
      const label = (entry.attributes & 0x08) !== 0;
      const below = `${path}/${label ? 'label' : entry.name}`;
      found.set(below, entry);
      if (entry.attributes === 0x10) await visit(below, clusterOffset(boot, entry.firstCluster));
    }
  }
  await visit('', boot.type === 32 ? clusterOffset(boot, boot.rootCluster) : rootOffset(boot));
  return vector.entries.map(({ path, volumeLabel }) => {
    const entry = found.get(volumeLabel === true ? '/label' : path);
    return entry && [path, entry.short, entry.caseBits, entry.attributes, secondsOf(entry.modified)];
  });
}

function expectedSlots(vector: FatVector): unknown[] {
  return vector.entries.map(({ path, short, nt, attr, modified }) => [
    path,
    short,
    nt,
    Number(attr),
    Date.parse(`${modified}Z`) / 1000,
  ]);
}

const EPOCH = 1559424892;

function sample(): Tree {
  return treeOfLiterals(
    {
      'EFI/BOOT/BOOTX64.EFI': stream('loader', 3000),
      'EFI/Linux/Talos-v1.13.0.efi': ofSource(memorySource(stream('uki', 300_000))),
      'loader/loader.conf': 'timeout 10\n',
      'loader/empty': '',
      'a long directory name with blanks/file': 'x',
    },
    { mtime: EPOCH },
  );
}

async function assertSameTree(tree: Tree, { bytes, files }: FatLayout): Promise<void> {
  const decoded = await decodeFat(bytes);
  assert.deepEqual(
    decoded.tree.entries.map(({ path, kind }) => [path, kind]),
    tree.entries.map(({ path, kind }) => [path, kind]),
  );
  for (const entry of tree.entries) {
    const back = decoded.tree.byPath.get(entry.path)!;
    if (entry.path !== '') assert.equal(back.mtime, Math.max(entry.mtime, Date.UTC(1980, 0) / 1000));
    if (entry.kind !== 'file' || back.kind !== 'file') continue;
    assert.equal(await equals(back.content, entry.content), true, entry.path);
    const range = files.get(entry.path);
    assert.deepEqual(decoded.files.get(entry.path), range === undefined ? undefined : [range]);
  }
}

test('what goes in comes out, in one piece each', async () => {
  await assertSameTree(sample(), layoutFat32(sample(), 64 * MIB));
  await assertSameTree(sample(), layoutFat32(sample(), 300 * MIB, { sectorSize: 4096 }));
  await assertSameTree(sample(), layoutFat12Floppy(sample(), { serial: 1 }));
});

test('directories larger than a cluster', async () => {
  const names = Array.from({ length: 700 }, (_, index) => [`dir/Some File Number ${index}.bin`, `${index}`]);
  const tree = treeOfLiterals(Object.fromEntries(names), { mtime: EPOCH });
  await assertSameTree(tree, layoutFat32(tree, 40 * MIB));
  await assertSameTree(tree, layoutFat12Floppy(tree, { serial: 1 }));
  const flat = treeOfLiterals(Object.fromEntries(names.map(([name, text]) => [name!.slice(4), text!])), {
    mtime: EPOCH,
  });
  await assertSameTree(flat, layoutFat32(flat, 40 * MIB));
  assert.throws(() => layoutFat12Floppy(flat, { serial: 1 }), { code: 'invalid-input', message: /root directory/ });
});

test('nothing is read while the volume is laid out', () => {
  const source = memorySource(stream('uki', 300_000));
  layoutFat32(treeOfLiterals({ uki: ofSource(source) }), 40 * MIB);
  assert.deepEqual(source.reads, []);
});

test('gigabytes cost next to no memory', () => {
  const { bytes } = layoutFat32(treeOfLiterals({ a: zeros(3 * GIB), b: zeros(100 * MIB) }), 4 * GIB);
  const inMemory = bytes.extents.filter(({ kind }) => kind === 'memory').reduce((sum, { length }) => sum + length, 0);
  assert.ok(inMemory < 8 * MIB, `${inMemory}`);
});

const alignments: readonly LargeFiles[] = [
  { from: 65536, alignment: 65536 },
  { from: 65536, alignment: 65536, base: 17 * MIB + 2048 },
  { from: 200_000, alignment: 4 * MIB, base: 512 },
  { from: 65536, alignment: 65536, at: 'end' },
  { from: 1000, alignment: 65536, base: MIB + 2048, at: 'end' },
];

for (const largeFiles of alignments) {
  test(`large files lie at ${JSON.stringify(largeFiles)}`, async () => {
    const tree = treeOf([
      ...sample().entries,
      ...treeOfLiterals({ 'z/second': stream('second', 400_000) }).entries.filter(({ path }) => path !== ''),
    ]);
    const layout = layoutFat32(tree, 70 * MIB, { sectorsPerCluster: 1, largeFiles });
    const { alignment, base = 0, from } = largeFiles;
    const large = tree.entries.filter((entry) => entry.kind === 'file' && entry.content.size >= from);
    assert.ok(large.length >= 2);
    for (const { path } of large) assert.equal((base + layout.files.get(path)!.offset) % alignment, 0, path);
    const decoded = await decodeFat(layout.bytes);
    const info = new DataView((await read(layout.bytes, 512, 512)).buffer);
    assert.equal(info.getUint32(0x1e8, true), decoded.freeClusters);
    for (const entry of tree.entries) {
      const back = decoded.tree.byPath.get(entry.path);
      if (entry.kind === 'file' && back?.kind === 'file') assert.equal(await equals(back.content, entry.content), true);
    }
    if (largeFiles.at === 'end') assert.ok(layout.files.get('z/second')!.offset > 69 * MIB);
  });
}

test('an alignment that no cluster has is refused', () => {
  const largeFiles = { from: 1, alignment: 65536, base: 100 };
  assert.throws(() => layoutFat32(sample(), 40 * MIB, { largeFiles }), {
    code: 'invalid-input',
    message: /no cluster/,
  });
});

test('the least size is the least', async () => {
  for (const options of [{}, { sectorsPerCluster: 8 }, { sectorSize: 4096 }]) {
    const size = smallestFat32(options);
    assert.ok(clusterCount(fat32Volume(size, options)) >= 65525);
    assert.throws(() => fat32Volume(size - 512, { sectorsPerCluster: 1, ...options }), { code: 'invalid-input' });
  }
  const tree = treeOfLiterals({ 'EFI/a': zeros(50 * MIB), 'EFI/b': zeros(1) });
  const size = fat32SizeFor(tree);
  await assertSameTree(tree, layoutFat32(tree, size));
  assert.throws(() => layoutFat32(tree, size - 512 * 64), { code: 'invalid-input', message: /need more clusters/ });
  assert.equal(fat32SizeFor(treeOfLiterals({})), smallestFat32());
});

test('cluster sizes', () => {
  assert.equal(fat32Volume(260 * MIB).sectorsPerCluster, 1);
  assert.equal(fat32Volume(260 * MIB + 512).sectorsPerCluster, 8);
  assert.equal(fat32Volume(9 * GIB).sectorsPerCluster, 16);
  assert.equal(fat32Volume(33 * GIB).reservedSectors, 64);
  assert.equal(fat32Volume(2101 * MIB).sectorsPerCluster, 8);
  assert.equal(fat32Volume(300 * MIB, { sectorSize: 4096 }).sectorsPerCluster, 1);
  assert.throws(() => fat32Volume(100 * MIB, { sectorSize: 4096 }), {
    code: 'invalid-input',
    hint: /make it at least \d+ bytes/,
  });
});

test('what FAT cannot hold is refused', () => {
  const bad = (entry: Entry) => () => layoutFat32(treeOf([entry]), 40 * MIB);
  const common = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
  assert.throws(bad({ kind: 'symlink', path: 'l', target: 'x', ...common }), { code: 'unsupported' });
  assert.throws(bad({ kind: 'file', path: 'f', content: zeros(2 ** 32), ...common }), { code: 'invalid-input' });
  assert.throws(bad({ kind: 'file', path: 'f:', content: zeros(1), ...common }), { code: 'invalid-input' });
  const invalid = { code: 'invalid-input' };
  assert.throws(() => layoutFat32(sample(), 40 * MIB, { label: 'efi' }), invalid);
  assert.throws(() => layoutFat32(sample(), 40 * MIB, { serial: 2 ** 32 }), invalid);
  assert.throws(() => layoutFat32(sample(), 40 * MIB, { sectorsPerCluster: 3 }), invalid);
  assert.throws(() => layoutFat32(sample(), 40 * MIB, { sectorSize: 520 }), { code: 'unsupported' });
  assert.throws(() => layoutFat12Floppy(treeOfLiterals({ a: zeros(3 * MIB) }), { serial: 0 }), invalid);
});

test('a file that nobody may write is read-only, whoever else may read it', async () => {
  const tree = treeOf([
    { kind: 'file', path: 'ro', content: ofMemory(Uint8Array.of(1)), mode: 0o444, uid: 0, gid: 0, mtime: EPOCH },
    { kind: 'file', path: 'rw', content: ofMemory(Uint8Array.of(1)), mode: 0o600, uid: 0, gid: 0, mtime: EPOCH },
  ]);
  const decoded = await decodeFat(layoutFat32(tree, 40 * MIB).bytes);
  assert.equal(decoded.tree.byPath.get('ro')?.mode, 0o444);
  assert.equal(decoded.tree.byPath.get('rw')?.mode, 0o644);
});

test('times outside what FAT knows become its first and last', async () => {
  for (const [mtime, expected] of [
    [0, Date.UTC(1980, 0, 1)],
    [-5, Date.UTC(1980, 0, 1)],
    [2 ** 40, Date.UTC(2107, 11, 31, 23, 59, 58)],
    [EPOCH + 1, EPOCH * 1000],
  ] as const) {
    const decoded = await decodeFat(layoutFat32(treeOfLiterals({ a: 'x' }, { mtime }), 40 * MIB).bytes);
    assert.equal(decoded.tree.byPath.get('a')?.mtime, expected / 1000);
  }
});
