/** xorriso lists the cache of an ISO, e2fsck, debugfs and mke2fs judge that of a disk, skopeo reads the layout of one. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ofSource, slice } from '../../src/bytes/bytes.ts';
import { writeToFile } from '../../src/bytes/write.ts';
import { decodeGpt, partitionRange } from '../../src/formats/gpt/decode.ts';
import { readCacheDirectory } from '../../src/imagecache/directory.ts';
import { build } from '../../src/pipeline/build.ts';
import { createImageCache } from '../../src/pipeline/image-cache-create.ts';
import { planBuild } from '../../src/pipeline/plan.ts';
import { writeArtifact } from '../../src/pipeline/write-artifact.ts';
import type { GivenProfile } from '../../src/profiles/profile.ts';
import type { Tree } from '../../src/tree/tree.ts';
import { onePlatform, signatureOf, signatureTag, twoPlatforms } from '../support/cached-images.ts';
import { skipWithoutDebianPrograms } from '../support/debian-programs.ts';
import { ext4Complaints, ext4Programs } from '../support/ext4-programs.ts';
import { randomBytes, testImage } from '../support/image.ts';
import { assetFiles, EPOCH, type TestWorkplace, testRequest, testWorkplace, writeFiles } from '../support/pipeline.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { skipWithout } from '../support/tools.ts';

const MIB = 2 ** 20;
const scratch = mkdtempSync(join(tmpdir(), 'bootwright-cache-judged-'));
let workplace: TestWorkplace;
let registry: TestRegistry;
let directory = '';
const references: string[] = [];

before(async () => {
  workplace = await testWorkplace();
  registry = await startRegistry();
  const app = twoPlatforms(1);
  const large = testImage([{ data: randomBytes(5 * MIB, 5) }], { os: 'linux', architecture: 'arm64' });
  for (const [name, image] of Object.entries({ app, large, tool: onePlatform(11, 'arm64') })) {
    registry.serve(`team/${name}`, 'v1', image);
    references.push(`${registry.host}/team/${name}:v1`);
  }
  registry.serve('team/app', signatureTag(app), signatureOf(app));
  directory = join(workplace.directory, 'cache');
  await create({ kind: 'directory', directory });
  await writeFiles(join(workplace.directory, 'assets'), assetFiles());
});
after(async () => {
  rmSync(scratch, { recursive: true });
  await registry.close();
  await workplace[Symbol.asyncDispose]();
});

async function create(target: Parameters<typeof createImageCache>[1]['target']): Promise<void> {
  await createImageCache(workplace, { references, architectures: ['arm64'], target, signatures: true, epoch: EPOCH });
}

async function built(name: string, given: GivenProfile, ociPath: string = directory): Promise<string> {
  const request = testRequest(
    { arch: 'arm64', input: { imageCache: { ociPath } }, ...given },
    { assets: `dir:${join(workplace.directory, 'assets')}` },
  );
  const artifact = await build(workplace, request, await planBuild(workplace, request, { resolve: false }));
  return writeArtifact(workplace.platform, artifact, join(scratch, name));
}

/** Hex SHA-256 of the files of the cache, by path. */
async function sumsOf(cache: Tree): Promise<Map<string, string>> {
  const sums = new Map<string, string>();
  for (const { kind, path } of cache.entries) {
    if (kind === 'file') sums.set(path, sha256(await readFile(join(directory, path))));
  }
  return sums;
}

function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

test('xorriso finds every file of the cache in the ISO', { skip: skipWithout('xorriso') }, async () => {
  const iso = await built('iso', { baseProfileName: 'iso' });
  const target = join(scratch, 'extracted');
  execFileSync('xorriso', ['-osirrox', 'on', '-indev', iso, '-extract', '/imagecache', target], { stdio: 'ignore' });
  const sums = await sumsOf(await readCacheDirectory(workplace.platform.files, directory));
  const listed = execFileSync('xorriso', ['-indev', iso, '-find', '/imagecache', '-type', 'f'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const paths = [...listed.matchAll(/^'\/imagecache\/(.*)'$/gm)].map(([, path]) => path!);
  assert.deepEqual(paths.sort(), [...sums.keys()].sort());
  for (const [path, sum] of sums) assert.equal(sha256(await readFile(join(target, path))), sum, path);
});

describe('the partition of a disk', { skip: skipWithoutDebianPrograms() }, () => {
  for (const diskSectorSize of [512, 4096]) {
    test(`sectors of ${diskSectorSize} bytes: e2fsck finds nothing, debugfs every file`, async () => {
      const programs = await ext4Programs(EPOCH);
      const { files } = workplace.platform;
      const imageOptions = { bootloader: 'sd-boot', diskSectorSize } as const;
      const disk = await built(`disk-${diskSectorSize}`, {
        baseProfileName: 'metal',
        output: { outFormat: 'raw', imageOptions },
      });
      const bytes = ofSource(await files.source(disk));
      const gpt = await decodeGpt(bytes);
      const [number, partition] = [...gpt.partitions].at(-1)!;
      assert.equal(number, 3);
      assert.equal(partition.name, 'IMAGECACHE');
      assert.equal(partition.type.toUpperCase(), '0FC63DAF-8483-4772-8E79-3D69D8477DE4');
      const { offset, size } = partitionRange(gpt, partition);
      const volume = join(scratch, `volume-${diskSectorSize}`);
      await writeToFile(files, volume, slice(bytes, offset, offset + size));
      assert.deepEqual(ext4Complaints(programs, volume), []);

      const header = programs.run('dumpe2fs', '-h', volume).text;
      for (const line of [
        /^Filesystem volume name: +IMAGECACHE$/m,
        /^Filesystem UUID: +3b5449bc-c21f-8009-8b51-18945967f8df$/m,
        /^Directory Hash Seed: +3b5449bc-c21f-8009-8b51-18945967f8df$/m,
        /^Block size: +4096$/m,
        /^Filesystem state: +clean$/m,
      ]) {
        assert.match(header, line);
      }
      const target = join(scratch, `dumped-${diskSectorSize}`);
      await files.makeDirectory(target);
      const dumped = programs.run('debugfs', '-R', `rdump / ${target}`, volume);
      assert.equal(dumped.code, 0, dumped.text);
      const sums = await sumsOf(await readCacheDirectory(files, directory));
      for (const [path, sum] of sums) assert.equal(sha256(await readFile(join(target, path))), sum, path);
    });
  }
});

test('skopeo reads the layout of a cache, and copies of it are built with', {
  skip: skipWithout('skopeo'),
}, async () => {
  const layout = join(scratch, 'layout');
  await create({ kind: 'layout', directory: layout, name: 'cache' });
  const skopeo = (...args: readonly string[]): string =>
    execFileSync('skopeo', ['--override-os=linux', '--override-arch=arm64', ...args], { encoding: 'utf8' });
  const { Architecture, Os, Layers } = JSON.parse(skopeo('inspect', `oci:${layout}:cache`));
  assert.deepEqual([Os, Architecture, Layers.length], ['linux', 'arm64', 1]);
  const copy = join(scratch, 'copy');
  skopeo('copy', '--quiet', '--insecure-policy', `oci:${layout}:cache`, `oci:${copy}:cache`);
  // Of its own accord skopeo compresses layers.
  const [one, other] = [
    await built('from-layout', { baseProfileName: 'iso' }, layout),
    await built('from-copy', { baseProfileName: 'iso' }, copy),
  ];
  assert.equal(sha256(await readFile(one)), sha256(await readFile(other)));
});
