/** Initramfs with extensions as upstream's imager makes them: members, file systems and the list of extensions, or the refusal. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Bytes, ofMemory } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { exitCodeOf, ImagerError } from '../../src/errors.ts';
import { decodeSquashfs } from '../../src/formats/squashfs/decode.ts';
import { build } from '../../src/pipeline/build.ts';
import { planBuild } from '../../src/pipeline/plan.ts';
import { parseProfile } from '../../src/profiles/parse.ts';
import { finaliseProfile, resolveProfile } from '../../src/profiles/resolve.ts';
import type { Entry, Tree } from '../../src/tree/tree.ts';
import { takeApart } from '../support/initramfs.ts';
import { writeVectorLayouts } from '../support/layout-vectors.ts';
import { type TestWorkplace, testWorkplace } from '../support/pipeline.ts';
import { syntheticInput } from '../support/uki-inputs.ts';
import { vectorLines } from '../support/vectors.ts';

interface CpioMember {
  readonly name: string;
  readonly ino: number;
  readonly mode: string;
  readonly nlink: number;
  readonly size: number;
  readonly sha256: string | null;
}

interface SquashedFile {
  readonly path: string;
  readonly mode: string;
  readonly mtime: number;
  readonly size?: number;
  readonly sha256?: string;
  readonly link?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
}

interface Segment {
  readonly kind: string;
  readonly length: number;
  readonly uncompressedLength?: number;
  readonly entries?: readonly CpioMember[];
  readonly extensionsYaml?: readonly string[];
  readonly squashfs?: Readonly<
    Record<string, { inodes: number; compressor: string; flags: string; files: readonly SquashedFile[] }>
  >;
}

interface InitramfsCase {
  readonly id: string;
  readonly imager: string;
  readonly profile: string;
  readonly sourceDateEpoch: string | null;
  readonly rc: number;
  readonly initramfs?: { readonly segments: readonly Segment[] };
}

const CASES = vectorLines<InitramfsCase>('images/initramfs.jsonl.gz');
/** Where a case has none: upstream then takes the clock's. */
const EPOCH = 1_700_000_000;

let workplace: TestWorkplace;

before(async () => {
  workplace = await testWorkplace();
  await writeVectorLayouts(join(workplace.directory, 'oci'), 'images/extension-inputs.json.gz');
});

after(() => workplace[Symbol.asyncDispose]());

for (const one of CASES) {
  test(one.id, async () => {
    const building = initramfsOf(one);
    if (one.rc !== 0) {
      // 1.13.9 knows one exit code for all failures.
      await assert.rejects(building, (error) => error instanceof ImagerError && exitCodeOf(error) === 5);
      return;
    }
    await assertSegments(await building, one);
  });
}

async function initramfsOf(one: InitramfsCase): Promise<{ readonly bytes: Bytes; readonly base: Bytes }> {
  const base = await inputFile('initramfs-a');
  const { directory } = workplace;
  const own = one.profile.replaceAll('/syn/', `${directory}/syn/`).replaceAll('/oci/', `${directory}/oci/`);
  for (const [, name] of own.matchAll(/\/syn\/(\S+)/g)) await inputFile(name!);
  const { profile } = parseProfile(own, { file: 'profile' });
  const options = { defaultVersion: one.imager === '1.13.9' ? 'v1.13.9' : 'v1.14.0-rc.1' };
  const request = {
    profile: finaliseProfile(resolveProfile(profile), options),
    // Upstream embeds whatever it is given.
    skipNetworkCheck: true,
    epoch: one.sourceDateEpoch === null ? EPOCH : Number(one.sourceDateEpoch),
  };
  const plan = await planBuild(workplace, request, { resolve: true });
  const { bytes } = await build(workplace, request, plan);
  const initramfs = own.match(/initramfs:\n\s+path: (\S+)/)?.[1];
  assert.ok(initramfs !== undefined);
  return { bytes, base: initramfs.endsWith('initramfs-a') ? base : await inputFile(initramfs.split('/').at(-1)!) };
}

async function inputFile(name: string): Promise<Bytes> {
  const path = join(workplace.directory, 'syn', name);
  const data = syntheticInput(name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, data);
  return ofMemory(data);
}

async function assertSegments(
  { bytes, base }: { readonly bytes: Bytes; readonly base: Bytes },
  { initramfs, imager, sourceDateEpoch }: InitramfsCase,
): Promise<void> {
  const { segments } = initramfs!;
  const { compression } = workplace.platform;
  const [late] = segments.filter(({ kind }) => kind === 'zstd' || kind === 'xz');
  if (late === undefined) {
    assert.deepEqual(await read(bytes), await read(base));
    return;
  }
  const found = await takeApart(bytes, base, compression);
  const early = segments.find(({ kind }) => kind === 'cpio uncompressed');
  assert.equal(found.earlySize, early?.length ?? 0);
  await assertMembers(found.early, early?.entries ?? []);
  await assertMembers(found.late, late.entries!);
  assert.equal(
    Buffer.from(await start(bytes, base.size + found.earlySize)).toString('hex'),
    late.kind === 'xz' ? 'fd37' : '28b5',
  );
  const list = await contentOf(found.late, 'extensions.yaml');
  // 1.13.9 does not fold.
  if (imager !== '1.13.9') assert.equal(new TextDecoder().decode(list), late.extensionsYaml?.[0]);
  for (const [name, expected] of Object.entries(late.squashfs!)) {
    const image = await decodeSquashfs(ofMemory(await contentOf(found.late, name)), compression);
    assert.equal(image.superblock.compressor, expected.compressor);
    assert.equal(image.superblock.inodes, expected.inodes);
    const epoch = sourceDateEpoch === null ? EPOCH : Number(sourceDateEpoch);
    assert.equal(image.superblock.epoch, epoch);
    const files = await Promise.all(image.tree.entries.map(describeFile));
    assert.deepEqual(
      files,
      expected.files.map(({ path, mode, size, sha256, link, xattrs }) => ({
        path,
        mode,
        mtime: epoch,
        ...(size === undefined ? {} : { size, sha256 }),
        ...(link === undefined ? {} : { link }),
        ...(xattrs === undefined ? {} : { xattrs }),
      })),
    );
  }
}

async function start(bytes: Bytes, at: number): Promise<Uint8Array> {
  return read(bytes, at, 2);
}

async function contentOf(tree: Tree, path: string): Promise<Uint8Array> {
  const entry = tree.byPath.get(path);
  assert.ok(entry?.kind === 'file', path);
  return read(entry.content);
}

/** Squashfs files are other bytes of other sizes: what is in them is compared. */
async function assertMembers(tree: Tree, members: readonly CpioMember[]): Promise<void> {
  const expected = members.filter(({ name }) => name !== 'TRAILER!!!');
  const found = tree.entries.filter(({ path }) => path !== '');
  assert.deepEqual(
    found.map((entry) => [entry.path, modeOf(entry)]),
    expected.map(({ name, mode }) => [name, mode]),
  );
  for (const { name, sha256, size } of expected) {
    if (sha256 === null || sha256 === 'not compared' || name === 'extensions.yaml') continue;
    const content = await contentOf(tree, name);
    assert.deepEqual([content.length, digestOf(content)], [size, sha256], name);
  }
}

function modeOf({ kind, mode }: Entry): string {
  const type = kind === 'directory' ? 0o040000 : kind === 'symlink' ? 0o120000 : 0o100000;
  return `0o${(type | mode).toString(8)}`;
}

async function describeFile(entry: Entry): Promise<object> {
  const { path, mtime, xattrs } = entry;
  const labels = [...(xattrs ?? [])].map(([name, value]) => [name, new TextDecoder().decode(value)] as const);
  const common = { path: `/${path}`, mode: modeOf(entry), mtime };
  const extra = labels.length === 0 ? {} : { xattrs: Object.fromEntries(labels) };
  if (entry.kind === 'symlink') return { ...common, link: entry.target, ...extra };
  if (entry.kind !== 'file') return { ...common, ...extra };
  const content = await read(entry.content);
  return { ...common, size: content.length, sha256: digestOf(content), ...extra };
}

function digestOf(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
