/** qemu-img judges our disk images, and our readers judge its. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Bytes, concat, ofMemory, ofSource, padTo, place, slice, zeros } from '../../src/bytes/bytes.ts';
import { digest, equals, read } from '../../src/bytes/read.ts';
import { MIB, parseDigest } from '../../src/bytes/units.ts';
import { writeToFile } from '../../src/bytes/write.ts';
import { guidOfLabel } from '../../src/formats/gpt/guid.ts';
import { layoutOva } from '../../src/formats/ova/layout.ts';
import { decodeQcow2 } from '../../src/formats/qcow2/decode.ts';
import { layoutQcow2 } from '../../src/formats/qcow2/layout.ts';
import { decodeVhd } from '../../src/formats/vhd/decode.ts';
import { layoutVhd } from '../../src/formats/vhd/layout.ts';
import { compressGrains, readCompressedGrains } from '../../src/formats/vmdk/compressed-grains.ts';
import { decodeVmdk } from '../../src/formats/vmdk/decode.ts';
import { layoutVmdk } from '../../src/formats/vmdk/layout.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { memorySource, stream } from '../support/bytes.ts';
import { sampleDisk } from '../support/disks.ts';
import { run, skipWithout } from '../support/tools.ts';
import { deflate, inflate } from '../support/zlib.ts';

const skip = skipWithout('qemu-img');
const platform = nodePlatform();
const directory = mkdtempSync(join(tmpdir(), 'bootwright-disks-'));
after(async () => {
  rmSync(directory, { recursive: true });
  await platform.close();
});

async function written(name: string, bytes: Bytes): Promise<string> {
  const path = join(directory, name);
  await writeToFile(platform.files, path, bytes);
  return path;
}

async function fromFile(path: string): Promise<Bytes> {
  return ofSource(await platform.files.source(path));
}

interface Info {
  readonly 'virtual-size': number;
  readonly format: string;
  readonly 'cluster-size'?: number;
  readonly 'format-specific'?: { readonly data: Readonly<Record<string, unknown>> };
}

function info(path: string, format: string): Info {
  return JSON.parse(run('qemu-img', 'info', '-f', format, '--output=json', path)) as Info;
}

/** Throws when contents differ; what is longer may have zeros at its end. */
function compare(raw: string, path: string, format: string): void {
  assert.match(run('qemu-img', 'compare', '-f', 'raw', '-F', format, raw, path), /Images are identical/);
}

/** Content that no two clusters share and that has no zeros, so that qemu-img sees what the extents say. */
const apart = ofSource(memorySource(stream('apart', 5 * MIB).map((byte) => byte | 1)));

const DISKS: Readonly<Record<string, Bytes>> = {
  sample: sampleDisk().disk,
  zero: zeros(64 * MIB),
  'one sector': ofMemory(stream('sector', 512)),
  'nothing shared': place(600 * MIB, [
    { at: 0, bytes: slice(apart, 0, 512) },
    { at: MIB, bytes: slice(apart, MIB, 3 * MIB) },
    { at: 550 * MIB + 4096, bytes: slice(apart, 3 * MIB, 5 * MIB - 8192) },
    { at: 600 * MIB - 512, bytes: slice(apart, 512, 1024) },
  ]),
};

for (const [name, disk] of Object.entries(DISKS)) {
  for (const clusterSize of [512, 8192, 65536, 2 * MIB]) {
    test(`qcow2 of ${name}, clusters of ${clusterSize}`, { skip }, async () => {
      const raw = await written('disk.raw', disk);
      const file = layoutQcow2(disk, { clusterSize });
      const path = await written('disk.qcow2', file);
      const check = JSON.parse(run('qemu-img', 'check', '--output=json', '-f', 'qcow2', path)) as Record<
        string,
        number
      >;
      // A leak or an error makes the program fail; the counts are absent when they are zero.
      assert.deepEqual([check['check-errors'], check.leaks ?? 0, check.corruptions ?? 0], [0, 0, 0]);
      assert.equal(check['image-end-offset'], file.size);
      compare(raw, path, 'qcow2');
      const { 'virtual-size': size, 'cluster-size': clusters, 'format-specific': specific } = info(path, 'qcow2');
      assert.deepEqual([size, clusters], [disk.size, clusterSize]);
      assert.deepEqual(specific?.data, {
        compat: '1.1',
        'compression-type': 'zlib',
        'lazy-refcounts': false,
        'refcount-bits': 16,
        corrupt: false,
        'extended-l2': false,
      });
      const theirs = join(directory, 'theirs.qcow2');
      run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-o', `cluster_size=${clusterSize}`, raw, theirs);
      assert.ok(await equals(await decodeQcow2(await fromFile(theirs)), disk));
      // With clusters of 512 there is no room for feature names in theirs, and their refcount table grows while they write.
      if (clusterSize === 512) return;
      const unshared = layoutQcow2(disk, { clusterSize, shareClusters: false });
      // Theirs ends with the last byte that was written.
      const end = await fromFile(theirs);
      assert.ok(await equals(unshared, padTo(end, unshared.size)), 'byte for byte');
    });
  }

  test(`VHD of ${name}`, { skip }, async () => {
    const raw = await written('disk.raw', disk);
    const path = await written('disk.vhd', layoutVhd(disk, { epoch: 1559424892, uuid: guidOfLabel(name) }));
    compare(raw, path, 'vpc');
    assert.equal(info(path, 'vpc')['virtual-size'], disk.size);
    const theirs = join(directory, 'theirs.vhd');
    run('qemu-img', 'convert', '-f', 'raw', '-O', 'vpc', '-o', 'subformat=fixed,force_size', raw, theirs);
    const back = await decodeVhd(await fromFile(theirs));
    const epoch = back.footer.timestamp + 946684800;
    const same = layoutVhd(disk, { epoch, uuid: back.footer.uuid });
    assert.ok(await equals(same, await fromFile(theirs)), 'byte for byte with its time and UUID');
  });

  test(`VMDK of ${name}`, { skip }, async () => {
    const raw = await written('disk.raw', disk);
    const path = await written('disk.vmdk', await vmdkOf(disk));
    run('qemu-img', 'check', '-f', 'vmdk', path);
    compare(raw, path, 'vmdk');
    const { 'virtual-size': size, 'format-specific': specific } = info(path, 'vmdk');
    assert.equal(size, disk.size);
    assert.equal(specific?.data['create-type'], 'streamOptimized');
    const theirs = join(directory, 'theirs.vmdk');
    run('qemu-img', 'convert', '-f', 'raw', '-O', 'vmdk', '-o', 'subformat=streamOptimized', raw, theirs);
    const back = await decodeVmdk(await fromFile(theirs), inflate, { key: name });
    assert.ok(await equals(back.disk, disk));
  });
}

async function vmdkOf(disk: Bytes): Promise<Bytes> {
  const pack = await platform.files.create(join(directory, `grains ${packs++}`));
  let position = 0;
  await compressGrains(disk, deflate, {
    async write(chunk) {
      await pack.write(position, chunk);
      position += chunk.length;
    },
  });
  await pack.close();
  return layoutVmdk(disk.size, await readCompressedGrains(await fromFile(pack.path)));
}
let packs = 0;

test('a guest may write to shared clusters of a qcow2: each copy is its own', {
  skip: skipWithout('qemu-img', 'qemu-io'),
}, async () => {
  const content = slice(apart, 0, MIB);
  const disk = place(8 * MIB, [
    { at: MIB, bytes: content },
    { at: 4 * MIB, bytes: content },
  ]);
  const path = await written('shared.qcow2', layoutQcow2(disk));
  run('qemu-io', '-f', 'qcow2', '-c', 'write -P 0xaa 1M 64k', path);
  const changed = await decodeQcow2(await fromFile(path));
  assert.ok(await equals(slice(changed, 4 * MIB), slice(disk, 4 * MIB)), 'the second copy is as it was');
  assert.deepEqual(await read(changed, MIB, 65536), new Uint8Array(65536).fill(0xaa));
  // The copy that is left lacks its COPIED bit, which is all that check finds and repairs.
  run(
    'qemu-io',
    '-f',
    'qcow2',
    '-c',
    'write -P 0xbb 4M 64k',
    '-c',
    'discard 1M 1M',
    '-c',
    'write -P 0xcc 4160k 64k',
    path,
  );
  run('qemu-img', 'check', '-q', '-r', 'all', '-f', 'qcow2', path);
  run('qemu-img', 'check', '-f', 'qcow2', path);
  const last = await decodeQcow2(await fromFile(path));
  assert.ok(await equals(slice(last, 4 * MIB + 131072), slice(disk, 4 * MIB + 131072)));
  assert.deepEqual(await read(last, 4 * MIB, 65536), new Uint8Array(65536).fill(0xbb));
  assert.deepEqual(await read(last, 4 * MIB + 65536, 65536), new Uint8Array(65536).fill(0xcc));
});

test('an OVA', { skip: skipWithout('qemu-img', 'tar') }, async () => {
  const disk = concat([sampleDisk().disk, zeros(4 * MIB - 1536)]);
  const vmdk = await vmdkOf(disk);
  const vmdkDigest = parseDigest(`sha256:${Buffer.from(await digest(vmdk, platform.hash('sha256'))).toString('hex')}`);
  const ova = layoutOva(vmdk, { diskSize: disk.size, vmdkDigest, mtime: 1559424892 });
  const path = await written('disk.ova', ova);
  assert.deepEqual(run('tar', '-tf', path).split('\n'), ['disk.ovf', 'disk.mf', 'disk.vmdk', '']);
  const unpacked = join(directory, 'ova');
  mkdirSync(unpacked);
  run('tar', '-xf', path, '-C', unpacked);
  const hex = (name: string): string =>
    createHash('sha256')
      .update(readFileSync(join(unpacked, name)))
      .digest('hex');
  const manifest = `SHA256(disk.vmdk)= ${hex('disk.vmdk')}\nSHA256(disk.ovf)= ${hex('disk.ovf')}\n`;
  assert.equal(readFileSync(join(unpacked, 'disk.mf'), 'utf8'), manifest);
  compare(await written('disk.raw', disk), join(unpacked, 'disk.vmdk'), 'vmdk');
});
