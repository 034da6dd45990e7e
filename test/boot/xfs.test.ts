/** Another kernel than this machine's, the one of the demonstration image, mounts our XFS volumes, reads all of them and writes to them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ofSource } from '../../src/bytes/bytes.ts';
import { MIB } from '../../src/bytes/units.ts';
import { writeToFile } from '../../src/bytes/write.ts';
import { guidOfLabel } from '../../src/formats/gpt/guid.ts';
import { decodeXfs } from '../../src/formats/xfs/decode.ts';
import type { FeatureSet } from '../../src/formats/xfs/features.ts';
import { layoutXfs } from '../../src/formats/xfs/layout.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { skipWithoutDebianPrograms } from '../support/debian-programs.ts';
import {
  type GuestVolume,
  guestLines,
  mountInGuest,
  skipWithoutGuestVolumes,
  WRITTEN,
} from '../support/guest-volumes.ts';
import { complaintsOf, xfsPrograms } from '../support/xfs-programs.ts';
import { EPOCH, oddTree } from '../support/xfs-trees.ts';

const VOLUMES: readonly (readonly [FeatureSet, number])[] = [
  ['lts_6.1', 512],
  ['lts_6.12', 4096],
  ['lts_6.18', 512],
  ['lts_6.18', 4096],
];

const skip = skipWithoutGuestVolumes() || skipWithoutDebianPrograms();

test('a guest mounts our volumes, reads and writes them', { skip }, async (t) => {
  const platform = nodePlatform();
  const scratch = mkdtempSync(join(tmpdir(), 'bootwright-xfs-boot-'));
  t.after(async () => {
    rmSync(scratch, { recursive: true });
    await platform.close();
  });
  const tree = oddTree();
  const volumes: GuestVolume[] = [];
  for (const [index, [features, sectorSize]] of VOLUMES.entries()) {
    const options = { label: 'BOOT', uuid: guidOfLabel(`volume ${index}`), features, epoch: EPOCH, sectorSize };
    const image = join(scratch, `${index}.img`);
    await writeToFile(platform.files, image, layoutXfs(tree, 300 * MIB, options).bytes);
    volumes.push({ image, sectorSize });
  }
  const reports = await mountInGuest(volumes, { fileSystem: 'xfs', modules: ['libcrc32c', 'xfs'], scratch });
  const expected = await guestLines(tree);
  const programs = await xfsPrograms();
  for (const [index, report] of reports.entries()) {
    const lines = new Set(report);
    assert.deepEqual(
      expected.filter((line) => !lines.has(line)),
      [],
    );
    assert.ok(lines.has('closed'), report.join('\n'));
    const { image } = volumes[index]!;
    assert.deepEqual(complaintsOf(programs, image), []);
    const { tree: back } = await decodeXfs(ofSource(await platform.files.source(image)));
    assert.ok(back.byPath.has(WRITTEN) && !back.byPath.has('counts'));
  }
});
