/** A guest mounts the IMAGECACHE partition of a disk and the ISO that were built with a cache, and finds every file of it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCacheDirectory } from '../../src/imagecache/directory.ts';
import { build } from '../../src/pipeline/build.ts';
import { createImageCache } from '../../src/pipeline/image-cache-create.ts';
import { planBuild } from '../../src/pipeline/plan.ts';
import { writeArtifact } from '../../src/pipeline/write-artifact.ts';
import type { GivenProfile } from '../../src/profiles/profile.ts';
import { onePlatform, signatureOf, signatureTag, twoPlatforms } from '../support/cached-images.ts';
import { type GuestVolume, guestLines, mountInGuest, skipWithoutGuestVolumes } from '../support/guest-volumes.ts';
import { randomBytes, testImage } from '../support/image.ts';
import { assetFiles, EPOCH, testRequest, testWorkplace, writeFiles } from '../support/pipeline.ts';
import { startRegistry } from '../support/registry.ts';

const skip = skipWithoutGuestVolumes();

test('every file of the cache is in the disk and in the ISO', { skip }, async (t) => {
  await using workplace = await testWorkplace();
  const scratch = mkdtempSync(join(tmpdir(), 'bootwright-cache-boot-'));
  t.after(() => rmSync(scratch, { recursive: true }));
  const registry = await startRegistry();
  t.after(() => registry.close());
  const large = testImage([{ data: randomBytes(40_000_000, 5) }], { os: 'linux', architecture: 'amd64' });
  const images = { app: twoPlatforms(1), tool: onePlatform(11), large };
  for (const [name, image] of Object.entries(images)) registry.serve(`team/${name}`, 'v1', image);
  registry.serve('team/app', signatureTag(images.app), signatureOf(images.app));
  const directory = join(workplace.directory, 'cache');
  await createImageCache(workplace, {
    references: Object.keys(images).map((name) => `${registry.host}/team/${name}:v1`),
    architectures: ['amd64'],
    target: { kind: 'directory', directory },
    signatures: true,
    epoch: EPOCH,
  });

  const assets = join(workplace.directory, 'assets');
  await writeFiles(assets, assetFiles());
  const built = async (name: string, given: GivenProfile): Promise<string> => {
    const input = { imageCache: { ociPath: directory } };
    const request = testRequest({ arch: 'amd64', input, ...given }, { assets: `dir:${assets}` });
    const artifact = await build(workplace, request, await planBuild(workplace, request, { resolve: false }));
    return writeArtifact(workplace.platform, artifact, join(scratch, name));
  };
  const disk = (diskSectorSize: number): GivenProfile => ({
    baseProfileName: 'metal',
    output: { outFormat: 'raw', imageOptions: { bootloader: 'sd-boot', diskSectorSize } },
  });
  const iso: GivenProfile = { baseProfileName: 'iso', output: { isoOptions: { bootloader: 'sd-boot' } } };
  const partition = { partition: 3, fileSystem: 'ext4', readOnly: true } as const;
  const volumes: GuestVolume[] = [
    { image: await built('512', disk(512)), sectorSize: 512, ...partition },
    { image: await built('4096', disk(4096)), sectorSize: 4096, ...partition },
    { image: await built('iso', iso), sectorSize: 512, fileSystem: 'iso9660', readOnly: true },
  ];

  const reports = await mountInGuest(volumes, { fileSystem: 'ext4', modules: ['cdrom', 'isofs'], scratch });
  const expected = await guestLines(await readCacheDirectory(workplace.platform.files, directory));
  const sums = expected.filter((line) => /^[0-9a-f]{64} {2}/.test(line));
  // Nine blobs, one of them 40 MB; five documents; four tags, one of them of a signature.
  assert.equal(sums.length, 18);
  for (const [index, report] of reports.entries()) {
    const isIso = volumes[index]!.fileSystem === 'iso9660';
    const lines = new Set(report.map((line) => (isIso ? line.replace('  ./imagecache/', '  ./') : line)));
    assert.deepEqual(
      sums.filter((line) => !lines.has(line)),
      [],
      report.join('\n'),
    );
    assert.ok(lines.has('closed'));
    assert.deepEqual(
      report.filter((line) => /EXT4-fs|JBD2|ISOFS.*(?:error|bad)/.test(line)),
      [],
    );
  }
});
