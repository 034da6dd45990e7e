/** The partition of an image cache: where upstream's are, how large, and what is in them. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { type Bytes, ofSource, zeros } from '../../src/bytes/bytes.ts';
import { digest } from '../../src/bytes/read.ts';
import { diskBootloader } from '../../src/disk/bootloader.ts';
import { imageCachePartitionSize, layoutImageCachePartition } from '../../src/disk/image-cache-partition.ts';
import { layoutPartitions, type PartitionTable } from '../../src/disk/partitions.ts';
import { ImagerError } from '../../src/errors.ts';
import { decodeExt4 } from '../../src/formats/ext4/decode.ts';
import { diskChoice } from '../../src/pipeline/asset-places.ts';
import { diskDimensions } from '../../src/pipeline/disk-plan.ts';
import { BOOTLOADERS } from '../../src/profiles/profile.ts';
import { finaliseProfile, resolveProfile } from '../../src/profiles/resolve.ts';
import { traitsOf } from '../../src/profiles/traits.ts';
import { type Tree, treeOf, treeOfLiterals } from '../../src/tree/tree.ts';
import { type UpstreamFile, vectorLines } from '../support/vectors.ts';

const MIB = 2 ** 20;

interface CacheCase {
  readonly id: string;
  readonly version: string;
  readonly bootloader: string | null;
  /** As in the profile. */
  readonly diskSize: number;
  readonly epoch: number;
  readonly rc: number;
  readonly ociPath: string;
  /** Of the disk, bytes. */
  readonly size: number;
  readonly entries?: readonly {
    readonly name: string;
    readonly type: string;
    readonly guid: string;
    readonly first: number;
    readonly last: number;
    readonly attributes: string;
  }[];
  readonly dumpe2fs?: Readonly<Record<string, string>>;
  readonly files?: readonly UpstreamFile[];
}

/** Content that nothing may read. */
function unread(size: number): Bytes {
  const read = (): Promise<never> => Promise.reject(new Error('content was read'));
  return ofSource({ key: 'big', label: 'big', size, read });
}

const BIG: Tree = treeOfLiterals({
  [`blob/sha256-${createHash('sha256').update('blob1').digest('hex')}`]: 'blob1',
  'blob/sha256-big': unread(40_000_001),
  'manifests/docker.io/library/x/reference/latest': '{}',
  [`manifests/docker.io/library/x/digest/sha256-${createHash('sha256').update('{}').digest('hex')}`]: '{}',
  'manifests/host_5000_/A Long Name.With.Dots': '',
});

const ZEROS: Tree = treeOf(
  treeOfLiterals({
    'blob/sha256-zero': zeros(600 * MIB),
    'blob/sha256-small': 'small',
    'manifests/A Long Name.With.Dots': '',
    'manifests/docker.io/x': '{}',
  }).entries.map((entry) => {
    if (entry.path === 'manifests/docker.io') return { ...entry, mode: 0o700 };
    return entry.path === 'manifests/docker.io/x' ? { ...entry, mode: 0o600 } : entry;
  }),
);

function tableOf(one: CacheCase, cache: Tree): { readonly size: number; readonly table: PartitionTable } {
  const bootloader = BOOTLOADERS.find((name) => name === one.bootloader) ?? 'none';
  const profile = finaliseProfile(
    resolveProfile({
      arch: 'amd64',
      platform: 'metal',
      version: one.version,
      output: {
        kind: 'image',
        outFormat: 'raw',
        imageOptions: { diskSize: one.diskSize, diskFormat: 'raw', bootloader },
      },
    }),
  );
  const { size, sectorSize } = diskDimensions(profile);
  const imageCacheSize = imageCachePartitionSize(cache, one.epoch);
  const dimensions = { size: size + imageCacheSize, sectorSize, imageCacheSize };
  return {
    size: dimensions.size,
    table: layoutPartitions(diskBootloader(diskChoice(profile)), profile.traits, dimensions),
  };
}

const cases = vectorLines<CacheCase>('images/disk-cache.jsonl.gz');

describe('as upstream', () => {
  for (const one of cases.filter(({ rc }) => rc === 0)) {
    test(`${one.id}: the disk grows by the partition, which comes last`, () => {
      const { size, table } = tableOf(one, ZEROS);
      assert.equal(size, one.size);
      const found = [...table.partitions.values()].map(({ name, type, guid, firstLba, lastLba, attributes = 0n }) => ({
        name,
        type: type.toLowerCase(),
        guid: guid.toLowerCase(),
        first: firstLba,
        last: lastLba,
        attributes: `0x${attributes.toString(16)}`,
      }));
      assert.deepEqual(found, one.entries);
    });
  }

  const [first] = cases.filter(({ files }) => files !== undefined);

  test('the files are those of upstream, with their modes, nobody’s owners and one time', async () => {
    const size = imageCachePartitionSize(ZEROS, first!.epoch);
    const volume = await decodeExt4(layoutImageCachePartition(ZEROS, { size }, first!.epoch));
    const found = volume.entries
      .filter(({ path }) => path !== '')
      .map(({ kind, path, mode, uid, gid, mtime }) => ({
        path: `/${path}`,
        mode: `0o${((kind === 'directory' ? 0o40000 : 0o100000) | mode).toString(8)}`,
        uid,
        gid,
        mtime,
      }));
    const expected = first!.files!.map(({ path, mode, uid, gid, mtime }) => ({ path, mode, uid, gid, mtime }));
    const byPath = (a: { readonly path: string }, b: { readonly path: string }): number => (a.path < b.path ? -1 : 1);
    assert.deepEqual(found.sort(byPath), expected.sort(byPath));
    for (const { path, sha256 } of first!.files!.filter((file) => file.sha256 !== undefined && file.size! < MIB)) {
      const entry = volume.byPath.get(path.slice(1));
      assert.ok(entry?.kind === 'file');
      assert.equal(Buffer.from(await digest(entry.content, createHash('sha256'))).toString('hex'), sha256);
    }
  });

  test('the cases that fail there for want of room work here', () => {
    const failed = cases.filter(({ rc }) => rc !== 0);
    assert.equal(failed.length, 6);
    for (const one of failed) {
      const { size, table } = tableOf(one, BIG);
      assert.ok(size >= one.size);
      const { firstLba, lastLba } = table.partitions.get('IMAGECACHE')!;
      layoutImageCachePartition(BIG, { size: (lastLba + 1 - firstLba) * 512 }, one.epoch);
    }
  });
});

describe('the partition', () => {
  const traits = traitsOf('v1.7.0');

  test('comes behind the one that takes what is left', () => {
    const { partitions } = layoutPartitions('grub', traits, { size: 6000 * MIB, imageCacheSize: 77 * MIB });
    const places = [...partitions].map(([name, { firstLba, lastLba }]) => [
      name,
      firstLba / 2048,
      (lastLba + 1) / 2048,
    ]);
    assert.deepEqual(places.slice(-2), [
      ['EPHEMERAL', 1203, 5999 - 77],
      ['IMAGECACHE', 5999 - 77, 5999],
    ]);
  });

  test('is part of the smallest disk', () => {
    const least = (1204 + 77) * MIB + 34 * 512;
    layoutPartitions('grub', traits, { size: least, imageCacheSize: 77 * MIB });
    assert.throws(
      () => layoutPartitions('grub', traits, { size: least - 1, imageCacheSize: 77 * MIB }),
      (error) =>
        error instanceof ImagerError &&
        error.code === 'install' &&
        /want at least 1343243264, .*IMAGECACHE 77 MiB/.test(error.message),
    );
  });

  test('holds its files whatever their number and size, and never less than a fifth is added', () => {
    const many = Object.fromEntries(Array.from({ length: 3000 }, (_, index) => [`blob/sha256-${index}`, 'x']));
    for (const tree of [
      treeOfLiterals({ blob: null }),
      treeOfLiterals(many),
      treeOfLiterals({ big: unread(20_000_000_000) }),
    ]) {
      const content = tree.entries.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.content.size : 0), 0);
      const size = imageCachePartitionSize(tree, 0);
      assert.equal(size % MIB, 0);
      assert.ok(size >= content * 1.2 - 1, `${size} for ${content}`);
      assert.equal(layoutImageCachePartition(tree, { size }, 0).size, size);
    }
  });

  test('a large cache costs no memory', () => {
    const tree = treeOfLiterals({ 'blob/sha256-x': unread(20_000_000_000) });
    const { extents } = layoutImageCachePartition(tree, { size: imageCachePartitionSize(tree, 0) }, 0);
    const memory = extents.reduce((sum, { kind, length }) => sum + (kind === 'memory' ? length : 0), 0);
    assert.ok(memory < 8 * MIB, String(memory));
  });
});
