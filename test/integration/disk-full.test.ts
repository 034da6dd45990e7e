/** No room: exit 6 with the path and the reason, and nothing half-made left. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openStore } from '../../src/oci/store/store.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { type Finished, type ImagerOptions, runImager } from '../support/imager-process.ts';
import { buildableArchitecture, type SyntheticAssets, writeSyntheticAssets } from '../support/synthetic-assets.ts';

const ARCHITECTURE = buildableArchitecture();

/** Outputs of every way of writing; the store has all that they are made of. */
const OUTPUTS: Readonly<Record<string, readonly string[]>> = {
  [`metal-${ARCHITECTURE}.iso`]: ['iso'],
  [`metal-${ARCHITECTURE}.raw`]: ['metal', '--compression', 'raw'],
  [`metal-${ARCHITECTURE}.raw.zst`]: ['metal', '--compression', 'zst'],
  [`alibabacloud-${ARCHITECTURE}.qcow2`]: ['alibabacloud', '--compression', 'raw'],
};
const NAME = `metal-${ARCHITECTURE}.iso`;
/** Arguments of unshare: what a user without rights may have. */
const NAME_SPACE = ['--user', '--map-root-user', '--mount'];
const PREVIOUS = 'what was there before';

const platform = nodePlatform({});
let directory: string;
let assets: SyntheticAssets;
let fullStore: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootwright-full-'));
  const sizes = { initramfsSize: 30 * 2 ** 20, architectures: [ARCHITECTURE] };
  assets = await writeSyntheticAssets(join(directory, 'assets'), sizes);
  fullStore = join(directory, 'store');
  const { code, stderr } = await build(fullStore, join(directory, 'output'));
  assert.equal(code, 0, stderr);
});
after(async () => {
  await platform.close();
  await rm(directory, { recursive: true });
});

interface BuildOptions extends ImagerOptions {
  /** Profile and its flags, `iso` unless given. */
  readonly profile?: readonly string[];
}

function build(store: string, output: string, { profile = ['iso'], ...options }: BuildOptions = {}): Promise<Finished> {
  const inputs = ['--imager-image', assets.source, '--store', store];
  const args = ['--arch', ARCHITECTURE, '--talos-version', 'v1.13.0', '--quiet', ...inputs, '-o', output];
  return runImager([...profile, ...args], { environment: { XDG_CACHE_HOME: join(directory, 'cache') }, ...options });
}

describe('files may not grow beyond 16 MiB', () => {
  // In blocks of 512 bytes as POSIX has it; where a shell counts in 1024 it is 16 MiB, and either is too small.
  const before = 'ulimit -f 16384';

  for (const [name, profile] of Object.entries(OUTPUTS)) {
    test(`the output ${name}`, async () => {
      const output = await mkdtemp(join(directory, 'limited-output-'));
      await writeFile(join(output, name), PREVIOUS);
      const { code, stderr } = await build(fullStore, output, { before, profile });
      assert.equal(code, 6, stderr);
      assert.match(stderr, new RegExp(`${name}\\S*: larger than`));
      assert.deepEqual(await readdir(output), [name]);
      assert.equal(await readFile(join(output, name), 'utf8'), PREVIOUS);
    });
  }

  test('the store', async () => {
    const store = join(directory, 'limited-store');
    const output = join(directory, 'limited-store-output');
    const { code, stderr } = await build(store, output, { before });
    assert.equal(code, 6, stderr);
    assert.ok(stderr.includes(store), stderr);
    assert.deepEqual(await readdir(output).catch(() => []), []);
    // Nor the beginning of a download: it would take room where there is none.
    assert.deepEqual(await readdir(join(store, 'tmp')), []);
    await assertStoreHealsItself(store, output);
  });
});

describe('a file system of 24 MiB', { skip: withoutMounts() }, () => {
  for (const [name, profile] of Object.entries(OUTPUTS)) {
    test(`the output ${name}`, async () => {
      const mount = await mkdtemp(join(directory, 'small-'));
      // Looked at from within: nobody else sees the mount.
      const { code, stderr, listing } = await onSmallDisk(mount, fullStore, mount, profile);
      assert.equal(code, 6, stderr);
      assert.match(stderr, new RegExp(`${name}\\S*: no space left`));
      assert.deepEqual(listing, []);
    });
  }

  test('the store', async () => {
    const mount = join(directory, 'small-store');
    await mkdir(mount);
    const output = join(directory, 'small-store-output');
    const { code, stderr, listing } = await onSmallDisk(mount, join(mount, 'store'), output);
    assert.equal(code, 6, stderr);
    assert.match(stderr, /no space left/);
    assert.deepEqual(await readdir(output).catch(() => []), []);
    assert.ok(listing.includes('store/tmp'));
    assert.deepEqual(
      listing.filter((name) => name.startsWith('store/tmp/')),
      [],
    );
  });
});

/** The store works as soon as there is room again, and nothing is left of the failed attempt. */
async function assertStoreHealsItself(store: string, output: string): Promise<void> {
  const opened = await openStore(platform, store);
  assert.deepEqual((await opened.verify({ remove: false })).damage, []);
  const { code, stderr } = await build(store, output);
  assert.equal(code, 0, stderr);
  assert.deepEqual(await readdir(output), [NAME]);
  assert.deepEqual(await readdir(join(store, 'tmp')), []);
}

test('standard output on a full device', async () => {
  const { code, stderr } = await build(fullStore, '-', { before: 'exec >/dev/full' });
  assert.equal(code, 6, stderr);
  assert.match(stderr, /standard output: .*(ENOSPC|no space left)/);
});

test('an output directory that cannot be', async () => {
  const { code, stderr } = await build(fullStore, join(assets.blobs[0]!.path, 'below'));
  assert.equal(code, 6, stderr);
});

/** A reason to skip where this user may not mount in a name space of his own. */
function withoutMounts(): string | false {
  const tried = spawnSync('unshare', [...NAME_SPACE, 'mount', '-t', 'tmpfs', 'none', tmpdir()], { stdio: 'ignore' });
  return tried.status === 0 ? false : 'needs user name spaces with mounts (unshare --user --mount)';
}

async function onSmallDisk(
  mount: string,
  store: string,
  output: string,
  profile: readonly string[] = ['iso'],
): Promise<Finished & { readonly listing: string[] }> {
  const names = join(directory, 'names');
  const script = `mount -t tmpfs -o size=24m none '${mount}' && { "$@"; code=$?; find '${mount}' -mindepth 1 -printf '%P\\n' > '${names}'; exit $code; }`;
  const finished = await build(store, output, {
    profile,
    before: `set -- unshare ${NAME_SPACE.join(' ')} sh -c "$SCRIPT" sh "$@"`,
    environment: { XDG_CACHE_HOME: join(directory, 'cache'), SCRIPT: script },
  });
  const listing = (await readFile(names, 'utf8')).split('\n').filter((name) => name !== '');
  return { ...finished, listing };
}
