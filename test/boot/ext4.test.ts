/** The kernel of the demonstration image mounts our ext4 volumes, reads all of them and writes to them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zeros } from '../../src/bytes/bytes.ts';
import { MIB } from '../../src/bytes/units.ts';
import { decodeExt4 } from '../../src/formats/ext4/decode.ts';
import { layoutExt4, minimumExt4Size } from '../../src/formats/ext4/layout.ts';
import { guidOfLabel } from '../../src/formats/gpt/guid.ts';
import { type Tree, treeOf } from '../../src/tree/tree.ts';
import { skipWithoutDebianPrograms } from '../support/debian-programs.ts';
import { ext4Complaints, ext4Programs } from '../support/ext4-programs.ts';
import { ext4OddTree, withLostAndFound } from '../support/ext4-trees.ts';
import {
  assertFound,
  type GuestVolume,
  mountInGuest,
  skipWithoutGuestVolumes,
  WRITTEN,
} from '../support/guest-volumes.ts';
import { imageFiles } from '../support/image-files.ts';
import { EPOCH } from '../support/xfs-trees.ts';

interface Variant {
  readonly blockSize: number;
  readonly sectorSize: number;
  /** MiB; none stands for one more than the least that holds the tree. */
  readonly size?: number;
  /** MiB: a file whose extents need a tree. */
  readonly large?: number;
}

const VARIANTS: readonly Variant[] = [
  { blockSize: 4096, sectorSize: 512, size: 600 },
  { blockSize: 4096, sectorSize: 4096, size: 100 },
  { blockSize: 1024, sectorSize: 512, size: 300, large: 150 },
  { blockSize: 4096, sectorSize: 512 },
];

function treeOfVariant({ blockSize, large = 0 }: Variant): Tree {
  const odd = ext4OddTree(blockSize);
  const file = { path: 'large', mode: 0o644, uid: 0, gid: 0, mtime: EPOCH, content: zeros(large * MIB) } as const;
  return treeOf([...odd.entries, { kind: 'file', ...file }]);
}

const { directory, written, opened } = imageFiles();
const skip = skipWithoutGuestVolumes() || skipWithoutDebianPrograms();

test('a guest mounts our volumes, reads and writes them', { skip }, async () => {
  const volumes: GuestVolume[] = [];
  for (const [index, variant] of VARIANTS.entries()) {
    const { blockSize, sectorSize } = variant;
    const tree = treeOfVariant(variant);
    const uuid = guidOfLabel(`volume ${index}`);
    const options = { label: 'IMAGECACHE', uuid, hashSeed: uuid, epoch: EPOCH, blockSize };
    const size = variant.size === undefined ? minimumExt4Size(tree, options) + MIB : variant.size * MIB;
    volumes.push({ image: await written(layoutExt4(tree, { ...options, size })), sectorSize });
  }
  const reports = await mountInGuest(volumes, { fileSystem: 'ext4', scratch: directory });
  const programs = await ext4Programs(EPOCH);
  for (const [index, report] of reports.entries()) {
    await assertFound(report, withLostAndFound(treeOfVariant(VARIANTS[index]!)), `volume ${index}`);
    // The kernel says where it finds something wrong, or has to leave something out.
    assert.deepEqual(
      report.filter((line) => /EXT4-fs|JBD2/.test(line)),
      [],
    );
    const { image } = volumes[index]!;
    assert.deepEqual(ext4Complaints(programs, image), []);
    const back = await decodeExt4(await opened(image));
    assert.ok(back.byPath.has(WRITTEN) && !back.byPath.has('counts'));
  }
});
