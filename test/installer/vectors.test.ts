/**
 * Everything of upstream's installer images that does not depend on how a layer is compressed: their members, configuration and list are the same, byte for byte.
 * Ours differ in the digest of our layer (other deflate, other splash picture in the UKI) and, for it, of the configuration; and in the time, which is the epoch of the build.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Bytes, EMPTY, ofMemory, zeros } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { type Digest, parseDigest } from '../../src/bytes/units.ts';
import { layoutTarEntries } from '../../src/formats/tar/layout-tar.ts';
import { indexTarBytes } from '../../src/formats/tar/tar-index.ts';
import { artifactEntries, installedBootloader } from '../../src/installer/artifacts-layer.ts';
import { keptLayers } from '../../src/installer/base.ts';
import { encodeImageConfig } from '../../src/installer/image-config.ts';
import { overlayEntries } from '../../src/installer/overlay-layer.ts';
import { loadedTags } from '../../src/installer/tags.ts';
import type { ComposedBlob } from '../../src/oci/composed-image.ts';
import { composeImage } from '../../src/oci/composed-image.ts';
import { layoutDockerArchive } from '../../src/oci/local/docker-archive.ts';
import { openLayout } from '../../src/oci/local/layout.ts';
import { OCI_LAYER } from '../../src/oci/media-types.ts';
import { openStore, type PulledImage } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/types.ts';
import { parseProfile } from '../../src/profiles/parse.ts';
import type { Architecture } from '../../src/profiles/profile.ts';
import { traitsOf } from '../../src/profiles/traits.ts';
import type { Entry } from '../../src/tree/tree.ts';
import { INSTALLER_CASES, type InstallerCase, writeVectorLayout } from '../support/installer-vectors.ts';
import { syntheticInput } from '../support/uki-inputs.ts';

let directory: string;
let platform: Platform;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'installer-vectors-'));
  platform = nodePlatform({ HOME: directory });
  for (const name of ['base1', 'base2', 'base3', 'overlay']) await writeVectorLayout(directory, name);
});
after(async () => {
  await platform.close();
  await rm(directory, { recursive: true });
});

async function pulled(layout: string, architecture: string): Promise<PulledImage> {
  const store = await openStore(platform, join(directory, 'store'));
  const source = await openLayout(platform, join(directory, layout));
  return store.pull(source, '', { platform: { os: 'linux', architecture } });
}

const built = INSTALLER_CASES.filter(({ rc }) => rc === 0);

for (const one of built) {
  test(one.id, async () => {
    const installer = one.installer!;
    const { profile } = parseProfile(one.profile, { file: one.id });
    const { arch = '', secureboot = false, version = `v${one.imager}` } = profile;
    const input = profile.input!;
    const base = await pulled(input.baseInstaller!.ociPath!.replace('/oci/', ''), arch);
    const target = {
      architecture: arch as Architecture,
      secureBoot: secureboot === true,
      traits: traitsOf(version || `v${one.imager}`),
    };

    const kept = keptLayers(base.layers);
    assert.deepEqual(
      kept.map(({ diffId }) => diffId),
      installer.layers.slice(0, kept.length).map(({ diffId }) => `sha256:${diffId}`),
    );
    const bootloader = installedBootloader(target);
    const assets =
      bootloader === 'sd-boot'
        ? { bootloader, loader: EMPTY, uki: EMPTY }
        : { bootloader, kernel: inputOf(input.kernel), initramfs: inputOf(input.initramfs) };
    const entries = artifactEntries(assets, target);
    assert.deepEqual(membersOf(entries), expectedMembers(one, kept.length));
    if (bootloader === 'grub') {
      const archive = layoutTarEntries(entries, { directories: 'plain' });
      assert.equal(await digestOf(await read(archive)), `sha256:${installer.layers[kept.length]!.diffId}`);
    }
    if (profile.overlay != null) await checkOverlay(one, arch, kept.length + 1);

    const config = encodeImageConfig({
      architecture: target.architecture,
      epoch: Number(one.sourceDateEpoch),
      diffIds: installer.layers.map(({ diffId }) => parseDigest(`sha256:${diffId}`)),
      base: base.config.document,
      baseName: one.id,
    });
    assert.equal(
      new TextDecoder().decode(config),
      installer.configJson.replace('<BUILD TIME>', '2019-06-01T21:34:52Z'),
    );
    await checkArchive(one, input.baseInstaller!.imageRef!);
  });
}

/** Names, modes and kinds as the header blocks have them. */
function membersOf(entries: readonly Entry[]): object[] {
  return entries.map(({ path, mode, kind }) => ({
    name: path,
    mode: mode.toString(8).padStart(7, '0'),
    type: kind === 'directory' ? '5' : '0',
  }));
}

function expectedMembers({ installer }: InstallerCase, layer: number): object[] {
  return installer!.layers[layer]!.members.map(({ name, mode, type }) => ({ name, mode, type }));
}

async function checkOverlay(one: InstallerCase, architecture: string, layer: number): Promise<void> {
  const { tree } = await pulled('overlay', architecture);
  const entries = overlayEntries({ tree, name: 'vec', options: 'a: 1\nb: two\n', image: one.id });
  assert.deepEqual(membersOf(entries), expectedMembers(one, layer));
  for (const [index, { name, sha256 }] of one.installer!.layers[layer]!.members.entries()) {
    // The program of the layout at hand is another edition of the one the vectors were made with.
    if (sha256 === undefined || name === 'overlay/installers/default') continue;
    const entry = entries[index]!;
    assert.ok(entry.kind === 'file');
    assert.equal(await digestOf(await read(entry.content)), `sha256:${sha256}`, name);
  }
}

/** `/syn/NAME`. */
function inputOf(asset: { readonly path?: string | undefined } | undefined): Bytes {
  return ofMemory(syntheticInput(asset!.path!.replace('/syn/', '')));
}

/** From blobs of upstream's digests and sizes: the archive must come out member for member, its list letter for letter. */
async function checkArchive(one: InstallerCase, imageRef: string): Promise<void> {
  const { members, manifestJson, configJson, configCreatedExample, layers } = one.installer!;
  const config = new TextEncoder().encode(configJson.replace('<BUILD TIME>', configCreatedExample));
  const blobs = layers.map(({ blob, compressedSize }): ComposedBlob => {
    const digest = parseDigest(`sha256:${blob.replace('.tar.gz', '')}`);
    return {
      descriptor: { mediaType: `${OCI_LAYER}+gzip`, digest, size: compressedSize },
      bytes: zeros(compressedSize),
      origins: [],
    };
  });
  const image = composeImage(platform, { os: 'linux', architecture: 'any' }, config, blobs);
  const archive = layoutDockerArchive(image, loadedTags(imageRef));
  assert.equal(archive.size, one.outputs[0]!.size);
  const found = await indexTarBytes(archive);
  assert.deepEqual(
    found.map((entry) => ({ name: entry.name, mode: entry.mode, size: entry.kind === 'file' ? entry.size : -1 })),
    members.map(({ name, mode, size }) => ({ name, mode: Number.parseInt(mode, 8), size })),
  );
  const list = found.at(-1)!;
  assert.ok(list.kind === 'file');
  assert.equal(new TextDecoder().decode(await read(archive, list.offset, list.size)), manifestJson);
}

for (const one of INSTALLER_CASES.filter(({ rc, errorLine }) => rc !== 0 && /reference/.test(errorLine ?? ''))) {
  test(one.id, () => {
    const { profile } = parseProfile(one.profile, { file: one.id });
    assert.throws(() => loadedTags(profile.input!.baseInstaller!.imageRef!), { code: 'invalid-input' });
  });
}

async function digestOf(data: Uint8Array): Promise<Digest> {
  const hash = platform.hash('sha256');
  hash.update(data);
  return parseDigest(`sha256:${Buffer.from(hash.digest()).toString('hex')}`);
}
