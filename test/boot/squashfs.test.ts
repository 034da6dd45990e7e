/** The kernel of the demonstration image mounts our squashfs images and reads all of them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeToFile } from '../../src/bytes/write.ts';
import { type SquashfsOptions, squashTree } from '../../src/formats/squashfs/write.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { type GuestVolume, guestLines, mountInGuest, skipWithoutGuestVolumes } from '../support/guest-volumes.ts';
import { EPOCH, formsTree } from '../support/squashfs-trees.ts';

/** Those of upstream, what is made where the native coder is missing, and the largest blocks. */
const VARIANTS: readonly (Pick<SquashfsOptions, 'compressor' | 'blockSize'> & { readonly native?: false })[] = [
  { compressor: { name: 'zstd', level: 18 } },
  { compressor: { name: 'xz' } },
  { compressor: { name: 'xz' }, native: false },
  { compressor: { name: 'zstd', level: 3 }, blockSize: 1 << 20 },
];

test('a guest mounts our images and finds all in them', { skip: skipWithoutGuestVolumes() }, async (t) => {
  const platform = nodePlatform();
  const scratch = mkdtempSync(join(tmpdir(), 'bootwright-squashfs-boot-'));
  t.after(async () => {
    rmSync(scratch, { recursive: true });
    await platform.close();
  });
  const tree = formsTree();
  const plain = { ...platform, compression: { ...platform.compression, lzma2: undefined } };
  const volumes: GuestVolume[] = [];
  for (const [index, { native, ...options }] of VARIANTS.entries()) {
    const image = join(scratch, `${index}.img`);
    const bytes = await squashTree(tree, { ...options, epoch: EPOCH }, native === false ? plain : platform);
    await writeToFile(platform.files, image, bytes);
    volumes.push({ image, sectorSize: 512, readOnly: true });
  }
  const reports = await mountInGuest(volumes, { fileSystem: 'squashfs', modules: ['squashfs'], scratch });
  const expected = await guestLines(tree);
  for (const [index, report] of reports.entries()) {
    const lines = new Set(report);
    assert.deepEqual(
      expected.filter((line) => !lines.has(line)),
      [],
      `image ${index}`,
    );
    assert.ok(lines.has('closed'), report.join('\n'));
    assert.deepEqual(
      report.filter((line) => /SQUASHFS/i.test(line)),
      [],
    );
  }
});
