import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bytes, concat, ofMemory, ofSource, place, zeros } from '../../../src/bytes/bytes.ts';
import { equals, read } from '../../../src/bytes/read.ts';
import { decodeQcow2 } from '../../../src/formats/qcow2/decode.ts';
import { layoutQcow2 } from '../../../src/formats/qcow2/layout.ts';
import { parseQcow2Options } from '../../../src/formats/qcow2/options.ts';
import { memorySource, stream } from '../../support/bytes.ts';
import { sampleDisk } from '../../support/disks.ts';
import { vectorLines } from '../../support/vectors.ts';

interface FormatVector {
  readonly id: string;
  readonly profile: string;
  readonly disk?: { readonly size: number };
  readonly qcow2?: {
    readonly header: Readonly<Record<string, number | string>>;
    readonly disk: { readonly size: number };
  };
}

const CLUSTER_SIZES = [512, 8192, 65536, 2 << 20];

/** Header fields under the names of the vectors. */
async function headerOf(file: Bytes): Promise<Readonly<Record<string, number | string>>> {
  const data = Buffer.from(await read(file, 0, 112));
  const u64 = (at: number): number => Number(data.readBigUInt64BE(at));
  return {
    magic: `0x${data.toString('hex', 0, 4)}`,
    version: data.readUInt32BE(4),
    backingFileOffset: u64(8),
    backingFileSize: data.readUInt32BE(16),
    clusterBits: data.readUInt32BE(20),
    size: u64(24),
    cryptMethod: data.readUInt32BE(32),
    l1Size: data.readUInt32BE(36),
    l1TableOffset: u64(40),
    refcountTableOffset: u64(48),
    refcountTableClusters: data.readUInt32BE(56),
    nbSnapshots: data.readUInt32BE(60),
    snapshotsOffset: u64(64),
    incompatible: u64(72),
    compatible: u64(80),
    autoclear: u64(88),
    refcountOrder: data.readUInt32BE(96),
    headerLength: data.readUInt32BE(100),
  };
}

for (const { id, profile, qcow2 } of vectorLines<FormatVector>('images/disk-formats.jsonl.gz')) {
  if (qcow2 === undefined) continue;
  test(`${id}: the header of upstream's file`, async () => {
    const options = parseQcow2Options(/diskFormatOptions: (\S*)/.exec(profile)?.[1] ?? '');
    assert.deepEqual(await headerOf(layoutQcow2(zeros(qcow2.disk.size), options)), qcow2.header);
  });
}

/** Counts what the tables refer to and holds it against the refcounts and the COPIED bits; gives the stored clusters of the disk. */
async function audit(file: Bytes): Promise<{ readonly mapped: number; readonly stored: number }> {
  const header = await headerOf(file);
  const size = 2 ** Number(header.clusterBits);
  const all = Buffer.from(await read(file));
  assert.equal(all.length % size, 0);
  const found = new Array<number>(all.length / size).fill(0);
  const refer = (offset: number): void => {
    assert.equal(offset % size, 0);
    found[offset / size]!++;
  };
  const entry = (at: number): { offset: number; copied: boolean } => {
    const value = all.readBigUInt64BE(at);
    return { offset: Number(value & ~(1n << 63n)), copied: value >> 63n === 1n };
  };
  refer(0);
  const table = Number(header.refcountTableOffset);
  const counts: number[] = [];
  for (let cluster = 0; cluster < Number(header.refcountTableClusters); cluster++) refer(table + cluster * size);
  for (let at = table; at < table + Number(header.refcountTableClusters) * size; at += 8) {
    const { offset } = entry(at);
    if (offset === 0) continue;
    refer(offset);
    for (let count = 0; count < size; count += 2) counts.push(all.readUInt16BE(offset + count));
  }
  const l1 = Number(header.l1TableOffset);
  for (let at = 0; at < Number(header.l1Size) * 8; at += size) refer(l1 + at);
  const data = new Set<number>();
  let mapped = 0;
  const bits: { offset: number; copied: boolean }[] = [];
  for (let index = 0; index < Number(header.l1Size); index++) {
    const l2 = entry(l1 + index * 8);
    if (l2.offset === 0) continue;
    refer(l2.offset);
    bits.push(l2);
    for (let at = l2.offset; at < l2.offset + size; at += 8) {
      const cluster = entry(at);
      if (cluster.offset === 0) continue;
      refer(cluster.offset);
      bits.push(cluster);
      data.add(cluster.offset);
      mapped++;
    }
  }
  assert.deepEqual(counts.slice(0, found.length), found);
  assert.ok(counts.slice(found.length).every((count) => count === 0));
  assert.ok(found.every((count) => count > 0));
  for (const { offset, copied } of bits) assert.equal(copied, found[offset / size] === 1, `COPIED of ${offset}`);
  return { mapped, stored: data.size };
}

for (const clusterSize of CLUSTER_SIZES) {
  test(`clusters of ${clusterSize}: every count is right and the disk comes back`, async () => {
    const { disk, source } = sampleDisk();
    const file = layoutQcow2(disk, { clusterSize });
    assert.equal(source.reads.length, 0, 'nothing is read');
    await audit(file);
    const back = await decodeQcow2(file);
    assert.equal(back.size, disk.size);
    assert.ok(await equals(back, disk));
  });
}

test('zeros are not stored, whether they are holes or memory', async () => {
  const disk = concat([zeros(1 << 20), ofMemory(new Uint8Array(1 << 20)), ofMemory(stream('x', 512)), zeros(1 << 20)]);
  assert.deepEqual(await audit(layoutQcow2(disk)), { mapped: 1, stored: 1 });
  assert.deepEqual(await audit(layoutQcow2(zeros(1 << 20))), { mapped: 0, stored: 0 });
  assert.deepEqual(await audit(layoutQcow2(zeros(0))), { mapped: 0, stored: 0 });
});

test('one source range is stored once, however often the disk has it', async () => {
  const content = ofSource(memorySource(stream('shared', 10 * 65536 + 100)));
  const apart = { at: 40 << 20, bytes: content };
  const disk = place(64 << 20, [{ at: 1 << 20, bytes: content }, { at: 2 << 20, bytes: content }, apart]);
  const file = layoutQcow2(disk);
  assert.deepEqual(await audit(file), { mapped: 33, stored: 11 });
  assert.ok(await equals(await decodeQcow2(file), disk));
  const unshared = layoutQcow2(disk, { shareClusters: false });
  assert.deepEqual(await audit(unshared), { mapped: 33, stored: 33 });
  assert.ok(await equals(await decodeQcow2(unshared), disk));
  const outOfStep = place(64 << 20, [
    { at: 1 << 20, bytes: content },
    { ...apart, at: (40 << 20) + 512 },
  ]);
  assert.deepEqual(await audit(layoutQcow2(outOfStep)), { mapped: 22, stored: 22 });
});

test('a count that is full is not counted over: the content is stored again', async () => {
  const content = ofSource(memorySource(stream('often', 512)));
  const times = 65535 + 3;
  const disk = concat(new Array<Bytes>(times).fill(content));
  const file = layoutQcow2(disk, { clusterSize: 512 });
  assert.deepEqual(await audit(file), { mapped: times, stored: 4 });
  assert.ok(await equals(await decodeQcow2(file), disk));
});

test('more clusters than one refcount block counts, and a table of several clusters', async () => {
  const data = ofSource(memorySource(stream('many', 9 << 20)));
  const file = layoutQcow2(data, { clusterSize: 512 });
  await audit(file);
  assert.ok(Number((await headerOf(file)).refcountTableClusters) > 1);
});

test('a tebibyte of holes and 8 GiB of content stay small in memory', async () => {
  const sparse = layoutQcow2(place(2 ** 40, [{ at: 2 ** 39, bytes: ofMemory(stream('x', 512)) }]));
  assert.ok(sparse.size < 4 << 20, `${sparse.size}`);
  const big = { key: 'big', label: 'big', size: 8 * 2 ** 30, read: () => assert.fail('read') };
  const full = layoutQcow2(concat([ofSource(big), ofSource(big)]), { clusterSize: 65536 });
  assert.ok(full.size < 8 * 2 ** 30 + (4 << 20), `${full.size}`);
  const memory = full.extents.reduce((sum, extent) => sum + (extent.kind === 'memory' ? extent.length : 0), 0);
  assert.ok(memory < 4 << 20, `${memory}`);
});

test('disks and clusters that cannot be', () => {
  assert.throws(() => layoutQcow2(zeros(1000)), {
    code: 'invalid-input',
    message: /1000 bytes, want a multiple of 512/,
  });
  for (const clusterSize of [0, 256, 1000, 4 << 20, -512, Number.NaN]) {
    assert.throws(() => layoutQcow2(zeros(512), { clusterSize }), { code: 'invalid-input' }, `${clusterSize}`);
  }
  assert.throws(() => layoutQcow2(zeros(2 ** 40), { clusterSize: 512 }), { code: 'invalid-input', hint: /larger/ });
  // Its L1 table is just small enough, its refcount table is not.
  assert.throws(() => layoutQcow2(zeros(2 ** 37), { clusterSize: 512 }), { code: 'invalid-input', hint: /larger/ });
});
