/** tar, gzip and skopeo read installer images, as archives and in layouts, and find the same in both. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { buildInstaller, type InstallerArtifact, writeInstallerLayout } from '../../src/pipeline/installer-artifact.ts';
import { planBuild } from '../../src/pipeline/plan.ts';
import { writeArtifact } from '../../src/pipeline/write-artifact.ts';
import { writeVectorLayout } from '../support/installer-vectors.ts';
import { assetFiles, type TestWorkplace, testRequest, testWorkplace, writeFiles } from '../support/pipeline.ts';
import { skipWithout } from '../support/tools.ts';

const execute = promisify(execFile);

interface Inspected {
  readonly Created: string;
  readonly Architecture: string;
  readonly Os: string;
  readonly Layers: readonly string[];
  readonly Labels: Readonly<Record<string, string>>;
}

for (const version of ['v1.13.0', 'v1.9.0']) {
  describe(`an installer of ${version}`, { skip: skipWithout('tar', 'gzip', 'skopeo') }, () => {
    let workplace: TestWorkplace;
    let scratch: string;
    const artifacts: InstallerArtifact[] = [];

    before(async () => {
      workplace = await testWorkplace();
      scratch = await mkdtemp(join(tmpdir(), 'bootwright-skopeo-'));
      const ociPath = await writeVectorLayout(workplace.directory, 'base1');
      await writeFiles(join(workplace.directory, 'assets'), assetFiles());
      for (const arch of ['amd64', 'arm64']) {
        const baseInstaller = { ociPath, imageRef: 'example.org/installer-base:v9' };
        const request = testRequest(
          { baseProfileName: 'installer', arch, version, input: { baseInstaller } },
          { assets: `dir:${workplace.directory}/assets` },
        );
        artifacts.push(
          await buildInstaller(workplace, request, await planBuild(workplace, request, { resolve: true })),
        );
      }
    });
    after(async () => {
      await workplace[Symbol.asyncDispose]();
      await rm(scratch, { recursive: true });
    });

    const skopeo = async (...args: readonly string[]): Promise<string> => {
      const env = { PATH: process.env.PATH, HOME: scratch, TMPDIR: scratch };
      return (await execute('skopeo', ['--insecure-policy', ...args], { env })).stdout;
    };

    test('is an archive that tar lists and skopeo inspects', async () => {
      for (const [index, arch] of ['amd64', 'arm64'].entries()) {
        const artifact = artifacts[index]!;
        const path = await writeArtifact(workplace.platform, artifact, scratch);
        const listed = (await execute('tar', ['-tvf', path, '--utc'])).stdout.trimEnd().split('\n');
        assert.equal(listed.length, 4);
        for (const line of listed) assert.match(line, /^-rw-r--r-- 0\/0 +\d+ 1970-01-01 00:00 \S+$/);

        const inspected = JSON.parse(
          await skopeo('inspect', `docker-archive:${path}:example.org/installer-base:v9`),
        ) as Inspected;
        assert.deepEqual(
          [inspected.Architecture, inspected.Os, inspected.Created],
          [arch, 'linux', '2023-11-14T22:13:20Z'],
        );
        assert.equal(inspected.Labels['org.opencontainers.image.version'], 'vX');
        const config = JSON.parse(await skopeo('inspect', '--config', `docker-archive:${path}`)) as {
          readonly rootfs: { readonly diff_ids: readonly string[] };
        };
        assert.deepEqual(inspected.Layers, config.rootfs.diff_ids);

        // skopeo unpacks what it copies, and compares each layer with its digest.
        const copy = join(scratch, `copy-${arch}`);
        await skopeo('copy', '--quiet', `docker-archive:${path}`, `oci:${copy}:x`);
        assert.ok((await readdir(join(copy, 'blobs/sha256'))).length >= 4);
      }
    });

    test('is a layout that skopeo inspects, one architecture or both', async () => {
      const layout = join(scratch, 'layout');
      await writeInstallerLayout(workplace, artifacts.slice(0, 1), layout, 'one');
      await writeInstallerLayout(workplace, artifacts, layout, 'both');
      for (const [name, arch, artifact] of [
        ['one', 'amd64', artifacts[0]!],
        ['both', 'amd64', artifacts[0]!],
        ['both', 'arm64', artifacts[1]!],
      ] as const) {
        const inspected = JSON.parse(
          await skopeo(`--override-arch=${arch}`, 'inspect', `oci:${layout}:${name}`),
        ) as Inspected;
        assert.equal(inspected.Architecture, arch);
        assert.deepEqual(
          inspected.Layers,
          artifact.image.layers.map(({ descriptor }) => descriptor.digest),
        );
      }
      await skopeo('copy', '--all', '--quiet', `oci:${layout}:both`, `oci:${scratch}/all:x`);
      const copied = new Set(await readdir(join(scratch, 'all/blobs/sha256')));
      for (const { image } of artifacts) assert.ok(copied.has(image.manifest.digest.slice('sha256:'.length)));
    });

    test('has layers that gzip and tar unpack', async () => {
      const layout = join(scratch, 'layout');
      for (const { image } of artifacts) {
        for (const { descriptor } of image.layers) {
          const path = join(layout, 'blobs/sha256', descriptor.digest.slice('sha256:'.length));
          // By its name gzip would not know it.
          await execute('sh', ['-c', 'gzip -tv < "$1" && tar -tzf "$1"', 'sh', path]);
        }
      }
    });
  });
}
