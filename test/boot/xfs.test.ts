/** Another kernel than this machine's, the one of the demonstration image, mounts our XFS volumes, reads all of them and writes to them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../src/bytes/units.ts';
import { guidOfLabel } from '../../src/formats/gpt/guid.ts';
import { decodeXfs } from '../../src/formats/xfs/decode.ts';
import type { FeatureSet } from '../../src/formats/xfs/features.ts';
import { layoutXfs } from '../../src/formats/xfs/layout.ts';
import { skipWithoutDebianPrograms } from '../support/debian-programs.ts';
import {
  assertFound,
  type GuestVolume,
  mountInGuest,
  skipWithoutGuestVolumes,
  WRITTEN,
} from '../support/guest-volumes.ts';
import { imageFiles } from '../support/image-files.ts';
import { complaintsOf, xfsPrograms } from '../support/xfs-programs.ts';
import { EPOCH, oddTree } from '../support/xfs-trees.ts';

const VOLUMES: readonly (readonly [FeatureSet, number])[] = [
  ['lts_6.1', 512],
  ['lts_6.12', 4096],
  ['lts_6.18', 512],
  ['lts_6.18', 4096],
];

const { directory, written, opened } = imageFiles();
const skip = skipWithoutGuestVolumes() || skipWithoutDebianPrograms();

test('a guest mounts our volumes, reads and writes them', { skip }, async () => {
  const tree = oddTree();
  const volumes: GuestVolume[] = [];
  for (const [index, [features, sectorSize]] of VOLUMES.entries()) {
    const options = { label: 'BOOT', uuid: guidOfLabel(`volume ${index}`), features, epoch: EPOCH, sectorSize };
    volumes.push({ image: await written(layoutXfs(tree, 300 * MIB, options).bytes), sectorSize });
  }
  const reports = await mountInGuest(volumes, { fileSystem: 'xfs', modules: ['libcrc32c', 'xfs'], scratch: directory });
  const programs = await xfsPrograms();
  for (const [index, report] of reports.entries()) {
    await assertFound(report, tree, `volume ${index}`);
    const { image } = volumes[index]!;
    assert.deepEqual(complaintsOf(programs, image), []);
    const { tree: back } = await decodeXfs(await opened(image));
    assert.ok(back.byPath.has(WRITTEN) && !back.byPath.has('counts'));
  }
});
