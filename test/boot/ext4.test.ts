/** The kernel of the demonstration image mounts our ext4 volumes, reads all of them and writes to them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ofSource, zeros } from '../../src/bytes/bytes.ts';
import { MIB } from '../../src/bytes/units.ts';
import { writeToFile } from '../../src/bytes/write.ts';
import { decodeExt4 } from '../../src/formats/ext4/decode.ts';
import { layoutExt4, minimumExt4Size } from '../../src/formats/ext4/layout.ts';
import { guidOfLabel } from '../../src/formats/gpt/guid.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { type Tree, treeOf } from '../../src/tree/tree.ts';
import { skipWithoutDebianPrograms } from '../support/debian-programs.ts';
import { ext4Complaints, ext4Programs } from '../support/ext4-programs.ts';
import { ext4OddTree, withLostAndFound } from '../support/ext4-trees.ts';
import {
  type GuestVolume,
  guestLines,
  mountInGuest,
  skipWithoutGuestVolumes,
  WRITTEN,
} from '../support/guest-volumes.ts';
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

const skip = skipWithoutGuestVolumes() || skipWithoutDebianPrograms();

test('a guest mounts our volumes, reads and writes them', { skip }, async (t) => {
  const platform = nodePlatform();
  const scratch = mkdtempSync(join(tmpdir(), 'bootwright-ext4-boot-'));
  t.after(async () => {
    rmSync(scratch, { recursive: true });
    await platform.close();
  });
  const volumes: GuestVolume[] = [];
  for (const [index, variant] of VARIANTS.entries()) {
    const { blockSize, sectorSize } = variant;
    const tree = treeOfVariant(variant);
    const uuid = guidOfLabel(`volume ${index}`);
    const options = { label: 'IMAGECACHE', uuid, hashSeed: uuid, epoch: EPOCH, blockSize };
    const size = variant.size === undefined ? minimumExt4Size(tree, options) + MIB : variant.size * MIB;
    const image = join(scratch, `${index}.img`);
    await writeToFile(platform.files, image, layoutExt4(tree, { ...options, size }));
    volumes.push({ image, sectorSize });
  }
  const reports = await mountInGuest(volumes, { fileSystem: 'ext4', scratch });
  const programs = await ext4Programs(EPOCH);
  for (const [index, report] of reports.entries()) {
    const lines = new Set(report);
    const expected = await guestLines(withLostAndFound(treeOfVariant(VARIANTS[index]!)));
    assert.deepEqual(
      expected.filter((line) => !lines.has(line)),
      [],
      `volume ${index}`,
    );
    assert.ok(lines.has('closed'), report.join('\n'));
    // The kernel says where it finds something wrong, or has to leave something out.
    assert.deepEqual(
      report.filter((line) => /EXT4-fs|JBD2/.test(line)),
      [],
    );
    const { image } = volumes[index]!;
    assert.deepEqual(ext4Complaints(programs, image), []);
    const back = await decodeExt4(ofSource(await platform.files.source(image)));
    assert.ok(back.byPath.has(WRITTEN) && !back.byPath.has('counts'));
  }
});
