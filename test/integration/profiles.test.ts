/** Every built-in profile, for both architectures: name, format, size of the result. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { build } from '../../src/pipeline/build.ts';
import { DEFAULT_EPOCH } from '../../src/pipeline/epoch.ts';
import { planBuild } from '../../src/pipeline/plan.ts';
import { writeArtifact } from '../../src/pipeline/write-artifact.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { BUILT_IN_PROFILES } from '../../src/profiles/built-in.ts';
import { finaliseProfile, resolveProfile } from '../../src/profiles/resolve.ts';
import { skipWithoutGrub } from '../support/grub.ts';
import { writeVectorLayout } from '../support/installer-vectors.ts';
import { keysIn, writeTestKeys } from '../support/secureboot.ts';
import { writeSyntheticAssets } from '../support/synthetic-assets.ts';

const skip = skipWithoutGrub('i386-pc', 'zstd', 'gzip', 'qemu-img', 'tar');
const platform = nodePlatform();
let directory = '';
let layout = '';
let base = '';

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootwright-profiles-'));
  layout = join(directory, 'layout');
  await writeSyntheticAssets(layout);
  base = await writeVectorLayout(directory, 'base1');
  await writeTestKeys(directory);
});

after(async () => {
  await platform.close();
  await rm(directory, { recursive: true });
});

for (const name of BUILT_IN_PROFILES.keys()) {
  for (const arch of ['amd64', 'arm64'] as const) {
    const profile = finaliseProfile(resolveProfile({ baseProfileName: name, arch }));
    test(`${name} ${arch}`, { skip }, async () => {
      const workplace = { platform, store: join(directory, 'store'), transport: {} };
      const baseInstaller = { ...profile.input.baseInstaller, ociPath: base };
      const secureboot = profile.secureboot === true ? keysIn(directory) : null;
      const input = { ...profile.input, baseInstaller, secureboot };
      const request = {
        profile: { ...profile, input },
        epoch: DEFAULT_EPOCH,
        assets: { kind: 'layout', directory: layout } as const,
      };
      const plan = await planBuild(workplace, request, { resolve: false });
      const artifact = await build(workplace, request, plan);
      assert.equal(artifact.name, plan.outputs[0]!.path);
      const path = await writeArtifact(platform, artifact, join(directory, 'out'));
      await judge(path, profile.output.imageOptions?.diskSize);
      await rm(path);
    });
  }
}

/** By the programs users look at images with. Whether packed content comes back is another test's: here are 40 disks of up to 13 GiB. */
async function judge(path: string, diskSize: number | undefined): Promise<void> {
  if (path.endsWith('.zst')) {
    const listed = execFileSync('zstd', ['-l', '-v', path], { encoding: 'utf8' });
    assert.match(listed, /Frames: 1\n/);
    const size = Number(/Decompressed Size:.*\((\d+) B\)/.exec(listed)?.[1]);
    // A container of a disk has a size of its own.
    if (path.endsWith('.raw.zst')) assert.equal(size, diskSize);
    else assert.ok(size > 0);
  } else if (path.endsWith('.tar.gz')) {
    execFileSync('tar', ['-xzf', path, '-C', join(path, '..')]);
    await judge(join(path, '../disk.raw'), diskSize);
    await rm(join(path, '../disk.raw'));
  } else if (path.endsWith('.gz')) {
    // The last field of a gzip file: its content's size in 32 bits. `gzip -l` would unpack all of it to tell.
    const data = await readFile(path);
    assert.equal(data.readUInt32LE(data.length - 4), diskSize! % 2 ** 32);
  } else if (path.endsWith('.tar')) {
    const names = execFileSync('tar', ['-tf', path], { encoding: 'utf8' });
    assert.match(names, /^sha256:[0-9a-f]{64}\n(?:[0-9a-f]{64}\.tar\.gz\n){2}manifest\.json\n$/);
  } else if (path.endsWith('.ova')) {
    const names = execFileSync('tar', ['-tf', path], { encoding: 'utf8' });
    assert.equal(names, 'disk.ovf\ndisk.mf\ndisk.vmdk\n');
  } else if (diskSize !== undefined) {
    const format = path.endsWith('.vhd') ? 'vpc' : path.endsWith('.qcow2') ? 'qcow2' : 'raw';
    const info = execFileSync('qemu-img', ['info', '--output=json', '-f', format, path], { encoding: 'utf8' });
    assert.equal((JSON.parse(info) as { 'virtual-size': number })['virtual-size'], diskSize);
  } else {
    assert.ok((await readFile(path)).length > 0);
  }
}
