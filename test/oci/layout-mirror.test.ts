import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readBlob } from '../../src/oci/digest-check.ts';
import type { ImageSource } from '../../src/oci/image-source.ts';
import { openLayout } from '../../src/oci/local/layout.ts';
import { layoutMirror } from '../../src/oci/local/layout-mirror.ts';
import { openStore } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { describe, digestOf, randomBytes, testImage, writeLayout } from '../support/image.ts';
import { testSource } from '../support/image-source.ts';
import { tar } from '../support/tar.ts';

const platform = nodePlatform({});
const space = await mkdtemp(join(tmpdir(), 'layout-mirror-'));
after(async () => {
  await platform.close();
  await rm(space, { recursive: true });
});

const LAYER = tar([{ name: 'file', data: randomBytes(100_000, 1) }]);
const IMAGE = testImage([{ data: LAYER }]);
const BLOB = describe(LAYER, 'x');
const NAME = { registry: 'registry.example', repository: 'a/b' };

/** A layout whose layer is `served`. */
async function layout(name: string, served: Uint8Array = LAYER): Promise<ImageSource> {
  const directory = join(space, name);
  await writeLayout(directory, { 'registry.example/a/b:v1': IMAGE });
  await writeFile(join(directory, 'blobs/sha256', digestOf(LAYER).slice('sha256:'.length)), served);
  return openLayout(platform, directory);
}

const WRONG: Readonly<Record<string, Uint8Array>> = {
  changed: randomBytes(LAYER.length, 2),
  cut: LAYER.subarray(0, 5000),
  longer: Buffer.concat([LAYER, LAYER]),
};

for (const [name, served] of Object.entries(WRONG)) {
  test(`a blob that one layout has ${name} comes from another, or from the registry`, async () => {
    const [bad, good] = [await layout(`${name}-bad`, served), await layout(`${name}-good`)];
    const registry = testSource(IMAGE);
    const data = await readBlob(platform, layoutMirror([bad, good], NAME, registry), BLOB, 1 << 20);
    assert.ok(LAYER.equals(data));
    assert.deepEqual(registry.asked, []);
    assert.ok(LAYER.equals(await readBlob(platform, layoutMirror([bad], NAME, registry), BLOB, 1 << 20)));
    assert.deepEqual(registry.asked, [`blob ${BLOB.digest} 0`]);

    const store = await openStore(platform, join(space, `${name}-store`));
    const { tree } = await store.pull(layoutMirror([bad], NAME, registry), 'v1', {
      platform: { os: 'linux', architecture: 'amd64' },
    });
    assert.ok(tree.byPath.has('file'));
  });

  test(`a blob that every layout has ${name} is refused where there is no registry, whenever it is asked for`, async () => {
    const bad = [await layout(`${name}-one`, served), await layout(`${name}-two`, served)];
    const mirror = layoutMirror(bad, NAME, undefined);
    for (let turn = 0; turn < 2; turn++) {
      await assert.rejects(readBlob(platform, mirror, BLOB, 1 << 20), { code: 'verification' });
    }
  });
}

test('what the registry behind has wrong is for it to say', async () => {
  const empty = await layout('other');
  const rejected: string[] = [];
  const registry = testSource(testImage([]));
  registry.served.set(digestOf('good'), Buffer.from('evil'));
  const persistent: ImageSource = {
    ...registry,
    isPersistent: true,
    reject: (digest) => {
      rejected.push(digest);
      return false;
    },
  };
  const mirror = layoutMirror([empty], NAME, persistent);
  assert.equal(mirror.isPersistent, true);
  await assert.rejects(readBlob(platform, mirror, { digest: digestOf('good'), size: 4 }, 100), {
    code: 'verification',
  });
  assert.deepEqual(rejected, [digestOf('good')]);
});
